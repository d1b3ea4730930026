"""Which constants of a problem are sizes, and the sizes at which its task is searched, verified and reported.

A constant is a size if the model can be built with another number in its place, does the same operations, and its
inputs, or its vectors and matrices of parameters, have other shapes then. Sizes are tried out, never guessed: those of
the task are those at which the model was traced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ir.diagnostics import Location, UserError, fail
from optiml.importing.problem import Problem
from optiml.importing.symbols import Family, UnscalableError, united
from optiml.importing.trace import Trace, trace_of

# Extents for the search and to verify, by how many sizes there are: few enough elements for a device that is emulated.
_SEARCH = {1: (4096,), 2: (48, 256), 3: (64, 96, 128), 4: (4, 16, 32, 16)}
_VERIFY = {
    1: ((1000,), (17,), (1,)),
    2: ((5, 77), (13, 33), (1, 130)),
    3: ((33, 70, 50), (5, 17, 129), (16, 1, 40)),
    4: ((3, 5, 7, 9), (1, 8, 3, 5), (2, 4, 17, 3)),
}
_MANY_SEARCH, _MANY_VERIFY = (2, 4, 8, 6), ((2, 3, 4, 5), (3, 1, 2, 4))

_MATRIX = 2
_MOST_ELEMENTS, _DIVISORS = 1 << 17, (1, 2, 4, 8)

Ask = Callable[..., list[Any]]


@dataclass(frozen=True)
class Model:
    """A problem's model: what it computes (`plain` as it says, `core` in few operations), by sizes.

    `sets`: search, verify and report as the task has them; `warnings` for the user.
    """

    plain: Trace
    core: Trace
    sets: Mapping[str, tuple[Mapping[str, int], ...]]
    warnings: tuple[str, ...] = ()


def model_of(problem: Problem, ask: Ask) -> Model:
    """Trace a problem at its own sizes and others. `ask`: answers of `tracing` to assignments of the constants, with
    `plain_only` where the trace in few operations is not needed.

    Raises UserError: model-fails and data-dependent, if not even its own sizes can be traced; what trace_of raises.
    """
    own = _own(problem, ask)
    varied = ask(_varied(problem), plain_only=True)
    names = [n for n, told in zip(problem.constants, varied, strict=True) if _is_size(told, own[0])]
    if not names:
        return _fixed(own, "no constant of the file is a size of its inputs: the task has their own sizes alone")
    traced = _traced(problem, names, ask)
    try:
        return _scaled(problem, names, own, traced)
    except UnscalableError as error:
        return _fixed(own, f"the model cannot be made smaller ({error}): the task has its own sizes alone")


def _traced(problem: Problem, names: Sequence[str], ask: Ask) -> list[tuple[dict[str, int], tuple[Trace, Trace]]]:
    """Rows of sizes with their traces, small enough for a device that is emulated: a size may count several times."""
    found: list[tuple[dict[str, int], tuple[Trace, Trace]]] = []
    for divisor in _DIVISORS:
        rows = list(_rows(problem, names, divisor))
        found = [(row, _traces(told)) for row, told in zip(rows, ask(rows), strict=True) if "error" not in told]
        if all(_elements(plain) <= _MOST_ELEMENTS for _, (plain, _core) in found):
            break
    return found


def _elements(trace: Trace) -> int:
    """Of the largest tensor."""
    shapes = [*(t.shape for t in trace.tensors), *(n.shape for n in trace.nodes)]
    return max(map(prod, shapes), default=0)


def symbol(name: str) -> str:
    """The size of a constant: `batch_size` is BATCH_SIZE."""
    return name.upper()


def _own(problem: Problem, ask: Ask) -> tuple[Trace, Trace]:
    told = ask([{}])[0]
    if "error" in told:
        place, error = Location(str(problem.path)), told["error"]
        remedies = {"data-dependent": "a kernel has one control flow: take the branch on data out of the model"}
        raise fail(
            error["rule"], f"the model cannot be traced: {error['message']}", place, remedies.get(error["rule"], "")
        )
    return _traces(told)


def _traces(told: Mapping[str, Any]) -> tuple[Trace, Trace]:
    return trace_of(told["plain"]), trace_of(told["core"])


def _varied(problem: Problem) -> list[dict[str, int]]:
    """Each constant alone with another value: half of it, or one more."""
    return [{name: value // 2 if value % 2 == 0 else value + 1} for name, value in problem.constants.items()]


def _is_size(told: Mapping[str, Any], own: Trace) -> bool:
    if "error" in told:
        return False
    try:
        plain = trace_of(told["plain"])
    except UserError:
        return False
    same = [n.op for n in plain.nodes] == [n.op for n in own.nodes]
    return same and _shapes(plain) != _shapes(own)


def _shapes(trace: Trace) -> list[tuple[int, ...]]:
    """Of the inputs, and of parameters but filters."""
    return [t.shape for t in (*trace.inputs, *(p for p in trace.parameters if len(p.shape) <= _MATRIX))]


def _rows(problem: Problem, names: Sequence[str], divisor: int) -> Iterator[dict[str, int]]:
    """Assignments for the search, then to verify; none is larger than the problem's own. One more tells sizes apart."""
    count = len(names)
    search, verify = _SEARCH.get(count, _MANY_SEARCH), _VERIFY.get(count, _MANY_VERIFY)
    for extents in (search, *verify):
        chosen = [max(1, extent // divisor) for extent in extents]
        yield {n: min(chosen[i % len(chosen)], problem.constants[n]) for i, n in enumerate(names)}


def _scaled(problem: Problem, names: Sequence[str], own: tuple[Trace, Trace], traced: list[Any]) -> Model:
    """One model over all rows that go together with its own sizes."""
    alike = [(row, traces) for row, traces in traced if _is_alike(traces, own)]
    if len(alike) < 2:
        raise UnscalableError("it does the same operations at no smaller sizes")
    full = {symbol(n): problem.constants[n] for n in names}
    rows = [{symbol(n): v for n, v in row.items()} for row, _ in alike]
    family = Family((full, *rows))
    plain, core = (united(family, [own[i], *(t[i] for _, t in alike)]) for i in (0, 1))
    search, *verify = [row for i, row in enumerate(rows) if row not in rows[:i]]
    return Model(plain, core, {"search": (search,), "verify": tuple(verify) or (search,), "report": (full,)})


def _is_alike(traces: tuple[Trace, Trace], own: tuple[Trace, Trace]) -> bool:
    """Whether the same operations are done: PyTorch leaves some out where an extent is 1."""
    return all([n.op for n in a.nodes] == [n.op for n in b.nodes] for a, b in zip(traces, own, strict=True))


def _fixed(own: tuple[Trace, Trace], warning: str) -> Model:
    """A model at its own sizes, of which one is named so that the task has a size."""
    sizes = ({"ITSELF": 1},)
    return Model(*own, {"search": sizes, "verify": sizes, "report": sizes}, (warning,))
