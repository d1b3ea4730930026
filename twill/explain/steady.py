"""Quantities of the steady state: what each unit, memory and register file holds at every slot, all modelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ir.graph import DependenceGraph, Op
from ir.machine import Machine
from ir.schedule import Schedule

MemoryName = Literal["smem", "tmem", "registers"]


@dataclass(frozen=True)
class Utilisation:
    """Cycles of each II in which a unit is busy, summed over its `count` instances."""

    unit: str
    count: int
    busy_cycles: int
    available_cycles: int
    ops: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """busy / (II * count); 0 where there is no II."""
        return self.busy_cycles / self.available_cycles if self.available_cycles else 0.0


@dataclass(frozen=True)
class Lifetime:
    """A result occupies `size` of `memory` from cycle `start_cycles` to before `end_cycles` of its own iteration."""

    op: str
    memory: MemoryName
    size: int
    start_cycles: int
    end_cycles: int
    group: int


@dataclass(frozen=True)
class Profile:
    """A step function over the slots: `amount` holds from its slot to the next step's.

    `allocated` is what the buffers take at their depth; None for registers and where there are no buffers.
    """

    memory: MemoryName
    label: str
    steps: tuple[tuple[int, int], ...]
    capacity: int | None
    allocated: int | None = None
    group: int | None = None

    @property
    def peak(self) -> int:
        """The largest amount at any slot."""
        return max(amount for _, amount in self.steps)


def unit_ops(graph: DependenceGraph, unit: str) -> tuple[Op, ...]:
    """Ops that hold the unit for at least one cycle, in graph order."""
    return tuple(op for op in graph.ops if op.unit == unit and op.occupancy_cycles)


def utilisations(graph: DependenceGraph, machine: Machine, ii_cycles: int | None) -> tuple[Utilisation, ...]:
    """Utilisation of every unit that has ops, busiest first (by share, then by name)."""
    rows = []
    for unit, count in machine.units.items():
        ops = unit_ops(graph, unit)
        busy = sum(op.occupancy_cycles for op in ops)
        rows.append(Utilisation(unit, count, busy, (ii_cycles or 0) * count, tuple(op.name for op in ops)))
    used = [row for row in rows if row.ops]
    return tuple(sorted(used, key=lambda row: (-row.busy_cycles / row.count, row.unit)))


def last_use_cycles(schedule: Schedule, name: str) -> int:
    """Cycle at which the result of an op is free: end of its last reader, or of the op itself."""
    graph, ii = schedule.graph, schedule.ii_cycles or 1
    end = schedule.by_op[name].time_cycles + graph.by_name[name].span_cycles
    for edge in graph.edges:
        if edge.source == name and edge.kind == "data":
            span = 0 if edge.in_place else graph.by_name[edge.target].span_cycles
            end = max(end, schedule.by_op[edge.target].time_cycles + edge.distance * ii + span)
    return end


def footprints(op: Op) -> tuple[tuple[MemoryName, int], ...]:
    """Where the result of an op is kept, and its size in that memory's unit."""
    sizes: tuple[tuple[MemoryName, int], ...] = (
        ("smem", op.smem_bytes),
        ("tmem", op.tmem_columns),
        ("registers", op.registers),
    )
    return tuple((memory, size) for memory, size in sizes if size)


def lifetimes(schedule: Schedule) -> tuple[Lifetime, ...]:
    """Lifetime of each result that takes storage, in graph order; none without placements."""
    if not schedule.found:
        return ()
    rows = []
    for op in schedule.graph.ops:
        placement = schedule.by_op[op.name]
        end = last_use_cycles(schedule, op.name)
        rows += [
            Lifetime(op.name, memory, size, placement.time_cycles, end, placement.group)
            for memory, size in footprints(op)
        ]
    return tuple(rows)


def memory_profiles(schedule: Schedule) -> tuple[Profile, ...]:
    """Shared memory and tensor memory over the slots; memories that nothing uses are left out."""
    machine, graph = schedule.machine, schedule.graph
    capacities = {"smem": machine.smem_bytes, "tmem": machine.tmem_columns}
    fixed = {
        "smem": sum(i.smem_bytes for i in graph.invariants),
        "tmem": sum(i.tmem_columns for i in graph.invariants),
    }
    names: tuple[MemoryName, ...] = ("smem", "tmem")
    rows = [_profile(schedule, memory, memory, fixed[memory], capacities[memory]) for memory in names]
    return tuple(row for row in rows if schedule.found and row.peak)


def register_profiles(schedule: Schedule) -> tuple[Profile, ...]:
    """Registers per thread of each warp group over the slots, reserved ones included; joint schedules only."""
    if not schedule.found or not schedule.joint:
        return ()
    rows = []
    for group in schedule.groups:
        label = f"group {group.index} ({group.role})"
        fixed = schedule.machine.reserved_registers + _invariant_registers(schedule, group.index)
        rows.append(_profile(schedule, "registers", label, fixed, group.registers_per_thread, group.index))
    return tuple(rows)


def covers(intervals: Iterable[tuple[int, int, int]], ii_cycles: int, fixed: int = 0) -> tuple[tuple[int, int], ...]:
    """Steps (slot, amount) of the sum of (start, end, size) intervals, each wrapped modulo II, plus `fixed`.

    >>> covers([(1, 6, 10)], 4)
    ((0, 10), (1, 20), (2, 10))
    """
    base, changes = fixed, {0: 0}
    for start, end, size in intervals:
        whole, rest = divmod(end - start, ii_cycles)
        base += whole * size
        for piece_start, piece_end in wrapped(start, rest, ii_cycles):
            changes[piece_start] = changes.get(piece_start, 0) + size
            if piece_end < ii_cycles:
                changes[piece_end] = changes.get(piece_end, 0) - size
    return _running(base, sorted(changes.items()))


def wrapped(start_cycles: int, duration_cycles: int, ii_cycles: int) -> tuple[tuple[int, int], ...]:
    """Pieces within [0, II) of an interval that starts at any cycle; a duration above II gives overlapping pieces.

    >>> wrapped(7, 3, 4), wrapped(1, 2, 4), wrapped(0, 9, 4)
    (((3, 4), (0, 2)), ((1, 3),), ((0, 4), (0, 4), (0, 1)))
    """
    pieces, slot, left = [], start_cycles % ii_cycles, duration_cycles
    while left > 0:
        length = min(left, ii_cycles - slot)
        pieces.append((slot, slot + length))
        slot, left = 0, left - length
    return tuple(pieces)


def _running(amount: int, changes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    steps: list[tuple[int, int]] = []
    for slot, change in changes:
        amount += change
        if not steps or steps[-1][1] != amount:
            steps.append((slot, amount))
    return tuple(steps)


def _profile(
    schedule: Schedule, memory: MemoryName, label: str, fixed: int, capacity: int | None, group: int | None = None
) -> Profile:
    ii = schedule.ii_cycles or 1
    rows = [row for row in lifetimes(schedule) if row.memory == memory and group in (None, row.group)]
    steps = covers(((row.start_cycles, row.end_cycles, row.size) for row in rows), ii, fixed)
    buffers = [b.size * b.depth for b in schedule.buffers if b.memory == memory]
    allocated = sum(buffers) + fixed if buffers and memory != "registers" else None
    return Profile(memory, label, steps, capacity, allocated, group)


def _invariant_registers(schedule: Schedule, group: int) -> int:
    members = {p.op for p in schedule.placements if p.group == group}
    return sum(i.registers for i in schedule.graph.invariants if members.intersection(i.readers))
