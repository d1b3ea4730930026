"""A modulo problem as arrays, and the longest paths in it at one interval.

At interval I an edge (u, v) of delay d and distance n asks for t(v) - t(u) >= d - n * I, so all schedules are bounded
by longest paths; a pinned order is such an edge too, with delay 0 and a distance of any sign.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from twill.problem.problem import Family, OrderPin, Problem

Arc = tuple[int, int, int, int]  # source, target, delay, distance
WeightedArc = tuple[int, int, int]  # source, target, least difference of times
NO_UNIT = -1


@dataclass(frozen=True)
class System:
    """Ops by index. unit: index into `counts`, or NO_UNIT; arcs: dependences and pinned orders, sources first.

    stages: op -> pinned stage. max_stages: None where there is no cap.
    """

    arcs: tuple[Arc, ...]
    unit: tuple[int, ...]
    occupancy: tuple[int, ...]
    span: tuple[int, ...]
    counts: tuple[int, ...]
    stages: tuple[tuple[int, int], ...] = ()
    max_stages: int | None = None

    @staticmethod
    def of(problem: Problem) -> System:
        """The arrays of a problem's stage-1 families; families that it relaxes are left out."""
        graph, units = problem.graph, list(problem.machine.units)
        number = {unit: i for i, unit in enumerate(units)} if problem.has(Family.UNIT) else {}
        arcs = [*(_edges(problem) if problem.has(Family.DEPENDENCE) else ())]
        pins = problem.pins if problem.has(Family.PINS) else None
        for order in pins.orders if pins else ():
            arcs.extend(_order_arcs(order, graph.index))
        return System(
            arcs=tuple(_sources_first(len(graph.ops), arcs)),
            unit=tuple(number.get(op.unit or "", NO_UNIT) if op.occupancy_cycles else NO_UNIT for op in graph.ops),
            occupancy=tuple(op.occupancy_cycles for op in graph.ops),
            span=tuple(op.span_cycles for op in graph.ops),
            counts=tuple(problem.machine.units[unit] for unit in units),
            stages=tuple((graph.index[op], stage) for op, stage in pins.stages.items()) if pins else (),
            max_stages=problem.max_stages if problem.has(Family.STAGES) else None,
        )

    @property
    def size(self) -> int:
        """Number of ops."""
        return len(self.unit)

    @property
    def is_free(self) -> bool:
        """True where whole parts may move by whole stages: no stage is capped or pinned."""
        return self.max_stages is None and not self.stages

    @cached_property
    def outgoing(self) -> tuple[tuple[Arc, ...], ...]:
        """Arcs by source."""
        return _grouped(self.size, self.arcs, 0)

    @cached_property
    def incoming(self) -> tuple[tuple[Arc, ...], ...]:
        """Arcs by target."""
        return _grouped(self.size, self.arcs, 1)

    @cached_property
    def enough_ii(self) -> int:
        """An interval at which the system has a schedule if it has one at any interval.

        Give each op u the slots [t(u), t(u) + max(1, occupancy, delays of its edges)). In a schedule at a longer
        interval some slot is in none of these; cutting it out of the ring breaks no constraint.
        """
        shadows = (max(1, self.occupancy[op], *(arc[2] for arc in self.outgoing[op])) for op in range(self.size))
        return max(1, sum(shadows))

    def weighted(self, ii: int) -> list[WeightedArc]:
        """The arcs at an interval."""
        return [(u, v, delay - distance * ii) for u, v, delay, distance in self.arcs]

    def contended(self, ii: int) -> list[int]:
        """Ops on units that could be asked for too often at this interval."""
        demand = [0] * len(self.counts)
        users = [op for op in range(self.size) if self.unit[op] != NO_UNIT]
        for op in users:
            demand[self.unit[op]] += -(-self.occupancy[op] // ii)
        return [op for op in users if demand[self.unit[op]] > self.counts[self.unit[op]]]

    def heads(self, ii: int) -> list[int] | None:
        """Earliest time of each op if no unit were limited; None where a cycle has positive weight."""
        return relax([0] * self.size, self.weighted(ii))

    def tails(self, ii: int) -> list[int]:
        """Cycles from each op's issue to the end of all that must follow it; call where `heads` is not None."""
        tails = relax(list(self.span), self._backward(ii))
        return [] if tails is None else tails

    def critical_path(self, ii: int) -> int:
        """Cycles that no schedule at this interval is shorter than, whatever the units."""
        heads = self.heads(ii) or [0] * self.size
        return max((head + span for head, span in zip(heads, self.span, strict=True)), default=0)

    def windows(self, ii: int, last: int) -> tuple[list[int], list[int]] | None:
        """Earliest and latest times of ops that all end by `last`, with stages as pinned and capped; None: none."""
        low, high = [0] * self.size, [last - span for span in self.span]
        if self.max_stages is not None:
            high = [min(h, self.max_stages * ii - 1) for h in high]
        for op, stage in self.stages:
            low[op], high[op] = max(low[op], stage * ii), min(high[op], (stage + 1) * ii - 1)
        early, late = relax(low, self.weighted(ii)), relax([-h for h in high], self._backward(ii))
        if early is None or late is None or any(e + h > 0 for e, h in zip(early, late, strict=True)):
            return None
        return early, [-h for h in late]

    def enough_cycles(self, ii: int) -> int:
        """A time by which all ops can end if there is a schedule at this interval.

        Where more than an interval beyond the longest delay separates two ops in a row, all later ones can issue an
        interval earlier; only a pinned stage keeps an op where it is.
        """
        longest = max([0, *(weight for _, _, weight in self.weighted(ii))])
        pinned = 1 + max((stage for _, stage in self.stages), default=0)
        return pinned * ii + self.size * (longest + ii) + max(self.span, default=0)

    def _backward(self, ii: int) -> list[WeightedArc]:
        return [(v, u, weight) for u, v, weight in reversed(self.weighted(ii))]

    def early(self, ii: int, slots: Mapping[int, int]) -> list[int]:
        """The least times that keep these ops' slots (times modulo ii) and all arcs; some such times must exist."""
        times = [slots.get(op, 0) for op in range(self.size)]
        arcs, changed = self.weighted(ii), True
        while changed:
            changed = False
            for u, v, weight in arcs:
                short = times[u] + weight - times[v]
                if short > 0:
                    times[v] += -(-short // ii) * ii if v in slots else short
                    changed = True
        return times

    def postpone(self, ii: int, times: list[int], slots: Mapping[int, int], op: int, cycles: int) -> None:
        """Issue an op so many cycles later, in place, and what depends on it as late as it then must."""
        times[op] += cycles
        late = deque([op])
        while late:
            u = late.popleft()
            for _, v, delay, distance in self.outgoing[u]:
                short = times[u] + delay - distance * ii - times[v]
                if short > 0:
                    times[v] += -(-short // ii) * ii if v in slots else short
                    late.append(v)

    def length(self, times: Sequence[int]) -> int:
        """Cycles from the first issue to the last end."""
        return max((t + span for t, span in zip(times, self.span, strict=True)), default=0) - min(times, default=0)


def relax(times: list[int], arcs: Sequence[WeightedArc]) -> list[int] | None:
    """Raise the times, in place, until every arc holds; None where none ever would (a positive cycle)."""
    for _ in range(len(times) + 1):
        changed = False
        for u, v, weight in arcs:
            if times[u] + weight > times[v]:
                times[v], changed = times[u] + weight, True
        if not changed:
            return times
    return None


def _edges(problem: Problem) -> Iterable[Arc]:
    graph = problem.graph
    for edge in graph.edges:
        yield graph.index[edge.source], graph.index[edge.target], graph.delay_cycles(edge), edge.distance


def _order_arcs(order: OrderPin, index: Mapping[str, int]) -> Iterable[Arc]:
    """t(a) + i*I <= t(b) + k*I is an edge from a to b of delay 0 and distance k - i."""
    entries = [(index[op], iteration) for op, iteration in order.entries]
    for (a, i), (b, k) in pairwise(entries):
        yield a, b, 0, k - i
    if order.cyclic and len(entries) > 1:
        (first, i), (last, k) = entries[0], entries[-1]
        yield last, first, 0, i + 1 - k


def _sources_first(n: int, arcs: Sequence[Arc]) -> list[Arc]:
    """Arcs in an order in which one pass of `relax` follows all arcs of distance 0, where these have no cycle."""
    sorter = TopologicalSorter[int]({v: () for v in range(n)})
    for u, v, _, distance in arcs:
        if distance == 0:
            sorter.add(v, u)
    try:
        position = {v: i for i, v in enumerate(sorter.static_order())}
    except CycleError:
        return list(arcs)
    return sorted(arcs, key=lambda arc: position[arc[0]])


def _grouped(n: int, arcs: Sequence[Arc], end: int) -> tuple[tuple[Arc, ...], ...]:
    groups: list[list[Arc]] = [[] for _ in range(n)]
    for arc in arcs:
        groups[arc[end]].append(arc)
    return tuple(map(tuple, groups))
