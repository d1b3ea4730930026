"""From issue times and groups to a complete schedule: buffers, group table, budgets, the values of the objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ir.graph import Op
from ir.schedule import Buffer, Placement, Schedule, Status, WarpGroup
from twill.problem.problem import Family, Problem

_MEMORIES: tuple[Literal["smem", "tmem", "registers"], ...] = ("smem", "tmem", "registers")


@dataclass(frozen=True)
class Assignment:
    """Times (not below 0) and groups by position in `graph.ops`; `times` are moved so that the first is 0."""

    problem: Problem
    ii: int
    times: tuple[int, ...]
    groups: tuple[int, ...]

    @cached_property
    def length(self) -> int:
        """Cycles to the end of the last op."""
        return max(t + op.span_cycles for t, op in zip(self.times, self.problem.graph.ops, strict=True))

    @cached_property
    def used(self) -> tuple[int, ...]:
        """Groups in use, ascending."""
        return tuple(sorted(set(self.groups)))

    @cached_property
    def crossings(self) -> int:
        """Edges between different groups."""
        index = self.problem.graph.index
        return sum(self.groups[index[e.source]] != self.groups[index[e.target]] for e in self.problem.graph.edges)

    @cached_property
    def lives(self) -> tuple[int, ...]:
        """Cycles that each result lives."""
        graph = self.problem.graph
        ends = [t + op.span_cycles for t, op in zip(self.times, graph.ops, strict=True)]
        for edge in graph.edges:
            if edge.kind == "data":
                u, v = graph.index[edge.source], graph.index[edge.target]
                hold = 0 if edge.in_place else graph.ops[v].span_cycles
                ends[u] = max(ends[u], self.times[v] + edge.distance * self.ii + hold)
        return tuple(end - t for end, t in zip(ends, self.times, strict=True))

    def copies(self, v: int, slot: int) -> int:
        """Live copies of the result of op `v` at a slot."""
        return (self.lives[v] - (slot - self.times[v]) % self.ii + self.ii - 1) // self.ii

    def register_needs(self, g: int) -> dict[int, int]:
        """Registers of a thread of group `g` at the slot of each op whose result takes some: the peak is among them."""
        members = {v: op for v, op in enumerate(self.problem.graph.ops) if self.groups[v] == g}
        sizes = {v: op.registers for v, op in members.items() if op.registers}
        base = self.held_registers(g)
        slots = {v: self.times[v] % self.ii for v in sizes}
        return {j: base + sum(size * self.copies(v, slots[j]) for v, size in sizes.items()) for j in sizes}

    def held_registers(self, g: int) -> int:
        """Registers of a thread of group `g` that are held in every slot."""
        names = {op.name for v, op in enumerate(self.problem.graph.ops) if self.groups[v] == g}
        held = sum(value.registers for value in self.problem.graph.invariants if names.intersection(value.readers))
        return self.problem.machine.reserved_registers + held

    def schedule(self, status: Status, solver: str) -> Schedule:
        """The schedule without its certificate."""
        ops = self.problem.graph.ops
        joint = self.problem.joint
        return Schedule(
            status,
            self.problem.graph,
            self.problem.machine,
            solver,
            joint,
            self.ii,
            self.length,
            tuple(Placement(op.name, t, g) for op, t, g in zip(ops, self.times, self.groups, strict=True)),
            tuple(self._rows()) if joint else (),
            tuple(self._buffers()) if joint else (),
        )

    def _rows(self) -> Iterator[WarpGroup]:
        loads = self.problem.has_load_group
        for g in self.used:
            warps = max(op.warps for op, group in zip(self.problem.graph.ops, self.groups, strict=True) if group == g)
            role = "load" if loads and g == 0 else f"group {g}"
            yield WarpGroup(g, role, warps, self._budget(g))

    def _budget(self, g: int) -> int | None:
        """The smallest budget that holds what is live in the group."""
        machine = self.problem.machine
        if machine.registers_per_sm is None:
            return None
        peak = max(self.register_needs(g).values(), default=self.held_registers(g))
        needed = max(machine.min_registers_per_thread, peak)
        return -(-needed // machine.register_granularity) * machine.register_granularity

    def _buffers(self) -> Iterator[Buffer]:
        for v, op in enumerate(self.problem.graph.ops):
            for memory, size in zip(_MEMORIES, (op.smem_bytes, op.tmem_columns, op.registers), strict=True):
                if size:
                    depth = -(-self.lives[v] // self.ii)
                    yield Buffer(op.name, memory, size, self.lives[v], depth, depth)


def assignment(problem: Problem, ii: int, times: Sequence[int], groups: Sequence[int]) -> Assignment:
    """An assignment with its times moved so that the first is 0."""
    first = min(times)
    return Assignment(problem, ii, tuple(t - first for t in times), tuple(groups))


def pinned_ii(problem: Problem) -> int | None:
    """The II that the pins fix, None where they do not."""
    return problem.pins.ii_cycles if problem.joint and problem.has(Family.PINS) else None


def last_ii(problem: Problem) -> int:
    """Feasibility grows with II up to here and not beyond: what is infeasible here is infeasible."""
    last = busy_cycles(problem)
    return pinned_ii(problem) or min(last, problem.max_ii or last)


def busy_cycles(problem: Problem) -> int:
    """An II beyond which nothing changes: the cycles in which some op is held up, if all came one after another.

    At a larger II some slot lies within no op's latency, occupancy, issue, delay or wait; without that slot the
    schedule is still one, at an II smaller by 1.
    """
    graph = problem.graph
    reach: dict[str, int] = {op.name: _own_cycles(op) for op in graph.ops}
    for edge in graph.edges:
        delay = graph.delay_cycles(edge) + graph.by_name[edge.source].handoff_cycles
        reach[edge.source] = max(reach[edge.source], delay)
    waits = len({edge.target for edge in graph.edges if edge.blocking}) * problem.machine.wait_cycles
    return sum(reach.values()) + waits


def _own_cycles(op: Op) -> int:
    return max(op.span_cycles, op.occupancy_cycles, op.issue_cycles)
