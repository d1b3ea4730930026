"""Names of values: the source variable's where there is one, made unique in the kernel.

Of the values that belong to one variable, the last one of the deepest loop gets the bare name (`acc`); the others get
the operation's name after a dot (`acc.mulf`), a loop-carried value `acc.in` inside the loop and `acc.out` after it.
Where a name is taken, a number follows (`acc.mulf_1`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from ir.loop import Carried, Kernel, Loop, Operation, Predicate, Value

Item: TypeAlias = Operation | Loop


@dataclass(frozen=True)
class Draft:
    """A value to be named: `key` for now, `base` is the variable's name or empty.

    `suffix` is what follows the dot. A `fixed` draft (a parameter) has its name by right, and only a `candidate` may
    get the bare name.
    """

    base: str
    suffix: str
    depth: int = 0
    candidate: bool = True
    fixed: bool = False
    key: str = ""


def assign(drafts: Iterable[Draft]) -> dict[str, str]:
    """A unique name for each key.

    >>> loop = [Draft("acc", "in", 1, False), Draft("acc", "mulf", 1), Draft("acc", "dot", 1)]
    >>> drafts = [Draft("acc", "constant"), *loop, Draft("", "exp2")]
    >>> list(assign(replace(draft, key=str(i)) for i, draft in enumerate(drafts)).values())
    ['acc.constant', 'acc.in', 'acc.mulf', 'acc', 'exp2']
    """
    drafts = list(drafts)
    taken: set[str] = set()
    names = {draft.key: _unique(draft.base, taken) for draft in drafts if draft.fixed}
    winners = {base: key for base, key in _winners(drafts).items() if base not in taken}
    taken.update(winners)
    names |= {key: base for base, key in winners.items()}
    names |= {draft.key: _unique(_longer(draft), taken) for draft in drafts if draft.key not in names}
    return {draft.key: names[draft.key] for draft in drafts}


def _winners(drafts: list[Draft]) -> dict[str, str]:
    best: dict[str, Draft] = {}
    for draft in drafts:
        if draft.candidate and draft.base and not draft.fixed:
            rival = best.get(draft.base, draft)
            best[draft.base] = draft if draft.depth >= rival.depth else rival
    return {base: draft.key for base, draft in best.items()}


def _longer(draft: Draft) -> str:
    return f"{draft.base}.{draft.suffix}" if draft.base else draft.suffix


def _unique(name: str, taken: set[str]) -> str:
    number, unique = 0, name
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    taken.add(unique)
    return unique


def renamed(kernel: Kernel, names: Mapping[str, str]) -> Kernel:
    """The kernel with every value's key replaced by its name, and each loop named by its path in the loop tree."""
    return replace(
        kernel,
        arguments=tuple(_value(v, names) for v in kernel.arguments),
        argument_attributes={names[k]: v for k, v in kernel.argument_attributes.items()},
        body=_items(kernel.body, names, ""),
    )


def _items(items: Iterable[Item], names: Mapping[str, str], path: str) -> tuple[Item, ...]:
    renamed_items: list[Item] = []
    loops = 0
    for item in items:
        if isinstance(item, Operation):
            renamed_items.append(_operation(item, names))
            continue
        renamed_items.append(_loop(item, names, f"{path}{loops}"))
        loops += 1
    return tuple(renamed_items)


def _value(value: Value, names: Mapping[str, str]) -> Value:
    return replace(value, name=names[value.name])


def _predicates(predicates: Iterable[Predicate], names: Mapping[str, str]) -> tuple[Predicate, ...]:
    return tuple(replace(p, condition=names[p.condition]) for p in predicates)


def _operation(op: Operation, names: Mapping[str, str]) -> Operation:
    return replace(
        op,
        operands=tuple(names[o] for o in op.operands),
        results=tuple(_value(v, names) for v in op.results),
        predicates=_predicates(op.predicates, names),
    )


def _carried(carried: Carried, names: Mapping[str, str]) -> Carried:
    return Carried(
        argument=_value(carried.argument, names),
        initial=names[carried.initial],
        yielded=names[carried.yielded],
        result=_value(carried.result, names),
    )


def _loop(loop: Loop, names: Mapping[str, str], path: str) -> Loop:
    return replace(
        loop,
        name=path,
        induction=_value(loop.induction, names) if loop.induction else None,
        lower=names.get(loop.lower, ""),
        upper=names.get(loop.upper, ""),
        step=names.get(loop.step, ""),
        carried=tuple(_carried(c, names) for c in loop.carried),
        body=_items(loop.body, names, f"{path}."),
        predicates=_predicates(loop.predicates, names),
    )
