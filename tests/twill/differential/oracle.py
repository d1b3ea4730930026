"""The problem page once more, as slowly and literally as it can be written: which families does an assignment break?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ir.graph import Op
from ir.schedule import Buffer, Certificate, Level, Placement, Rejection, Schedule, Status, WarpGroup
from twill.problem.problem import Family, Problem


def covered(start: int, end: int, slot: int, ii: int) -> int:
    """How many integers k have start <= slot + k * ii < end, by trying them all."""
    reach = abs(start) // ii + abs(end) // ii + 2
    return sum(start <= slot + k * ii < end for k in range(-reach, reach + 1))


@dataclass(frozen=True)
class Assignment:
    """An II, issue times, groups (all 0 for a modulo problem) and budgets by group (None: the smallest that fit)."""

    problem: Problem
    ii: int
    times: Mapping[str, int]
    groups: Mapping[str, int]
    given_budgets: Mapping[int, int] | None = None

    @property
    def ops(self) -> Sequence[Op]:
        return self.problem.graph.ops

    @property
    def used(self) -> list[int]:
        return sorted(set(self.groups.values()))

    def end(self, op: Op) -> int:
        ends = [self.times[op.name] + op.span_cycles]
        for edge in self.problem.graph.edges:
            if edge.kind == "data" and edge.source == op.name:
                reading = self.times[edge.target] + edge.distance * self.ii
                ends.append(reading if edge.in_place else reading + self.problem.graph.by_name[edge.target].span_cycles)
        return max(ends)

    def live(self, op: Op, slot: int) -> int:
        return covered(self.times[op.name], self.end(op), slot, self.ii)

    def warps(self, group: int) -> int:
        return max(op.warps for op in self.ops if self.groups[op.name] == group)

    def peak_registers(self, group: int) -> int:
        members = [op for op in self.ops if self.groups[op.name] == group]
        names = {op.name for op in members}
        held = sum(v.registers for v in self.problem.graph.invariants if names & set(v.readers))
        peak = max(sum(op.registers * self.live(op, slot) for op in members) for slot in range(self.ii))
        return self.problem.machine.reserved_registers + held + peak

    def budgets(self) -> dict[int, int]:
        if self.given_budgets is not None:
            return dict(self.given_budgets)
        step, low = self.problem.machine.register_granularity, self.problem.machine.min_registers_per_thread
        return {g: -(-max(low, self.peak_registers(g)) // step) * step for g in self.used}

    def length(self) -> int:
        return max(self.times[op.name] + op.span_cycles for op in self.ops)

    def crossings(self) -> int:
        return sum(self.groups[e.source] != self.groups[e.target] for e in self.problem.graph.edges)

    def broken(self) -> set[Family]:
        """The families that the assignment breaks, of those that the problem has."""
        return {family for family in self._all_broken() if self.problem.has(family)} | self._no_specialization()

    def _no_specialization(self) -> set[Family]:
        one_group_only = self.problem.joint and not self.problem.machine.warp_specialization
        return {Family.GROUPS} if one_group_only and len(self.used) > 1 else set()

    def _all_broken(self) -> Iterator[Family]:
        yield from self._stage_1()
        if self.problem.joint:
            yield from self._memories()
            yield from self._groups()
            yield from self._registers()
            yield from self._edges_across()
            yield from self._blocking()
            yield from self._pins()

    def _stage_1(self) -> Iterator[Family]:
        problem, times = self.problem, self.times
        for e in problem.graph.edges:
            if times[e.target] < times[e.source] + problem.graph.delay_cycles(e) - e.distance * self.ii:
                yield Family.DEPENDENCE
        for unit, count in problem.machine.units.items():
            users = [op for op in self.ops if op.unit == unit]
            for slot in range(self.ii):
                spans = ((times[op.name], times[op.name] + op.occupancy_cycles) for op in users)
                if sum(covered(*span, slot, self.ii) for span in spans) > count:
                    yield Family.UNIT
        if problem.max_stages is not None and max(times.values()) >= problem.max_stages * self.ii:
            yield Family.STAGES

    def _memories(self) -> Iterator[Family]:
        machine, invariants = self.problem.machine, self.problem.graph.invariants
        for slot in range(self.ii):
            smem = sum(op.smem_bytes * self.live(op, slot) for op in self.ops) + sum(v.smem_bytes for v in invariants)
            if machine.smem_bytes is not None and smem > machine.smem_bytes:
                yield Family.SMEM
            tmem = sum(op.tmem_columns * self.live(op, slot) for op in self.ops)
            tmem += sum(v.tmem_columns for v in invariants)
            if machine.tmem_columns is not None and tmem > machine.tmem_columns:
                yield Family.TMEM

    def _groups(self) -> Iterator[Family]:
        if len(self.used) > self.problem.group_limit:
            yield Family.GROUPS
        if sum(self.warps(g) for g in self.used) > self.problem.machine.max_warps:
            yield Family.GROUP_WARPS
        if self.problem.has_load_group and any(op.variable_latency != (self.groups[op.name] == 0) for op in self.ops):
            yield Family.VARIABLE_LATENCY

    def _registers(self) -> Iterator[Family]:
        machine, budgets = self.problem.machine, self.budgets()
        if machine.registers_per_sm is None:
            return
        for g, budget in budgets.items():
            if budget % machine.register_granularity or budget < self.peak_registers(g):
                yield Family.REGISTERS
            if not machine.min_registers_per_thread <= budget <= machine.max_registers_per_thread:
                yield Family.REGISTERS
        if sum(machine.threads_per_warp * self.warps(g) * budgets[g] for g in budgets) > machine.registers_per_sm:
            yield Family.REGISTERS

    def _edges_across(self) -> Iterator[Family]:
        graph, times = self.problem.graph, self.times
        for e in graph.edges:
            if self.groups[e.source] != self.groups[e.target]:
                source = graph.by_name[e.source]
                ready = times[e.source] + graph.delay_cycles(e) + source.handoff_cycles - e.distance * self.ii
                if times[e.target] < ready:
                    yield Family.HANDOFF
                if self.problem.forbid_register_handoff and e.kind == "data" and source.registers:
                    yield Family.REGISTER_HANDOFF

    def _blocking(self) -> Iterator[Family]:
        wait = self.problem.machine.wait_cycles
        for e in self.problem.graph.edges:
            for x in self.ops:
                if e.blocking and self.groups[x.name] == self.groups[e.target]:
                    at, start = self.times[e.target], self.times[x.name]
                    issue = start + max(1, x.issue_cycles)
                    if any(
                        covered(at - wait, at, slot, self.ii) and covered(start, issue, slot, self.ii)
                        for slot in range(self.ii)
                    ):
                        yield Family.BLOCKING

    def _pins(self) -> Iterator[Family]:
        pins, times = self.problem.pins, self.times
        wrong = [pins.ii_cycles not in (None, self.ii)]
        smallest = min(t // self.ii for t in times.values())
        wrong += [times[op] // self.ii - smallest != stage for op, stage in pins.stages.items()]
        for a, label in pins.groups.items():
            wrong += [(self.groups[a] == self.groups[b]) != (label == other) for b, other in pins.groups.items()]
        for order in pins.orders:
            entries = [*order.entries]
            if order.cyclic and entries:
                entries.append((entries[0][0], entries[0][1] + 1))
            wrong += [times[a] + i * self.ii > times[b] + k * self.ii for (a, i), (b, k) in pairwise(entries)]
        if any(wrong):
            yield Family.PINS

    def schedule(self, status: Status = Status.OPTIMAL) -> Schedule:
        """The complete record of this assignment; an optimal one claims every level as proven."""
        problem, length = self.problem, self.length()
        values = {"ii": self.ii, "length": length}
        if problem.joint:
            values |= {"groups": len(self.used), "crossings": self.crossings()}
        levels = tuple(Level(name, value, value, "test") for name, value in values.items())  # type: ignore[arg-type]
        budgets = self.budgets()
        rows = (WarpGroup(g, f"group {g}", self.warps(g), budgets[g]) for g in self.used)
        rejections = (Rejection(self.ii - 1, "test"),) if self.ii > 1 else ()
        return Schedule(
            status,
            problem.graph,
            problem.machine,
            "test",
            problem.joint,
            self.ii,
            length,
            tuple(Placement(op.name, self.times[op.name], self.groups[op.name]) for op in self.ops),
            tuple(rows) if problem.joint else (),
            tuple(self._buffers()) if problem.joint else (),
            Certificate(rejections=rejections, levels=levels if status is Status.OPTIMAL else ()),
            lower_bound_cycles=self.ii if status is Status.OPTIMAL else 1,
        )

    def _buffers(self) -> Iterator[Buffer]:
        for op in self.ops:
            live = self.end(op) - self.times[op.name]
            depth = max(self.live(op, slot) for slot in range(self.ii))
            sizes = {"smem": op.smem_bytes, "tmem": op.tmem_columns, "registers": op.registers}
            for memory, size in sizes.items():
                if size:
                    yield Buffer(op.name, memory, size, live, depth, depth)  # type: ignore[arg-type]
