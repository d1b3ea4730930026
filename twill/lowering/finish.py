"""From a resolved draft to the dependence graph: storage that is taken over, waits, streaming loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ir.graph import Edge, Invariant, Op
from ir.types import Memory
from twill.lowering.draft import Draft, DraftEdge, DraftOp, Ref
from twill.lowering.strips import lead_cycles, strip_registers


@dataclass(frozen=True)
class Finisher:
    """Decides for each edge whether its reader waits on a barrier, and whether it takes over the source's storage."""

    draft: Draft
    drafts: tuple[DraftEdge, ...]

    def ops(self) -> tuple[Op, ...]:
        """The ops, with whole cycles."""
        fed = {edge.target for edge in self.drafts}
        strips = strip_registers(self.draft.ops, self.readers)
        ops = (replace(op, registers=strips.get(op.name, op.registers)) for op in self.draft.ops.values())
        ops = (op if op.name not in self.standing else _stripped(op) for op in ops)
        ops = (replace(op, handoff_cycles=op.handoff_cycles + self._head_start(op)) for op in ops)
        return tuple(_op(op, streaming=op.variable_latency and op.name not in fed) for op in ops)

    def _head_start(self, op: DraftOp) -> int:
        """Most cycles by which a reader starts before the result is whole; one in another group gets it whole."""
        if not op.handoff_cycles:
            return 0
        leads = (lead_cycles(op, self.draft.ops[edge.target]) for edge in self.readers[op.name])
        return max((op.latency_cycles - lead for lead in leads if lead is not None), default=0)

    def edges(self) -> tuple[Edge, ...]:
        """The edges in order of their targets."""
        position = {name: i for i, name in enumerate(self.draft.ops)}
        edges = sorted(self.drafts, key=lambda e: (position[e.target], position[e.source.op], e.source.distance))
        return tuple(self._edge(edge) for edge in edges)

    def invariants(self) -> tuple[Invariant, ...]:
        """Storage held through the loop; a value held in two memories has two entries."""
        named: dict[str, Invariant] = {}
        for invariant in self.draft.invariants.values():
            name = invariant.name if invariant.name not in named else f"{invariant.name}.copy"
            named[name] = replace(invariant, name=name)
        return (*named.values(), *(self._accumulator(ring) for ring in dict.fromkeys(self.standing.values())))

    def _accumulator(self, ring: tuple[str, ...]) -> Invariant:
        """The storage of a sum that stands; there are as many sums as iterations around the ring."""
        op = self.draft.ops[ring[0]]
        sums = sum(self.readers[name][0].source.distance for name in ring)
        readers = ring if op.registers else ()
        registers, columns = sums * op.registers, sums * op.tmem_columns
        return Invariant(f"{op.name}.accumulator", registers=registers, tmem_columns=columns, readers=readers)

    def _edge(self, edge: DraftEdge) -> Edge:
        source = self.draft.ops[edge.source.op]
        chained = self._is_chained(edge)
        return Edge(
            source=edge.source.op,
            target=edge.target,
            latency_cycles=source.occupancy_cycles if chained else self._latency(edge),
            distance=edge.source.distance,
            blocking=source.asynchronous and edge.role != "order" and not chained and self._is_first_wait(edge),
            kind="order" if edge.role == "order" else "data",
            in_place=self.takes_over.get(edge.target) == edge,
            assumed=edge.assumed,
            reason=edge.reason,
        )

    def _latency(self, edge: DraftEdge) -> int | None:
        """None where the reader needs the whole result."""
        if edge.latency_cycles is not None or edge.role == "order":
            return edge.latency_cycles
        return lead_cycles(self.draft.ops[edge.source.op], self.draft.ops[edge.target])

    def _is_chained(self, edge: DraftEdge) -> bool:
        """True from product to product through one accumulator: the tensor core works in order, nobody waits."""
        source, target = self.draft.ops[edge.source.op], self.draft.ops[edge.target]
        same = source.opcode == target.opcode and source.unit == target.unit
        return edge.role == "accumulator" and same

    def _is_first_wait(self, edge: DraftEdge) -> bool:
        """False where another reader waited before on every path."""
        return not any(
            other.source.distance <= edge.source.distance and edge.target in self.followers[other.target]
            for other in self.readers[edge.source.op]
            if other.target != edge.target and not self._is_chained(other)
        )

    @cached_property
    def readers(self) -> Mapping[str, tuple[DraftEdge, ...]]:
        """Data edges by source."""
        found: dict[str, list[DraftEdge]] = {name: [] for name in self.draft.ops}
        for edge in self.drafts:
            if edge.role != "order":
                found[edge.source.op].append(edge)
        return {name: tuple(edges) for name, edges in found.items()}

    @cached_property
    def followers(self) -> Mapping[str, frozenset[str]]:
        """Ops that come after each op in the same iteration."""
        after: dict[str, list[str]] = {name: [] for name in self.draft.ops}
        for edge in self.drafts:
            if edge.source.distance == 0:
                after[edge.source.op].append(edge.target)
        return {name: _reach(after, name) for name in self.draft.ops}

    @cached_property
    def takes_over(self) -> Mapping[str, DraftEdge]:
        """For each op the edge whose source's storage its result takes, if there is one."""
        found: dict[str, DraftEdge] = {}
        for edge in sorted(self.drafts, key=lambda e: e.role != "accumulator"):
            if edge.target not in found and self._fits(edge) and self._is_last_reader(edge):
                found[edge.target] = edge
        return found

    @cached_property
    def standing(self) -> Mapping[str, tuple[str, ...]]:
        """Products that only add to one sum, with all the products that do: the sum stands in its place all the time.

        Counting such a sum from each issue to the end of the product would count it twice, as the next product starts
        before the last one has left the pipeline.
        """
        found: dict[str, tuple[str, ...]] = {}
        for name in self.draft.ops:
            found.update(dict.fromkeys(self._ring(name) if name not in found else (), self._ring(name)))
        return found

    def _ring(self, name: str) -> tuple[str, ...]:
        """The products from `name` back to itself, each the only reader of the last; else empty."""
        ring, at = [name], name
        while len(self.readers[at]) == 1 and self._is_chained(self.readers[at][0]):
            at = self.readers[at][0].target
            if at == name:
                return tuple(ring)
            if at in ring:
                break
            ring.append(at)
        return ()

    def _fits(self, edge: DraftEdge) -> bool:
        source, target = self.draft.ops[edge.source.op], self.draft.ops[edge.target]
        if edge.role == "order" or not (target.fuses or edge.role == "accumulator") or source.memory != target.memory:
            return False
        if source.memory is Memory.TENSOR:
            return source.tmem_columns == target.tmem_columns
        return source.memory is Memory.REGISTERS and source.registers == target.registers

    def _is_last_reader(self, edge: DraftEdge) -> bool:
        """True where all other readers come surely before."""
        return all(self._is_before(other, edge) for other in self.readers[edge.source.op] if other is not edge)

    def _is_before(self, other: DraftEdge, edge: DraftEdge) -> bool:
        """True where `other` has read a value before `edge` reads the same one."""
        distance = edge.source.distance - other.source.distance
        if distance >= 0 and edge.target in self.followers[other.target]:
            return True
        return any(e.source == Ref(other.target, distance) and e.target == edge.target for e in self.drafts)


def _stripped(op: DraftOp) -> DraftOp:
    return replace(op, registers=0, tmem_columns=0)


def _reach(after: Mapping[str, Iterable[str]], start: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(after[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += after[name]
    return frozenset(found)


def _op(op: DraftOp, streaming: bool) -> Op:
    return Op(
        name=op.name,
        unit=op.unit,
        latency_cycles=op.latency_cycles,
        occupancy_cycles=op.occupancy_cycles,
        issue_cycles=max(1, op.occupancy_cycles) if op.issue_cycles is None else op.issue_cycles,
        smem_bytes=op.smem_bytes,
        tmem_columns=op.tmem_columns,
        registers=op.registers,
        warps=op.warps,
        variable_latency=op.variable_latency,
        streaming=streaming,
        handoff_cycles=op.handoff_cycles,
        opcode=op.opcode,
        detail=op.detail,
        location=op.location,
    )
