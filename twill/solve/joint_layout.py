"""What follows from a solution: lifetimes, groups in use and their needs, and whether registers suffice for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from twill.solve.joint_instance import Instance, Value
from twill.solve.joint_model import Solution


@dataclass(frozen=True)
class Layout:
    """A solution with what follows from it: lifetimes, groups in use and their needs."""

    instance: Instance
    solution: Solution

    @cached_property
    def lives(self) -> Mapping[Value, int]:
        """Cycles that each value is live."""
        return {value: self._live(value) for value in self.instance.values}

    def _live(self, value: Value) -> int:
        times, ii = self.solution.times, self.solution.ii
        ends = (times[r.op] + r.distance * ii + r.held_cycles - times[value.op] for r in value.readers)
        return max(value.span_cycles, *ends) if value.readers else value.span_cycles

    def peak(self, sizes: Mapping[Value, int]) -> int:
        """Most that the values of these sizes take at any slot: whole turns, and arcs where one starts."""
        ii, times = self.solution.ii, self.solution.times
        base = sum(size * (self.lives[value] // ii) for value, size in sizes.items())
        arcs = [(times[value.op] % ii, self.lives[value] % ii, size) for value, size in sizes.items()]
        return base + max(
            (sum(size for start, rest, size in arcs if (slot - start) % ii < rest) for slot, _, _ in arcs), default=0
        )

    @cached_property
    def members(self) -> Mapping[int, list[int]]:
        """Ops of each group in use."""
        groups = self.solution.groups
        return {g: [v for v, own in enumerate(groups) if own == g] for g in sorted(set(groups))}

    def warps(self, group: int) -> int:
        """Warps that the group's ops need."""
        ops = self.instance.problem.graph.ops
        return max(ops[v].warps for v in self.members[group])

    def registers_needed(self, group: int) -> int:
        """Registers per thread that the group needs, reserved ones included."""
        graph, machine = self.instance.problem.graph, self.instance.problem.machine
        inside = set(self.members[group])
        names = {graph.ops[v].name for v in inside}
        held = sum(i.registers for i in graph.invariants if names.intersection(i.readers))
        sizes = {value: value.registers for value in self.instance.values if value.registers and value.op in inside}
        return self.peak(sizes) + held + machine.reserved_registers

    @cached_property
    def needs(self) -> Mapping[int, int]:
        """Registers per thread of each group, not below the machine's least budget."""
        least = self.instance.problem.machine.min_registers_per_thread
        return {g: max(least, self.registers_needed(g)) for g in self.members}

    @cached_property
    def least_budgets(self) -> Mapping[int, int]:
        """The smallest budgets that hold the needs."""
        step = self.instance.problem.machine.register_granularity
        return {g: -(-need // step) * step for g, need in self.needs.items()}

    @property
    def registers_fit(self) -> bool:
        """Whether the smallest budgets are within the machine's limits."""
        if not self.instance.has_registers:
            return True
        machine, budgets = self.instance.problem.machine, self.least_budgets
        taken = machine.threads_per_warp * sum(self.warps(g) * budget for g, budget in budgets.items())
        most = max(budgets.values())
        return most <= machine.max_registers_per_thread and taken <= (machine.registers_per_sm or 0)
