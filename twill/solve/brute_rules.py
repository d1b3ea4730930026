"""The families of constraints, cycle by cycle, for the exhaustive search: slow, and plainly what the statement says.

Each rule is a predicate of complete times and groups. It shares nothing with the models, the bounds or the verifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ir.graph import Op
from twill.problem.problem import Family, Problem

Times = Mapping[str, int]
Groups = Mapping[str, int]


@dataclass(frozen=True)
class Rules:
    """The constraints of a problem at interval `ii`, in cycles."""

    problem: Problem
    ii: int

    def usage(self, rows: Iterable[tuple[int, int, int]]) -> list[int]:
        """Sum of the weights of the rows (start, end, weight) over each slot."""
        used = [0] * self.ii
        for start, end, weight in rows:
            for cycle in range(start, end):
                used[cycle % self.ii] += weight
        return used

    def end(self, op: Op, times: Times) -> int:
        """Where the lifetime of the op's result ends."""
        ends = [times[op.name] + op.span_cycles]
        for edge in self.problem.graph.edges:
            if edge.source == op.name and edge.kind == "data":
                held = 0 if edge.in_place else self.problem.graph.by_name[edge.target].span_cycles
                ends.append(times[edge.target] + edge.distance * self.ii + held)
        return max(ends)

    def memory(self, times: Times) -> bool:
        """smem, tmem: the live footprints fit in every slot."""
        graph, machine = self.problem.graph, self.problem.machine
        smem = {op.name: op.smem_bytes for op in graph.ops}
        tmem = {op.name: op.tmem_columns for op in graph.ops}
        fixed_smem = sum(value.smem_bytes for value in graph.invariants)
        fixed_tmem = sum(value.tmem_columns for value in graph.invariants)
        return self._fits(Family.SMEM, smem, fixed_smem, machine.smem_bytes, times) and self._fits(
            Family.TMEM, tmem, fixed_tmem, machine.tmem_columns, times
        )

    def _fits(self, family: Family, sizes: Mapping[str, int], fixed: int, limit: int | None, times: Times) -> bool:
        if limit is None or not self.problem.has(family):
            return True
        ops = self.problem.graph.ops
        used = self.usage((times[op.name], self.end(op, times), sizes[op.name]) for op in ops if sizes[op.name])
        return max(used) + fixed <= limit

    def handoff(self, times: Times, groups: Groups) -> bool:
        """Consumers in another group wait for the hand-off too."""
        if not self.problem.has(Family.HANDOFF):
            return True
        graph = self.problem.graph
        return all(
            times[e.target]
            >= times[e.source] + graph.delay_cycles(e) + graph.by_name[e.source].handoff_cycles - e.distance * self.ii
            for e in graph.edges
            if groups[e.source] != groups[e.target]
        )

    def blocking(self, times: Times, groups: Groups) -> bool:
        """A group that waits just before the target of a blocking edge issues nothing meanwhile."""
        wait = self.problem.machine.wait_cycles
        if not self.problem.has(Family.BLOCKING):
            return True
        for target in {edge.target for edge in self.problem.graph.edges if edge.blocking}:
            waiting = {cycle % self.ii for cycle in range(times[target] - wait, times[target])}
            for op in self.problem.graph.ops:
                start = times[op.name]
                issuing = {cycle % self.ii for cycle in range(start, start + max(1, op.issue_cycles))}
                if groups[op.name] == groups[target] and waiting & issuing:
                    return False
        return True

    def budgets(self, times: Times, groups: Groups) -> dict[int, int | None] | None:
        """The least register budget of each group, None where they do not fit; a budget is None without a limit."""
        used, limit = sorted(set(groups.values())), self.problem.machine.registers_per_sm
        if limit is None or not self.problem.has(Family.REGISTERS):
            return dict.fromkeys(used)
        least = {group: self._budget(group, times, groups) for group in used}
        highest = self.problem.machine.max_registers_per_thread
        warps = group_warps(self.problem, groups)
        total = sum(self.problem.machine.threads_per_warp * warps[group] * least[group] for group in used)
        return dict(least) if total <= limit and all(budget <= highest for budget in least.values()) else None

    def _budget(self, group: int, times: Times, groups: Groups) -> int:
        machine, graph = self.problem.machine, self.problem.graph
        members = [op for op in graph.ops if groups[op.name] == group]
        live = max(self.usage((times[op.name], self.end(op, times), op.registers) for op in members))
        names = {op.name for op in members}
        live += sum(value.registers for value in graph.invariants if names & set(value.readers))
        needed = max(live + machine.reserved_registers, machine.min_registers_per_thread)
        return -(-needed // machine.register_granularity) * machine.register_granularity


def group_warps(problem: Problem, groups: Groups) -> dict[int, int]:
    """Warps of each group in use: the most that a member needs."""
    ops = problem.graph.ops
    return {g: max(op.warps for op in ops if groups[op.name] == g) for g in sorted(set(groups.values()))}
