"""Every assignment of issue times at one interval: op by op, dropped as soon as two ops or a unit contradict it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ir.graph import Edge
from twill.problem.problem import Family, Problem


@dataclass(frozen=True)
class TimeSearch:
    """All times with the first op at 0 and all ends by `last`, at most `max_stages` stages.

    delay: cycles that an edge asks for, of which the caller may have added a hand-off; tick: called at each step.
    """

    problem: Problem
    ii: int
    last: int
    max_stages: int
    delay: Callable[[Edge], int]
    tick: Callable[[], None]

    def all(self) -> Iterator[dict[str, int]]:
        """Each complete assignment, op -> time; the same dictionary, changed in place."""
        for times in self._extend({}):
            if min(times.values()) == 0 and self._orders_hold(times):
                yield times

    def _extend(self, times: dict[str, int]) -> Iterator[dict[str, int]]:
        ops = self.problem.graph.ops
        if len(times) == len(ops):
            yield times
            return
        op = ops[len(times)]
        for time in self._domain(op.name, op.span_cycles):
            self.tick()
            times[op.name] = time
            if self._is_consistent(op.name, times):
                yield from self._extend(times)
            del times[op.name]

    def _domain(self, op: str, span: int) -> range:
        end = min(self.last - span + 1, self.max_stages * self.ii)
        stage = self.problem.pins.stages.get(op) if self.problem.has(Family.PINS) else None
        if stage is None:
            return range(end)
        return range(stage * self.ii, min(end, (stage + 1) * self.ii))

    def _is_consistent(self, op: str, times: dict[str, int]) -> bool:
        return self._dependences_hold(op, times) and self._unit_suffices(op, times)

    def _dependences_hold(self, op: str, times: dict[str, int]) -> bool:
        if not self.problem.has(Family.DEPENDENCE):
            return True
        return all(
            times[edge.target] >= times[edge.source] + self.delay(edge) - edge.distance * self.ii
            for edge in self.problem.graph.edges
            if op in (edge.source, edge.target) and edge.source in times and edge.target in times
        )

    def _unit_suffices(self, op: str, times: dict[str, int]) -> bool:
        by_name, machine = self.problem.graph.by_name, self.problem.machine
        unit = by_name[op].unit
        if unit is None or not self.problem.has(Family.UNIT):
            return True
        used = [0] * self.ii
        for other, start in times.items():
            if by_name[other].unit == unit:
                for cycle in range(start, start + by_name[other].occupancy_cycles):
                    used[cycle % self.ii] += 1
        return max(used) <= machine.units[unit]

    def _orders_hold(self, times: dict[str, int]) -> bool:
        for order in self.problem.pins.orders if self.problem.has(Family.PINS) else ():
            issues = [times[op] + iteration * self.ii for op, iteration in order.entries]
            if order.cyclic and issues:
                issues.append(issues[0] + self.ii)
            if issues != sorted(issues):
                return False
        return True
