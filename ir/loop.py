"""A kernel as SSA: operations, counted loops with loop-carried values, nested as in the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ir.diagnostics import Location
from ir.types import Type

Attribute = int | float | str | bool | tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """One SSA value; `name` is unique in its kernel and follows the source variable where there is one."""

    name: str
    type: Type


@dataclass(frozen=True)
class Predicate:
    """The operation takes effect only where the i1 value `condition` equals `expected` (an if inside a loop)."""

    condition: str
    expected: bool = True


@dataclass(frozen=True)
class Operation:
    """One operation: `opcode` in the source dialect's spelling (`tt.dot`), operands by value name.

    `combiner` names the scalar operations inside a reduce or scan, in order.
    """

    opcode: str
    operands: tuple[str, ...] = ()
    results: tuple[Value, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    predicates: tuple[Predicate, ...] = ()
    combiner: tuple[str, ...] = ()
    location: Location | None = None


@dataclass(frozen=True)
class Carried:
    """A loop-carried value: `argument` is `initial` in the first iteration, then the last `yielded`; `result` after."""

    argument: Value
    initial: str
    yielded: str
    result: Value


@dataclass(frozen=True)
class Loop:
    """`for induction in range(lower, upper, step)`; bounds by value name. `trip_count` where it is a constant.

    `name` is the path in the loop tree: `0`, `0.1`, ... in source order. `refusal` says why the loop cannot be
    scheduled (a while loop, a call that cannot be seen into), None where it can. `predicates` are the ifs around the
    loop; those of the operations inside it start afresh.
    """

    name: str
    induction: Value | None
    lower: str = ""
    upper: str = ""
    step: str = ""
    carried: tuple[Carried, ...] = ()
    body: tuple[Operation | Loop, ...] = ()
    trip_count: int | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    location: Location | None = None
    refusal: str | None = None
    predicates: tuple[Predicate, ...] = ()

    @property
    def is_innermost(self) -> bool:
        """True where the body holds no further loop."""
        return not any(isinstance(item, Loop) for item in self.body)


@dataclass(frozen=True)
class Kernel:
    """A kernel: arguments, straight-line operations and loops in source order.

    `source` is the file that it came from, `dialect` one of ttir, ttgir, ptx. `argument_attributes` is what the
    compiler was told of an argument, by its name (`tt.divisibility`); `attributes` are the options of the compilation.
    """

    name: str
    arguments: tuple[Value, ...] = ()
    body: tuple[Operation | Loop, ...] = ()
    source: str = ""
    dialect: str = "ttir"
    warps: int = 4
    location: Location | None = None
    argument_attributes: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def loops(self) -> Iterator[Loop]:
        """Every loop, outer before inner, in source order."""
        return _loops(self.body)


def _loops(body: tuple[Operation | Loop, ...]) -> Iterator[Loop]:
    for item in body:
        if isinstance(item, Loop):
            yield item
            yield from _loops(item.body)
