"""Iterative modulo scheduling: a fast heuristic that places ops by height and evicts what is in the way.

B. R. Rau, "Iterative modulo scheduling: an algorithm for software pipelining loops", MICRO-27, 1994.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from twill.solve.modulo_system import NO_UNIT, System

# Placements allowed per op at one interval; Rau finds that 2 nearly always suffice, evictions cost little here.
_BUDGET_RATIO = 6
# Intervals above the bound that are tried one by one.
_NEAR = 8


def schedule_at(system: System, ii: int, budget_ratio: int = _BUDGET_RATIO) -> list[int] | None:
    """Times of all ops at an interval, the earliest 0, or None where the budget ran out. Ignores stage limits."""
    heads = system.heads(ii)
    if heads is None:
        return None
    times = _Placement(system, ii, heads, system.tails(ii)).run(budget_ratio * system.size)
    if times is None:
        return None
    early = system.early(ii, {op: times[op] % ii for op in system.contended(ii)})
    return [t - min(early) for t in early]


def growing(low: int, top: int) -> Iterator[int]:
    """Intervals to try in turn: each of the first few, then ever larger steps, the last one `top`."""
    ii, step = low, 1
    while ii < top:
        yield ii
        ii, step = ii + step, step if ii < low + _NEAR else 2 * step
    if low <= top:
        yield top


@dataclass
class _Table:
    """Who holds each slot of each unit."""

    system: System
    ii: int
    holders: list[list[list[int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.holders = [[[] for _ in range(self.ii)] for _ in self.system.counts]

    def slots(self, op: int, time: int) -> list[int]:
        return [t % self.ii for t in range(time, time + self.system.occupancy[op])]

    def first_fit(self, op: int, start: int) -> int | None:
        """Earliest time from `start` on, within one interval, at which the op's unit is free for it."""
        unit, occupancy, ii = self.system.unit[op], self.system.occupancy[op], self.ii
        if unit == NO_UNIT:
            return start
        rows, count, time, probe = self.holders[unit], self.system.counts[unit], start, start
        while time < start + ii:
            # A second pass over the ring meets the op's own cycles.
            if len(rows[probe % ii]) + (probe - time) // ii >= count:
                time = probe + 1
            probe += 1
            if probe - time >= occupancy:
                return time
            probe = max(probe, time)
        return None

    def add(self, op: int, time: int) -> None:
        for slot in self.slots(op, time):
            self.holders[self.system.unit[op]][slot].append(op)

    def remove(self, op: int, time: int) -> None:
        for slot in self.slots(op, time):
            self.holders[self.system.unit[op]][slot].remove(op)

    def in_the_way(self, op: int, time: int) -> list[int]:
        """Ops whose removal makes room: in each slot that overflows, those that came first."""
        occupancy, rows = self.system.occupancy[op], self.holders[self.system.unit[op]]
        count = self.system.counts[self.system.unit[op]]
        evicted: set[int] = set()
        for offset in range(min(occupancy, self.ii)):
            own = 1 + (occupancy - 1 - offset) // self.ii
            row = rows[(time + offset) % self.ii]
            if len(row) + own > count:
                others = [x for x in row if x not in evicted]
                evicted.update(others[: max(0, len(others) + own - count)])
        return sorted(evicted)


@dataclass
class _Placement:
    """One run of the algorithm at one interval."""

    system: System
    ii: int
    heads: list[int]
    heights: list[int]
    times: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)

    def run(self, budget: int) -> list[int] | None:
        table = _Table(self.system, self.ii)
        queue = [(-height, op) for op, height in enumerate(self.heights)]
        heapq.heapify(queue)
        while queue:
            budget -= 1
            if budget < 0:
                return None
            _, op = heapq.heappop(queue)
            for evicted in self._place(op, table):
                heapq.heappush(queue, (-self.heights[evicted], evicted))
        return [self.times[op] for op in range(self.system.size)]

    def _place(self, op: int, table: _Table) -> list[int]:
        """Put the op at the earliest time that fits, else by force; returns the ops that had to leave."""
        start = self._earliest(op)
        time = table.first_fit(op, start)
        leaving: list[int] = []
        if time is None:
            time = max(start, self.last.get(op, start - 1) + 1)
            leaving = table.in_the_way(op, time)
        for other in leaving:
            self._evict(other, table)
        late = [v for v in self._violated(op, time) if v in self.times]
        for other in late:
            self._evict(other, table)
        self.times[op] = self.last[op] = time
        if self.system.unit[op] != NO_UNIT:
            table.add(op, time)
        return [*leaving, *late]

    def _earliest(self, op: int) -> int:
        ready = [
            self.times[u] + delay - distance * self.ii
            for u, _, delay, distance in self.system.incoming[op]
            if u in self.times
        ]
        return max([self.heads[op], *ready])

    def _violated(self, op: int, time: int) -> list[int]:
        """Placed successors that would now issue too early."""
        late = {
            v
            for _, v, delay, distance in self.system.outgoing[op]
            if v != op and v in self.times and time + delay - distance * self.ii > self.times[v]
        }
        return sorted(late)

    def _evict(self, op: int, table: _Table) -> None:
        time = self.times.pop(op)
        if self.system.unit[op] != NO_UNIT:
            table.remove(op, time)
