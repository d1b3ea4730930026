"""What sets the II: a unit, a recurrence, or constraints that only the solver could weigh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ir.graph import DependenceGraph
from ir.machine import Machine
from ir.schedule import Bound, Rejection, Schedule, Status
from twill.explain.steady import Utilisation, utilisations
from twill.explain.words import op_text, place, plural
from twill.problem.bounds import all_bounds

# Longest list of ops under one unit: the largest ones.
MAX_OPS = 12


class Cause(StrEnum):
    """UNIT, RECURRENCE: that bound is reached. CONSTRAINTS: proven, above every bound. UNPROVEN: maybe too large."""

    UNIT = "unit"
    RECURRENCE = "recurrence"
    CONSTRAINTS = "constraints"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Interval:
    """Why the II is what it is; `binding` are the bounds that it meets, `bounds` all of them, largest first."""

    cause: Cause
    ii_cycles: int
    lower_bound_cycles: int
    binding: tuple[Bound, ...]
    bounds: tuple[Bound, ...]
    utilisations: tuple[Utilisation, ...]
    lines: tuple[str, ...]


def explain_interval(schedule: Schedule) -> Interval:
    """The reason for the II of a found schedule; cycles are modelled."""
    graph, machine, ii = schedule.graph, schedule.machine, schedule.ii_cycles or 1
    bounds = bounds_of(schedule)
    binding = tuple(bound for bound in bounds if bound.ii_cycles == ii)
    used = utilisations(graph, machine, ii)
    cause = _cause(schedule, binding)
    proven = max([schedule.lower_bound_cycles, *(b.ii_cycles for b in bounds)])
    lines = (*_reason(schedule, cause, binding, bounds, proven), *_utilisation_lines(used))
    return Interval(cause, ii, proven, binding, bounds, used, lines)


def bounds_of(schedule: Schedule) -> tuple[Bound, ...]:
    """The certificate's bounds, or else those of the graph, largest first."""
    given = schedule.certificate.bounds or all_bounds(schedule.graph, schedule.machine)
    return tuple(sorted(given, key=lambda bound: -bound.ii_cycles))


def rejections_of(schedule: Schedule) -> tuple[Rejection, ...]:
    """The largest interval that each method has refuted, in order."""
    largest = {r.method: r for r in sorted(schedule.certificate.rejections, key=lambda r: r.ii_cycles)}
    return tuple(sorted(largest.values(), key=lambda r: r.ii_cycles))


def rejection_text(rejection: Rejection) -> str:
    """One refuted interval.

    >>> rejection_text(Rejection(7, "bound", "x is busy"))
    'no II up to 7: bound (x is busy)'
    """
    return (
        f"no II up to {rejection.ii_cycles}: {rejection.method}{f' ({rejection.detail})' if rejection.detail else ''}"
    )


def bound_lines(graph: DependenceGraph, machine: Machine, bound: Bound) -> Iterator[str]:
    """A bound op by op, with cycles and source lines."""
    if bound.kind == "unit":
        yield from _unit_lines(graph, machine, bound)
    else:
        yield from _recurrence_lines(graph, bound)


def _cause(schedule: Schedule, binding: tuple[Bound, ...]) -> Cause:
    if binding:
        return Cause(binding[0].kind)
    proven = schedule.status is Status.OPTIMAL or schedule.lower_bound_cycles == schedule.ii_cycles
    return Cause.CONSTRAINTS if proven else Cause.UNPROVEN


def _reason(
    schedule: Schedule, cause: Cause, binding: tuple[Bound, ...], bounds: tuple[Bound, ...], proven: int
) -> Iterator[str]:
    ii = plural(schedule.ii_cycles or 1, "modelled cycle")
    if binding:
        what = " and ".join(_bound_name(bound) for bound in binding)
        yield f"II is {ii} and cannot be less: {what} {'needs' if len(binding) == 1 else 'need'} that many."
    elif cause is Cause.CONSTRAINTS:
        yield f"II is {ii}, above every bound by proof: {_largest(bounds)}."
    else:
        yield f"II is {ii}; whether less is possible is not known, proven is only that it is at least {proven}."
    for bound in binding or bounds[:1]:
        yield from (f"  {line}" for line in bound_lines(schedule.graph, schedule.machine, bound))
    if not binding:
        yield from (f"  {rejection_text(r)}" for r in rejections_of(schedule))


def _bound_name(bound: Bound) -> str:
    return f"unit {bound.name}" if bound.kind == "unit" else f"the recurrence {bound.name}"


def _largest(bounds: tuple[Bound, ...]) -> str:
    if not bounds:
        return "there is none"
    return f"the largest is {bounds[0].ii_cycles}, by {_bound_name(bounds[0])}"


def _unit_lines(graph: DependenceGraph, machine: Machine, bound: Bound) -> Iterator[str]:
    ops = [graph.by_name[name] for name in bound.ops]
    total = sum(op.occupancy_cycles for op in ops)
    instances = plural(machine.units[bound.name], "instance")
    yield f"{bound.name} is held for {plural(total, 'cycle')} an iteration, over {instances}:"
    shown = sorted(ops, key=lambda op: -op.occupancy_cycles)[:MAX_OPS]
    yield from (f"  {op_text(op, op.occupancy_cycles)}" for op in ops if op in shown)
    if len(ops) > len(shown):
        rest = total - sum(op.occupancy_cycles for op in shown)
        yield f"  {len(ops) - len(shown)} others {plural(rest, 'cycle')}"


def _recurrence_lines(graph: DependenceGraph, bound: Bound) -> Iterator[str]:
    yield f"each turn of the recurrence {bound.name} takes:"
    total = reach = 0
    for source, target in zip(bound.ops, (*bound.ops[1:], *bound.ops[:1]), strict=True):
        edges = [e for e in graph.edges if (e.source, e.target) == (source, target)]
        if not edges:
            continue
        edge = max(edges, key=lambda e: graph.delay_cycles(e) - bound.ii_cycles * e.distance)
        delay = graph.delay_cycles(edge)
        total, reach = total + delay, reach + edge.distance
        later = f", {plural(edge.distance, 'iteration')} later" if edge.distance else ""
        yield f"  {source} -> {target}: {plural(delay, 'cycle')}{later}{place(graph.by_name[source].location)}"
    if reach:
        yield f"  together {plural(total, 'cycle')} over {plural(reach, 'iteration')}"


def _utilisation_lines(used: tuple[Utilisation, ...]) -> Iterator[str]:
    texts = [f"{u.unit} {u.busy_cycles} of {u.available_cycles} cycles ({u.fraction:.0%})" for u in used]
    if texts:
        yield f"Busy in each II: {texts[0]}{'; next: ' if texts[1:] else ''}{', '.join(texts[1:])}."
