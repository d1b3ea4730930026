"""How much of each memory the schedule takes, and how much deeper the buffers could be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ir.schedule import Buffer, Schedule
from twill.explain.steady import MemoryName, memory_profiles
from twill.explain.words import plural, size_text


@dataclass(frozen=True)
class Headroom:
    """One memory: modelled peak of live values, what the buffers take, the capacity, and what is free beside both."""

    memory: MemoryName
    peak: int
    allocated: int
    capacity: int | None
    free: int | None


@dataclass(frozen=True)
class Deeper:
    """The largest depth of one buffer that fits beside the others as they are."""

    buffer: Buffer
    depth_fits: int


@dataclass(frozen=True)
class Memory:
    """Headroom of each memory in use, the depth that would fit, and the register file in registers of the SM."""

    headroom: tuple[Headroom, ...]
    deeper: tuple[Deeper, ...]
    registers_used: int
    lines: tuple[str, ...]


def explain_memory(schedule: Schedule) -> Memory:
    """Memory of a found schedule; nothing for a modulo schedule."""
    if not schedule.joint:
        return Memory((), (), 0, ())
    rows = tuple(_headroom(schedule))
    deeper = tuple(_deeper(schedule, rows))
    threads = schedule.machine.threads_per_warp
    registers = sum(g.warps * threads * (g.registers_per_thread or 0) for g in schedule.groups)
    lines = (*map(_headroom_text, rows), *map(_depth_text, deeper), *_register_lines(schedule, registers))
    return Memory(rows, deeper, registers, lines)


def _headroom(schedule: Schedule) -> Iterator[Headroom]:
    for profile in memory_profiles(schedule):
        allocated = max(profile.peak, profile.allocated or 0)
        free = None if profile.capacity is None else profile.capacity - allocated
        yield Headroom(profile.memory, profile.peak, allocated, profile.capacity, free)


def _deeper(schedule: Schedule, rows: tuple[Headroom, ...]) -> Iterator[Deeper]:
    free = {row.memory: row.free for row in rows}
    for buffer in schedule.buffers:
        spare = free.get(buffer.memory)
        if spare is not None and buffer.size:
            yield Deeper(buffer, buffer.depth + max(0, spare) // buffer.size)


def _headroom_text(row: Headroom) -> str:
    taken, peak = size_text(row.allocated, row.memory), size_text(row.peak, row.memory)
    if row.capacity is None:
        return f"{row.memory}: {taken} taken, no limit."
    free = size_text(max(0, row.free or 0), row.memory)
    allowed = size_text(row.capacity, row.memory)
    return f"{row.memory}: {taken} of {allowed} taken by buffers and invariants (modelled peak {peak}); {free} free."


def _depth_text(row: Deeper) -> str:
    buffer = row.buffer
    each = size_text(buffer.size, buffer.memory)
    now = f"  {buffer.op}: depth {buffer.depth} x {each}, the schedule needs {buffer.needed_depth}"
    return f"{now}; depth {row.depth_fits} would fit" if row.depth_fits > buffer.depth else f"{now}; no deeper one fits"


def _register_lines(schedule: Schedule, used: int) -> Iterator[str]:
    limit, threads = schedule.machine.registers_per_sm, schedule.machine.threads_per_warp
    budgets = [g for g in schedule.groups if g.registers_per_thread is not None]
    if limit is None or not budgets:
        return
    parts = " + ".join(f"{g.warps} x {threads} x {g.registers_per_thread}" for g in budgets)
    yield f"Registers: {parts} = {plural(used, 'register')} of {limit}; {limit - used} free."
