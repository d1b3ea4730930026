"""Why one iteration takes L cycles: the chain of ops, each held back by the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal

from ir.graph import DependenceGraph, Edge
from ir.schedule import Schedule
from twill.explain.words import place, plural

Reason = Literal["start", "dependence", "handoff", "unit", "free"]


@dataclass(frozen=True)
class Link:
    """Op `op` of iteration i + `iteration` issues at `time_cycles` after the start of iteration i, for `reason`.

    `after` is the op that holds it back, of iteration i + `after_iteration`; `slack_cycles` is what is spare.
    """

    op: str
    iteration: int
    time_cycles: int
    reason: Reason
    after: str | None = None
    after_iteration: int = 0
    slack_cycles: int = 0


@dataclass(frozen=True)
class Length:
    """The critical chain from the first op to the last end, and the ideal length without units, groups or II."""

    length_cycles: int
    ideal_cycles: int
    chain: tuple[Link, ...]
    lines: tuple[str, ...]


def explain_length(schedule: Schedule) -> Length:
    """The chain that ends last, followed back through tight dependences and busy units, in issue order."""
    length = schedule.length_cycles or 0
    chain = _chain(schedule)
    ideal = longest_path_cycles(schedule.graph)
    lines = (*_headline(schedule, length, ideal), *(f"  {_link_text(schedule, link)}" for link in chain))
    return Length(length, ideal, chain, lines)


def longest_path_cycles(graph: DependenceGraph) -> int:
    """Length of one iteration alone: the longest path of the distance-0 edges, to the end of its last op.

    Raises ValueError for a cycle of distance 0.
    """
    inward: dict[str, list[Edge]] = {op.name: [] for op in graph.ops}
    for edge in graph.edges:
        if edge.distance == 0:
            inward[edge.target].append(edge)
    order = TopologicalSorter({name: [e.source for e in edges] for name, edges in inward.items()}).static_order()
    start: dict[str, int] = {}
    for name in order:
        start[name] = max((start[e.source] + graph.delay_cycles(e) for e in inward[name]), default=0)
    return max((start[op.name] + op.span_cycles for op in graph.ops), default=0)


def _chain(schedule: Schedule) -> tuple[Link, ...]:
    graph = schedule.graph
    if not graph.ops:
        return ()
    last = max(graph.ops, key=lambda op: schedule.by_op[op.name].time_cycles + op.span_cycles)
    links, seen = list[Link](), set[str]()
    name, iteration = last.name, 0
    while name not in seen:
        seen.add(name)
        link = _held_by(schedule, name, iteration)
        links.append(link)
        name, iteration = link.after or name, link.after_iteration
    return tuple(reversed(links))


def _held_by(schedule: Schedule, name: str, iteration: int) -> Link:
    """What keeps an op from issuing a cycle earlier: a tight dependence, a busy unit, or nothing in the model."""
    own = schedule.by_op[name].time_cycles
    time = own + iteration * (schedule.ii_cycles or 1)
    edges = [edge for edge in schedule.graph.edges if edge.target == name and edge.source != name]
    slacks = [(own - _earliest(schedule, edge), edge) for edge in edges]
    slack, edge = min(slacks, key=lambda pair: (pair[0], pair[1].distance), default=(0, None))
    if edge is not None and slack == 0:
        reason: Reason = "handoff" if _handoff(schedule, edge) else "dependence"
        return Link(name, iteration, time, reason, edge.source, iteration - edge.distance)
    if own == 0:
        return Link(name, iteration, time, "start")
    holder = _unit_holder(schedule, name)
    if holder is not None:
        return Link(name, iteration, time, "unit", holder[0], iteration + holder[1])
    if edge is None:
        return Link(name, iteration, time, "free")
    return Link(name, iteration, time, "free", edge.source, iteration - edge.distance, slack)


def _handoff(schedule: Schedule, edge: Edge) -> int:
    apart = schedule.by_op[edge.source].group != schedule.by_op[edge.target].group
    return schedule.graph.by_name[edge.source].handoff_cycles if apart and schedule.joint else 0


def _earliest(schedule: Schedule, edge: Edge) -> int:
    delay = schedule.graph.delay_cycles(edge) + _handoff(schedule, edge)
    return schedule.by_op[edge.source].time_cycles + delay - edge.distance * (schedule.ii_cycles or 1)


def _unit_holder(schedule: Schedule, name: str) -> tuple[str, int] | None:
    """An op that holds the single unit up to the very cycle at which this one issues, and how many iterations later."""
    op, ii = schedule.graph.by_name[name], schedule.ii_cycles or 1
    if op.unit is None or schedule.machine.units[op.unit] > 1 or not op.occupancy_cycles:
        return None
    for other in schedule.graph.ops:
        if other.name != name and other.unit == op.unit and other.occupancy_cycles:
            end = schedule.by_op[other.name].time_cycles + other.occupancy_cycles
            turns, rest = divmod(schedule.by_op[name].time_cycles - end, ii)
            if rest == 0:
                return other.name, turns
    return None


def _headline(schedule: Schedule, length: int, ideal: int) -> Iterator[str]:
    level = next((level for level in schedule.certificate.levels if level.name == "length"), None)
    proof = ""
    if level is not None:
        proof = ", proven minimal" if level.proven else f", proven only to be at least {level.lower_bound}"
    stages = plural(schedule.stages, "stage")
    yield f"One iteration takes {plural(length, 'modelled cycle')} over {stages}{proof}; alone it would take {ideal}."
    yield "The chain that ends last, in cycles from the start of iteration i:"


def _link_text(schedule: Schedule, link: Link) -> str:
    op = schedule.graph.by_name[link.op]
    name = f"{_of(link.op, link.iteration)}{place(op.location)}"
    return f"{link.time_cycles:>7}  {name}: {_why(schedule, link)}"


def _of(op: str, iteration: int) -> str:
    """An op with its iteration.

    >>> _of("a", 1), _of("a", -2), _of("a", 0)
    ('a (i + 1)', 'a (i - 2)', 'a (i)')
    """
    return f"{op} (i {'+' if iteration > 0 else '-'} {abs(iteration)})" if iteration else f"{op} (i)"


def _why(schedule: Schedule, link: Link) -> str:
    if link.after is None:
        return "starts its iteration" if link.reason == "start" else "placed by the solver"
    before = _of(link.after, link.after_iteration)
    if link.reason == "unit":
        return f"unit {schedule.graph.by_name[link.op].unit} is busy with {before} until then"
    if link.reason == "free":
        return f"its inputs are ready {plural(link.slack_cycles, 'cycle')} before, at last {before}"
    return f"waits for {before}{', with the hand-off between groups' if link.reason == 'handoff' else ''}"
