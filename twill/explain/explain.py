"""The whole explanation of a schedule: plain-text lines by section, and the parts that they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ir.graph import Edge
from ir.schedule import Schedule, Status
from twill.explain.groups import Groups, explain_groups
from twill.explain.interval import Interval, bound_lines, bounds_of, explain_interval, rejection_text, rejections_of
from twill.explain.length import Length, explain_length
from twill.explain.memory import Memory, explain_memory
from twill.explain.why_not import why_not
from twill.explain.words import place, plural
from twill.problem.problem import Problem


@dataclass(frozen=True)
class Section:
    """A title and its lines; two leading blanks mark detail."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a schedule is as it is; the parts are None where there is no schedule."""

    sections: tuple[Section, ...]
    interval: Interval | None = None
    length: Length | None = None
    groups: Groups | None = None
    memory: Memory | None = None
    assumed: tuple[Edge, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All sections as plain text, a blank line between them."""
        blocks = [(f"{section.title}:", *(f"  {line}" for line in section.lines)) for section in self.sections]
        return tuple(line for n, block in enumerate(blocks) for line in (*([""] if n else []), *block))


def explain(schedule: Schedule, problem: Problem | None = None) -> Explanation:
    """Explain any answer. `problem` adds the limits and pins that were in force; all cycles are modelled."""
    assumed = tuple(edge for edge in schedule.graph.edges if edge.assumed)
    limits = Section("Limits in force", tuple(_limits(problem)) if problem else ())
    if not schedule.found:
        return Explanation(_filled(_negative(schedule), limits, _assumed(schedule, assumed)), assumed=assumed)
    interval, length = explain_interval(schedule), explain_length(schedule)
    groups, memory = explain_groups(schedule), explain_memory(schedule)
    sections = _filled(
        Section("What sets the II", interval.lines),
        Section("What sets the length", length.lines),
        Section("Warp groups", groups.lines),
        Section("Memory", memory.lines),
        Section("Little to gain from overlap", tuple(_no_gain(schedule))),
        limits,
        _assumed(schedule, assumed),
    )
    return Explanation(sections, interval, length, groups, memory, assumed)


def _filled(*sections: Section) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.lines)


def _negative(schedule: Schedule) -> Section:
    if schedule.status is Status.TIMEOUT:
        lines = ["The time ran out before a schedule was found; that does not show that there is none."]
    else:
        lines = ["There is no schedule: this is proven."]
    lines += [schedule.message] if schedule.message else []
    lines += list(_conflict(schedule))
    lines += [f"Refuted: {rejection_text(r)}." for r in rejections_of(schedule)]
    for bound in bounds_of(schedule)[:1]:
        lines += [f"The bounds alone ask for an II of at least {plural(bound.ii_cycles, 'modelled cycle')}:"]
        lines += [f"  {line}" for line in bound_lines(schedule.graph, schedule.machine, bound)]
    return Section("Why there is no schedule", tuple(lines))


def _conflict(schedule: Schedule) -> Iterator[str]:
    conflict = schedule.conflict
    if conflict is None:
        return
    if conflict.families:
        yield f"Cannot hold together: {', '.join(conflict.families)}."
    if conflict.message and conflict.message != schedule.message:
        yield conflict.message
    yield from (f"  would help: {text}" for text in conflict.relaxations)


def _no_gain(schedule: Schedule) -> Iterator[str]:
    for finding in why_not(None, schedule.graph, schedule.machine):
        yield f"{finding.message}."
        if finding.remedy:
            yield f"  help: {finding.remedy}"


def _limits(problem: Problem) -> Iterator[str]:
    named = {"warp groups": problem.max_groups, "stages": problem.max_stages, "II in cycles": problem.max_ii}
    yield from (f"At most {value} {name}." for name, value in named.items() if value is not None)
    if problem.forbid_register_handoff:
        yield "No value goes from group to group in registers."
    pins = problem.pins
    counts = {"group": len(pins.groups), "stage": len(pins.stages), "order": len(pins.orders)}
    pinned = [plural(count, f"{name} pin") for name, count in counts.items() if count]
    if pinned:
        yield f"Pins{f' of {pins.name}' if pins.name else ''}: {', '.join(pinned)}."
    if pins.ii_cycles is not None:
        yield f"II pinned to {plural(pins.ii_cycles, 'cycle')}."
    if problem.relaxed:
        yield f"Dropped constraints: {', '.join(sorted(problem.relaxed))}."


def _assumed(schedule: Schedule, assumed: tuple[Edge, ...]) -> Section:
    lines = []
    for edge in assumed:
        apart = f", {plural(edge.distance, 'iteration')} apart" if edge.distance else ""
        where = place(schedule.graph.by_name[edge.target].location)
        lines.append(f"{edge.source} -> {edge.target}{apart}{where}: {edge.reason or 'could not be disproved'}")
    return Section("Dependences that were assumed to be safe", tuple(lines))
