"""The dependence graph of one loop body: tile operations with costs and footprints, edges with distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Len

from ir.diagnostics import Location

if TYPE_CHECKING:
    import networkx

Count = Annotated[int, Ge(0), Le(2**31 - 1)]
Name = Annotated[str, Len(1)]


@dataclass(frozen=True)
class Op:
    """One tile-level operation.

    latency_cycles: from issue to result. occupancy_cycles: how long one instance of `unit` is held from issue on.
    issue_cycles: how long the warp group's instruction stream is busy issuing it (1 for an asynchronous launch, the
    occupancy for arithmetic that the warps execute themselves). smem_bytes, tmem_columns: footprint of the result;
    registers: 32-bit registers that the result takes in each thread of its group. warps: what the group must have.
    variable_latency: latency known only at run time (TMA). streaming: variable latency and no incoming data, so
    that it can run ahead: its latency counts as 0 in the recurrence and sets the buffer depth instead.
    handoff_cycles: extra delay where a consumer sits in another warp group.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: Name
    unit: str | None = None
    latency_cycles: Count = 0
    occupancy_cycles: Count = 0
    issue_cycles: Count = 1
    smem_bytes: Count = 0
    tmem_columns: Count = 0
    registers: Count = 0
    warps: Count = 1
    variable_latency: bool = False
    streaming: bool = False
    handoff_cycles: Count = 0
    opcode: str = ""
    detail: str = ""
    location: Location | None = None

    @property
    def span_cycles(self) -> int:
        """Cycles from issue until the op is done reading and writing, at least 1; a streaming latency counts as 0."""
        latency = 0 if self.streaming else self.latency_cycles
        return max(1, latency, self.occupancy_cycles)


@dataclass(frozen=True)
class Edge:
    """`target` of iteration i issues at least `latency_cycles` after `source` of iteration i - distance.

    latency_cycles: None means the source's latency. blocking: the target's group sits in a wait just before it.
    kind: `data` edges keep the source's result alive, `order` edges (memory, control) only order. in_place: the target
    takes over the storage of the source's result, which is therefore free at the target's issue, not at its end.
    assumed: the dependence could not be disproved and is kept to be safe; `reason` says which.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    source: Name
    target: Name
    latency_cycles: Count | None = None
    distance: Count = 0
    blocking: bool = False
    kind: Literal["data", "order"] = "data"
    in_place: bool = False
    assumed: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Invariant:
    """Storage held through the whole loop; its registers count in every group that has one of `readers`."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: Name
    smem_bytes: Count = 0
    tmem_columns: Count = 0
    registers: Count = 0
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class DependenceGraph:
    """Operations and dependences of one loop body; edge ends are op names. `subtiles`: copies made of the body."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str
    ops: tuple[Op, ...]
    edges: tuple[Edge, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    subtiles: Annotated[int, Ge(1)] = 1
    trip_count: Count | None = None
    location: Location | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Op]:
        """Ops by name."""
        return {op.name: op for op in self.ops}

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each op in `ops`."""
        return {op.name: i for i, op in enumerate(self.ops)}

    def delay_cycles(self, edge: Edge) -> int:
        """Delay that the edge asks for inside one group: 0 from a streaming source, else its own or its source's."""
        source = self.by_name[edge.source]
        if source.streaming:
            return 0
        return source.latency_cycles if edge.latency_cycles is None else edge.latency_cycles

    @cached_property
    def networkx(self) -> networkx.MultiDiGraph[str]:
        """The same graph for networkx: node attribute `op`, edge attributes `edge`, `delay`, `distance`."""
        import networkx

        graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(name=self.name)
        graph.add_nodes_from((op.name, {"op": op}) for op in self.ops)
        for edge in self.edges:
            graph.add_edge(edge.source, edge.target, edge=edge, delay=self.delay_cycles(edge), distance=edge.distance)
        return graph
