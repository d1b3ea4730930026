"""The graph while it is being built: draft ops with exact costs, references to results, and tiles in their places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from ir.diagnostics import Location
from ir.graph import Invariant
from ir.types import Memory, Type


@dataclass(frozen=True, order=True)
class Ref:
    """The result of op `op`, `distance` iterations ago; names with `@` stand for loop-carried values until the end."""

    op: str
    distance: int = 0


Refs = tuple[Ref, ...]


@dataclass(frozen=True)
class Tile:
    """A value of one copy of the body, and where it is.

    memory: None for what costs nothing to hold (addresses, indices, constants, scalars). refs: the ops whose results
    it depends on. stored: the invariant that it is read from. transposed: a view, with axes exchanged. inner: the axis
    along which neighbours are adjacent in shared memory, where that is known.
    """

    name: str
    type: Type
    refs: Refs = ()
    memory: Memory | None = None
    stored: str | None = None
    transposed: bool = False
    inner: int | None = None
    copy: int | None = None


@dataclass(frozen=True)
class DraftOp:
    """An op before rounding: `cycles` of its unit, `depth_cycles` more until the result is there.

    issue_cycles None: the warps issue instructions all the time (the occupancy). asynchronous: readers have to wait on
    a barrier. fuses: elementwise, may be merged with a neighbour. result None: nothing that stays in a memory.
    """

    name: str
    opcode: str
    unit: str | None
    cycles: float
    depth_cycles: int = 0
    issue_cycles: int | None = None
    result: Type | None = None
    memory: Memory | None = None
    registers: int = 0
    tmem_columns: int = 0
    smem_bytes: int = 0
    warps: int = 4
    handoff_cycles: int = 0
    asynchronous: bool = False
    variable_latency: bool = False
    fuses: bool = False
    detail: str = ""
    location: Location | None = None

    @property
    def occupancy_cycles(self) -> int:
        """Whole cycles for which the unit is held."""
        return math.ceil(self.cycles - 1e-9)

    @property
    def latency_cycles(self) -> int:
        """Cycles from issue to result."""
        return self.occupancy_cycles + self.depth_cycles


Role = Literal["data", "accumulator", "order"]


@dataclass(frozen=True)
class DraftEdge:
    """A dependence on `source`; an accumulator is changed where it is. latency_cycles None: the source's."""

    source: Ref
    target: str
    role: Role = "data"
    latency_cycles: int | None = None
    assumed: bool = False
    reason: str = ""


@dataclass
class Draft:
    """Ops by name in order of issue, edges, invariants and notes."""

    ops: dict[str, DraftOp] = field(default_factory=dict)
    edges: list[DraftEdge] = field(default_factory=list)
    invariants: dict[str, Invariant] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """The name, or the name with a number before its copy's bracket."""
        stem, bracket, copy = name.partition("[")
        found, number = name, 0
        while found in self.ops:
            number += 1
            found = f"{stem}_{number}{bracket}{copy}"
        return found

    def add(self, op: DraftOp, refs: Iterable[Ref], edges: Iterable[DraftEdge] = ()) -> Refs:
        """Append an op that reads `refs`, with further edges; returns the reference to its result."""
        op = replace(op, name=self.unique(op.name))
        self.ops[op.name] = op
        self.edges += [DraftEdge(ref, op.name) for ref in dict.fromkeys(refs)]
        self.edges += [replace(edge, target=op.name) for edge in edges]
        return (Ref(op.name),)

    def note(self, text: str) -> None:
        """Keep one sentence for the reader of the graph, once."""
        self.notes[text] = None

    def hold(self, invariant: Invariant, reader: str) -> None:
        """Storage held through the loop; the same name and place is held once, for all its readers."""
        key = (
            f"{invariant.name}:{'smem' if invariant.smem_bytes else 'tmem' if invariant.tmem_columns else 'registers'}"
        )
        known = self.invariants.get(key, invariant)
        readers = tuple(dict.fromkeys((*known.readers, reader))) if invariant.registers else ()
        self.invariants[key] = replace(known, readers=readers)


def bracketed(name: str, copy: int | None) -> str:
    """The name of one copy.

    >>> bracketed("qk", 1), bracketed("k", None)
    ('qk[1]', 'k')
    """
    return name if copy is None else f"{name}[{copy}]"
