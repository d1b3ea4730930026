"""A second view of the same schedule: 0, 1, 2 and stages + 2 iterations laid out on one time axis, with no modulus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from ir.diagnostics import Diagnostic
from twill.problem.problem import Family
from twill.problem.verify_steady import Steady


def iterations(steady: Steady) -> Iterator[Diagnostic]:
    """Dependences and units over whole runs of the loop; the first trip count that fails is reported."""
    stages = 1 + max(steady.times.values()) // steady.ii
    for trips in (0, 1, 2, stages + 2):
        found = [*_dependences(steady, trips), *_units(steady, trips)]
        if found:
            yield from found
            return


def _dependences(steady: Steady, trips: int) -> Iterator[Diagnostic]:
    if not steady.problem.has(Family.DEPENDENCE):
        return
    for edge in steady.edges:
        delay = steady.problem.graph.delay_cycles(edge)
        source, target = steady.times[edge.source], steady.times[edge.target]
        for i in range(edge.distance, trips):
            ready = source + (i - edge.distance) * steady.ii + delay
            issue = target + i * steady.ii
            if issue < ready:
                message = f"with {trips} iterations, `{edge.target}` of iteration {i} issues at cycle {issue}, "
                message += f"its operand from `{edge.source}` is ready at {ready}"
                yield Diagnostic("iterations", message)
                break


def _units(steady: Steady, trips: int) -> Iterator[Diagnostic]:
    if not steady.problem.has(Family.UNIT):
        return
    changes: dict[str, dict[int, int]] = {}
    for op in steady.ops:
        if op.unit is None or not op.occupancy_cycles:
            continue
        steps = changes.setdefault(op.unit, {})
        first = steady.times[op.name]
        for start in range(first, first + trips * steady.ii, steady.ii):
            steps[start] = steps.get(start, 0) + 1
            steps[start + op.occupancy_cycles] = steps.get(start + op.occupancy_cycles, 0) - 1
    for unit, steps in changes.items():
        cycles = sorted(steps)
        used = list(accumulate(steps[cycle] for cycle in cycles))
        limit = steady.problem.machine.units.get(unit, 0)
        if used and max(used) > limit:
            cycle = cycles[used.index(max(used))]
            message = f"with {trips} iterations, cycle {cycle} uses {max(used)} of unit {unit}, {limit} there"
            yield Diagnostic("iterations", message)
