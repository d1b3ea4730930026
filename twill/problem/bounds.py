"""Lower bounds on the initiation interval: work per unit (ResMII) and the heaviest recurrence (RecMII).

Definitions: B. R. Rau, "Iterative modulo scheduling", MICRO-27, 1994. The maximum cycle ratio is found by the ascent
of E. L. Lawler, "Combinatorial Optimization", 1976, section 3.13, in exact integers: while some cycle has a ratio
above the best one so far, take its ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter

from ir.graph import DependenceGraph
from ir.machine import Machine
from ir.schedule import Bound

Arc = tuple[int, int, int, int]  # source, target, delay, distance
_SHOWN_OPS = 4


def resource_bounds(graph: DependenceGraph, machine: Machine) -> tuple[Bound, ...]:
    """ResMII of each unit in use, largest first: ceil(cycles that its ops hold it / instances).

    An op may hold a unit for more than II cycles: it then covers some slots more than once. Without dependences the
    bound is reached: lay the intervals end to end around the ring of II slots.
    """
    ops = {unit: [op for op in graph.ops if op.unit == unit and op.occupancy_cycles] for unit in machine.units}
    bounds = []
    for unit, users in ops.items():
        held, count = sum(op.occupancy_cycles for op in users), machine.units[unit]
        detail = f"{len(users)} ops hold {unit} for {held} cycles over {count}: {_ratio(Fraction(held, count))}"
        bounds.append(Bound("unit", -(-held // count), unit, tuple(op.name for op in users), detail))
    return tuple(sorted((b for b in bounds if b.ops), key=lambda b: -b.ii_cycles))


def recurrence_bound(graph: DependenceGraph) -> Bound | None:
    """RecMII: the largest ceil(delays / distances) over all cycles, None where no cycle has a delay.

    `ops` lists the responsible cycle in the order of its edges, `detail` the exact fraction.
    Raises ValueError for a cycle of distance 0: no interval satisfies one that has a delay.
    """
    cycle = _critical_cycle(len(graph.ops), _arcs(graph), graph)
    if not cycle:
        return None
    start = min(range(len(cycle)), key=lambda i: cycle[i][0])
    cycle = cycle[start:] + cycle[:start]
    names = tuple(graph.ops[arc[0]].name for arc in cycle)
    delay, distance = sum(arc[2] for arc in cycle), sum(arc[3] for arc in cycle)
    detail = f"{delay} cycles of delay over a distance of {distance}: {_ratio(Fraction(delay, distance))}"
    return Bound("recurrence", -(-delay // distance), _path(names), names, detail)


def all_bounds(graph: DependenceGraph, machine: Machine) -> tuple[Bound, ...]:
    """Every unit's bound and the recurrence's, largest first."""
    recurrence = recurrence_bound(graph)
    bounds = (*resource_bounds(graph, machine), *([recurrence] if recurrence else ()))
    return tuple(sorted(bounds, key=lambda b: -b.ii_cycles))


def minimum_ii(graph: DependenceGraph, machine: Machine) -> int:
    """MII in cycles: the largest bound, at least 1. Raises ValueError as `recurrence_bound` does."""
    return max([1, *(bound.ii_cycles for bound in all_bounds(graph, machine))])


def _ratio(value: Fraction) -> str:
    return f"{value} = {float(value):.4g}" if value.denominator > 1 else str(value)


def _path(names: Sequence[str]) -> str:
    shown = [*names, names[0]] if len(names) <= _SHOWN_OPS else [*names[:2], "...", names[-1], names[0]]
    return " -> ".join(shown)


def _arcs(graph: DependenceGraph) -> list[Arc]:
    index = graph.index
    return [(index[e.source], index[e.target], graph.delay_cycles(e), e.distance) for e in graph.edges]


def _critical_cycle(n: int, arcs: list[Arc], graph: DependenceGraph) -> list[Arc]:
    """A cycle with the largest ratio of delay to distance, empty where none is above 0."""
    position = _topological_position(n, arcs, graph)
    # Sources in the order of the zero-distance edges: one pass then follows all of these.
    arcs = sorted(arcs, key=lambda arc: position[arc[0]])
    ratio, best = Fraction(0), list[Arc]()
    while cycle := _cycle_above(n, arcs, ratio):
        best, ratio = cycle, Fraction(sum(a[2] for a in cycle), sum(a[3] for a in cycle))
    return best


def _topological_position(n: int, arcs: list[Arc], graph: DependenceGraph) -> list[int]:
    sorter = TopologicalSorter[int]({v: () for v in range(n)})
    for source, target, _delay, distance in arcs:
        if distance == 0:
            sorter.add(target, source)
    try:
        order = tuple(sorter.static_order())
    except CycleError as error:
        names = [graph.ops[v].name for v in error.args[1]]
        raise ValueError(f"cycle of distance 0 in graph {graph.name}: {' -> '.join(names)}") from None
    position = [0] * n
    for i, v in enumerate(order):
        position[v] = i
    return position


def _cycle_above(n: int, arcs: list[Arc], ratio: Fraction) -> list[Arc]:
    """Some cycle whose delay/distance is more than `ratio`: one of positive weight, by Bellman and Ford."""
    weighted = [(arc, arc[2] * ratio.denominator - arc[3] * ratio.numerator) for arc in arcs]
    time, parent = [0] * n, list[Arc | None]([None] * n)
    while True:
        changed = False
        for arc, weight in weighted:
            if time[arc[0]] + weight > time[arc[1]]:
                time[arc[1]], parent[arc[1]], changed = time[arc[0]] + weight, arc, True
        if not changed:
            return []
        if cycle := _parent_cycle(parent):
            return cycle


def _parent_cycle(parent: list[Arc | None]) -> list[Arc]:
    """A cycle of the parent pointers: such a cycle always has positive weight."""
    seen = [0] * len(parent)
    for start in range(len(parent)):
        v = start
        while not seen[v] and (arc := parent[v]):
            seen[v], v = start + 1, arc[0]
        if seen[v] == start + 1 and parent[v]:
            return _walk(parent, v)
    return []


def _walk(parent: list[Arc | None], start: int) -> list[Arc]:
    cycle, v = list[Arc](), start
    while (arc := parent[v]) and (v != start or not cycle):
        cycle.append(arc)
        v = arc[0]
    return cycle[::-1]
