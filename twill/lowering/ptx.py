"""PTX loop to dependence graph: one op for each instruction of one warp, on the pipes of a sub-core.

An instruction that holds its pipe longer than its issue slot is two ops: `x.issue`, which takes the slot and waits for
the operands, and `x`, which holds the pipe and gives the result. A queue between the two lets other instructions issue.
Registers are in SSA form, so that a register that is written again costs nothing (modulo variable expansion).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ir.diagnostics import fail
from ir.graph import DependenceGraph, Edge, Op
from ir.loop import Kernel, Loop, Operation
from ir.machine import Machine
from twill.lowering.ptx_body import LoopBody, known_constants
from twill.lowering.ptx_costs import Cost, Shape, cost_of
from twill.lowering.ptx_machine import SUBCORES, instruction_machine
from twill.lowering.ptx_memory import memory_dependences
from twill.lowering.ptx_order import Synchronisation

__all__ = ["instruction_machine", "lower_ptx"]

_NOTES = (
    f"one warp's instruction stream on one of {SUBCORES} sub-cores, with its share of what they have in common",
    "global loads hit the L2 cache and are coalesced, shared memory has no bank conflicts",
)
_WAIT_NOTE = (
    "waits on mbarriers: which phase they wait for is not known, so no latency of what they wait for is counted"
)
_DESCRIPTOR_NOTE = (
    "tcgen05.mma: the shape is read from the descriptor where it is a constant, else 128 x 128 is assumed"
)


def lower_ptx(kernel: Kernel, loop: Loop, machine: Machine) -> DependenceGraph:
    """The dependence graph of an innermost PTX loop, for `instruction_machine(machine)` and a problem with joint=False.

    Raises UserError: the loop was refused or holds another loop, or the machine lacks a rate that an instruction needs.
    """
    if loop.refusal is not None:
        raise fail("loop-refused", f"loop {loop.name} cannot be scheduled: {loop.refusal}", loop.location)
    return _Lowering(kernel, LoopBody(loop, known_constants(kernel.body)), machine).graph()


@dataclass(frozen=True)
class _Lowering:
    kernel: Kernel
    body: LoopBody
    machine: Machine

    def graph(self) -> DependenceGraph:
        loop = self.body.loop
        return DependenceGraph(
            name=f"{self.kernel.name}.{loop.name}",
            ops=tuple(op for i in range(len(self.names)) for op in self._ops(i)),
            edges=_strongest((*self._issue_edges(), *self._data_edges(), *self._order_edges())),
            trip_count=loop.trip_count,
            location=loop.location,
            notes=self._notes(),
        )

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """By position."""
        constant = self.body.constant
        return tuple(
            cost_of(Shape(operation, self.machine, self.kernel.warps, constant)) for operation in self.body.operations
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Op names by position: the result register, else the opcode without its types, made unique."""
        used = {value.name for operation in self.body.operations for value in operation.results}
        return tuple(_unique_name(operation, used) for operation in self.body.operations)

    def _is_split(self, position: int) -> bool:
        cost = self.costs[position]
        return cost.pipe is not None and (cost.occupancy_cycles > 1 or cost.slots > 1)

    def _entry(self, position: int) -> str:
        """The op that waits for operands."""
        return f"{self.names[position]}.issue" if self._is_split(position) else self.names[position]

    def _ops(self, position: int) -> Iterator[Op]:
        operation, cost, name = self.body.operations[position], self.costs[position], self.names[position]
        detail = str(operation.attributes.get("text", ""))
        split = self._is_split(position)
        if split:
            yield Op(
                f"{name}.issue", "issue", 0, cost.slots, issue_cycles=cost.slots, location=operation.location,
                opcode=operation.opcode, detail=f"issue slot of: {detail}",
            )  # fmt: skip
        unit = cost.pipe if split else "issue" if cost.slots else None
        yield Op(
            name,
            unit,
            cost.latency_cycles,
            cost.occupancy_cycles if unit else 0,
            issue_cycles=0 if split else cost.slots,
            registers=sum(_registers(value.type.bytes) for value in operation.results if value.type.element != "i1"),
            variable_latency=cost.variable,
            detail=detail,
            location=operation.location,
            opcode=operation.opcode,
        )

    def _issue_edges(self) -> Iterator[Edge]:
        for position, name in enumerate(self.names):
            if self._is_split(position):
                yield Edge(self._entry(position), name, 0, kind="order", reason="an instruction issues, then runs")

    def _data_edges(self) -> Iterator[Edge]:
        for target in range(len(self.names)):
            for source in self.body.reads(target):
                chained = self._latency_between(source.position, target)
                yield Edge(self.names[source.position], self._entry(target), chained, source.distance)

    def _latency_between(self, source: int, target: int) -> int | None:
        """Products that add to the same registers follow each other at the pace of the tensor core."""
        opcodes = (self.body.operations[source].opcode, self.body.operations[target].opcode)
        chained = all(opcode.startswith("wgmma.mma_async") for opcode in opcodes)
        return self.costs[source].occupancy_cycles if chained else None

    def _order_edges(self) -> Iterator[Edge]:
        synchronisation = Synchronisation(self.body, lambda i: self.costs[i].latency_cycles)
        for order in synchronisation.orders():
            yield Edge(
                self.names[order.source], self._entry(order.target), order.latency_cycles, order.distance,
                kind="order", reason=order.reason,
            )  # fmt: skip
        for found in memory_dependences(self.body, synchronisation.full_barriers):
            yield Edge(
                self.names[found.source], self._entry(found.target), 1, found.distance,
                kind="order", assumed=found.assumed, reason=found.reason,
            )  # fmt: skip

    def _notes(self) -> tuple[str, ...]:
        opcodes = [operation.opcode for operation in self.body.operations]
        waits = any(opcode.startswith("mbarrier.") and "wait" in opcode for opcode in opcodes)
        products = any(opcode.startswith("tcgen05.mma") for opcode in opcodes)
        return (*_NOTES, *([_WAIT_NOTE] if waits else []), *([_DESCRIPTOR_NOTE] if products else []))


def _registers(size_bytes: int) -> int:
    return -(-size_bytes // 4)


def _unique_name(operation: Operation, used: set[str]) -> str:
    if operation.results:
        return operation.results[0].name
    stem = ".".join(operation.opcode.split(".")[:2])
    name, number = stem, 1
    while name in used:
        number += 1
        name = f"{stem}.{number}"
    used.add(name)
    return name


def _strongest(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """One edge for each pair, distance and kind: the one with the longest latency (None, the source's own, wins)."""
    kept: dict[tuple[str, str, int, str], Edge] = {}
    for edge in edges:
        key = edge.source, edge.target, edge.distance, edge.kind
        other = kept.get(key)
        if other is None or _weight(edge) > _weight(other):
            kept[key] = edge
    return tuple(kept.values())


def _weight(edge: Edge) -> float:
    return float("inf") if edge.latency_cycles is None else edge.latency_cycles
