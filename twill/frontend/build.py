"""The walk over a function's operations: one rule for each kind of control flow, one for all other operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ir.diagnostics import Location
from ir.loop import Attribute, Carried, Kernel, Loop, Operation, Predicate, Value
from ir.types import Type
from twill.frontend import branches, places
from twill.frontend.attributes import Symbol, kernel_attributes
from twill.frontend.generic import Argument, Block, Node
from twill.frontend.names import Draft, Item
from twill.frontend.types import read_type

_TERMINATORS = frozenset(("scf.condition", "cf.br", "cf.cond_br"))
# Operations whose regions combine scalars.
_COMBINING = frozenset(("tt.reduce", "tt.scan", "tt.map_elementwise"))
# Number of operands up to and with the mask, and the other value, of operations that may do without.
_WITH_MASK = {"tt.load": 2, "tt.store": 3, "tt.atomic_rmw": 3}
_WITH_OTHER = {"tt.load": 3}

Outcome = tuple[list[Item], list[str]]


@dataclass(frozen=True)
class Scope:
    """Where the walk stands: key of each SSA name in sight, predicates since the innermost loop, loop depth.

    `captures` are the operands of the operation around, for regions that name them anew.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    predicates: tuple[Predicate, ...] = ()
    depth: int = 0
    captures: tuple[str, ...] = ()

    def under(self, condition: str, expected: bool) -> Scope:
        """The same, where `condition` equals `expected`."""
        return replace(self, predicates=(*self.predicates, Predicate(condition, expected)))

    def knowing(self, arguments: Iterable[Argument], keys: Iterable[str]) -> Scope:
        """The same, with block arguments in sight."""
        return replace(self, values={**self.values, **zip_keys(arguments, keys)})

    def keys(self, names: Iterable[str]) -> list[str]:
        """Keys of SSA names."""
        return [self.values[name] for name in names]


def zip_keys(arguments: Iterable[Argument], keys: Iterable[str]) -> dict[str, str]:
    """SSA name -> key of block arguments."""
    return dict(zip((a.name for a in arguments), keys, strict=True))


@dataclass
class Builder:
    """Values get provisional keys and are named at the end, when all are known; `functions` are those to inline."""

    functions: Mapping[str, Node]
    drafts: list[Draft] = field(default_factory=list)
    types: dict[str, Type] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    calling: list[str] = field(default_factory=list)

    def kernel(self, node: Node, source: str) -> Kernel:
        """A whole function, under provisional keys."""
        entry = node.regions[0][0].arguments
        arguments = [self.define(a.type, Draft(places.name(a.frames) or a.name[1:], "", fixed=True)) for a in entry]
        items, _ = self.body(node, [v.name for v in arguments], Scope())
        told = node.attributes.get("arg_attrs", ())
        known = {v.name: kernel_attributes("", t) for v, t in zip(arguments, told, strict=False) if t}
        return Kernel(
            name=node.attributes["sym_name"],
            arguments=tuple(arguments),
            body=tuple(items),
            source=source,
            location=places.place(node.frames),
            argument_attributes=known,
        )

    # Values.

    def define(self, type_text: str, draft: Draft) -> Value:
        """A new value with a provisional key."""
        return self.define_typed(read_type(type_text), draft)

    def define_typed(self, type_: Type, draft: Draft) -> Value:
        """A new value of a type that is known."""
        key = f"%{len(self.drafts)}"
        self.drafts.append(replace(draft, key=key))
        self.types[key] = type_
        return Value(key, type_)

    def results(self, node: Node, suffix: str, scope: Scope) -> tuple[Value, ...]:
        """The results of an operation as new values."""
        candidate = node.opcode != "arith.constant"
        named = zip(node.result_types, places.result_names(node), strict=True)
        return tuple(self.define(t, Draft(base, suffix, scope.depth, candidate)) for t, base in named)

    def base(self, key: str) -> str:
        """The variable that a value belongs to."""
        return self.drafts[int(key[1:])].base

    def emit(
        self, opcode: str, operands: tuple[str, ...], scope: Scope, like: str = "", location: Location | None = None
    ) -> Operation:
        """An operation that joins control flow; it has the type and variable of `like`, else it is an i1."""
        draft = Draft(self.base(like) if like else "", opcode.rpartition(".")[2], scope.depth)
        result = self.define_typed(self.types[like] if like else Type("i1"), draft)
        return Operation(opcode, operands, (result,), {}, scope.predicates, location=location)

    # Blocks and functions.

    def block(self, block: Block, scope: Scope) -> Outcome:
        """The items of a block, and the values that its terminator passes on."""
        *nodes, last = block.nodes
        if not is_terminator(last.opcode):
            return self.straight(block.nodes, scope)[0], []
        items, scope = self.straight(nodes, scope)
        return items, scope.keys(last.operands)

    def straight(self, nodes: Iterable[Node], scope: Scope) -> tuple[list[Item], Scope]:
        """The items of consecutive operations, and the sight after them."""
        items: list[Item] = []
        values = dict(scope.values)
        scope = replace(scope, values=values)
        for node in nodes:
            produced, keys = self.node(node, scope)
            items += produced
            values.update(zip(node.results, keys, strict=True))
        return items, scope

    def node(self, node: Node, scope: Scope) -> Outcome:
        """The items of one operation, and the keys of its results."""
        if node.regions and node.opcode not in _RULES and node.opcode not in _COMBINING:
            return self.regions(node, scope)
        return _RULES.get(node.opcode, Builder.plain)(self, node, scope)

    def body(self, function: Node, arguments: list[str], scope: Scope) -> Outcome:
        """The items of a function's body for these arguments, and the values that it returns."""
        blocks = function.regions[0]
        inside = replace(scope, values={}).knowing(blocks[0].arguments, arguments)
        if len(blocks) == 1:
            return self.block(blocks[0], inside)
        return branches.flow(self, function, inside)

    # One rule for each kind of operation.

    def plain(self, node: Node, scope: Scope) -> Outcome:
        """An operation as it is."""
        attributes = {**kernel_attributes(node.opcode, node.attributes), **_optional_operands(node)}
        results = self.results(node, _suffix(node, attributes), scope)
        value = attributes.get("value")
        if node.opcode == "arith.constant" and type(value) is int:
            self.constants[results[0].name] = value
        operation = Operation(
            opcode=node.opcode,
            operands=tuple(scope.keys(node.operands)),
            results=results,
            attributes=attributes,
            predicates=scope.predicates,
            combiner=_combiner(node),
            location=places.place(node.frames),
        )
        return [operation], [v.name for v in results]

    def call(self, node: Node, scope: Scope) -> Outcome:
        """A call is inlined, unless the user forbade that or it is recursive."""
        symbol = node.attributes.get("callee")
        name = symbol.name if isinstance(symbol, Symbol) else ""
        callee = self.functions.get(name)
        if callee is None or not callee.regions[0] or callee.attributes.get("noinline") or name in self.calling:
            return self.plain(node, scope)
        self.calling.append(name)
        outcome = self.body(callee, scope.keys(node.operands), scope)
        self.calling.pop()
        return outcome

    def branch(self, node: Node, scope: Scope) -> Outcome:
        """An if: both arms under predicates, then one select for each result."""
        condition = scope.values[node.operands[0]]
        arms = [region[0] for region in node.regions if region]
        outcomes = [
            self.block(arm, scope.under(condition, first)) for arm, first in zip(arms, (True, False), strict=False)
        ]
        items: list[Item] = [item for part, _ in outcomes for item in part]
        results = []
        for i in range(len(node.results)):
            choices = tuple(yielded[i] for _, yielded in outcomes)
            select = self.emit("arith.select", (condition, *choices), scope, choices[0], places.place(node.frames))
            items.append(select)
            results.append(select.results[0].name)
        return items, results

    def counted(self, node: Node, scope: Scope) -> Outcome:
        """scf.for."""
        block = node.regions[0][0]
        lower, upper, step, *initial = scope.keys(node.operands)
        inside = Scope(scope.values, (), scope.depth + 1, scope.captures)
        names = self.argument_names(node, block.arguments, ["", *initial])
        induction, *arguments = [
            self.define(a.type, Draft(base, "in" if i else "index", inside.depth, candidate=not i))
            for i, (a, base) in enumerate(zip(block.arguments, names, strict=True))
        ]
        keys = [v.name for v in (induction, *arguments)]
        body, yielded = self.block(block, inside.knowing(block.arguments, keys))
        loop = Loop(
            name="",
            induction=induction,
            lower=lower,
            upper=upper,
            step=step,
            carried=self.carried(arguments, initial, yielded, scope),
            body=tuple(body),
            trip_count=self.trip_count(lower, upper, step),
            attributes=kernel_attributes(node.opcode, node.attributes),
            location=places.place(node.frames),
            refusal=_refused_call(body),
            predicates=scope.predicates,
        )
        return [loop], [c.result.name for c in loop.carried]

    def uncounted(self, node: Node, scope: Scope) -> Outcome:
        """scf.while: kept with all its operations, but refused."""
        before, after = (region[0] for region in node.regions)
        initial = scope.keys(node.operands)
        inside = Scope(scope.values, (), scope.depth + 1, scope.captures)
        names = self.argument_names(node, before.arguments, initial)
        arguments = [
            self.define(a.type, Draft(base, "in", inside.depth, candidate=False))
            for a, base in zip(before.arguments, names, strict=True)
        ]
        head, (condition, *passed) = self.block(before, inside.knowing(before.arguments, (a.name for a in arguments)))
        tail, yielded = self.block(after, inside.under(condition, True).knowing(after.arguments, passed))
        place = places.place(node.frames)
        loop = Loop(
            name="",
            induction=None,
            carried=self.carried(arguments, initial, yielded, scope),
            body=(*head, *tail),
            attributes=kernel_attributes(node.opcode, node.attributes),
            location=place,
            refusal=f"the while loop at {place or 'an unknown place'} has no trip count that is known before it runs",
            predicates=scope.predicates,
        )
        if passed == [a.name for a in arguments]:
            return [loop], [c.result.name for c in loop.carried]
        results = self.results(node, "out", scope)
        leaving = Operation("scf.condition", (condition, *passed), results, {}, scope.predicates, (), place)
        return [loop, leaving], [v.name for v in results]

    def regions(self, node: Node, scope: Scope) -> Outcome:
        """Any other operation with regions (warp specialization): itself, then what is inside, in place."""
        own = replace(node, regions=())
        items, results = self.plain(own, scope)
        captures = tuple(scope.keys(node.operands)) or scope.captures
        for region in node.regions:
            for block in region:
                items += self.block(block, self.captured(block, replace(scope, captures=captures)))[0]
        return items, results

    def captured(self, block: Block, scope: Scope) -> Scope:
        """Sight of a block's arguments: the captured operands where their number fits, else new values."""
        if len(block.arguments) == len(scope.captures):
            return scope.knowing(block.arguments, scope.captures)
        new = [self.define(a.type, Draft(places.name(a.frames), "argument", scope.depth)) for a in block.arguments]
        return scope.knowing(block.arguments, (v.name for v in new))

    # Loops.

    def argument_names(self, node: Node, arguments: tuple[Argument, ...], initial: list[str]) -> list[str]:
        """Variables of a loop's arguments: their own, else the loop's result's, else the initial value's."""
        chain = places.names(node.frames)[::-1]
        chain = chain if len(chain) == len(node.results) else ("",) * len(node.results)
        of_results = [""] * (len(arguments) - len(chain)) + list(chain)
        return [
            places.name(a.frames) or result or (self.base(start) if start else "")
            for a, result, start in zip(arguments, of_results, initial, strict=False)
        ]

    def carried(
        self, arguments: list[Value], initial: list[str], yielded: list[str], scope: Scope
    ) -> tuple[Carried, ...]:
        """Carried values, with new values for the results."""
        results = [self.define_typed(a.type, Draft(self.base(a.name), "out", scope.depth, False)) for a in arguments]
        return tuple(map(Carried, arguments, initial, yielded, results))

    def trip_count(self, lower: str, upper: str, step: str) -> int | None:
        """ceil((upper - lower) / step), at least 0, where all three are constants."""
        if not {lower, upper, step} <= self.constants.keys():
            return None
        start, end, stride = (self.constants[key] for key in (lower, upper, step))
        return max(0, -((start - end) // stride)) if stride > 0 else None


def is_terminator(opcode: str) -> bool:
    """Whether the operation ends a block and only passes values on."""
    return opcode in _TERMINATORS or opcode.endswith(("yield", "return"))


def _suffix(node: Node, attributes: Mapping[str, Attribute]) -> str:
    value = attributes.get("value")
    if node.opcode == "arith.constant" and type(value) is int and value >= 0 and not places.names(node.frames):
        return f"c{value}"
    return node.opcode.rpartition(".")[2]


def _optional_operands(node: Node) -> dict[str, Attribute]:
    given = len(node.operands)
    tables = {"has_mask": _WITH_MASK, "has_other": _WITH_OTHER}
    return {name: given >= table[node.opcode] for name, table in tables.items() if node.opcode in table}


def _combiner(node: Node) -> tuple[str, ...]:
    inner = [n for region in node.regions for block in region for n in block.nodes if not is_terminator(n.opcode)]
    return tuple(opcode for n in inner for opcode in (n.opcode, *_combiner(n)))


def _refused_call(body: list[Item]) -> str | None:
    calls = [item for item in body if isinstance(item, Operation) and item.opcode == "tt.call"]
    if not calls:
        return None
    return f"it calls `{calls[0].attributes['callee']}` at {calls[0].location}, which must not be inlined"


_RULES: dict[str, Callable[[Builder, Node, Scope], Outcome]] = {
    "scf.for": Builder.counted,
    "scf.while": Builder.uncounted,
    "scf.if": Builder.branch,
    "tt.call": Builder.call,
}
