"""SVG of one iteration from its first issue to its last end: a line for each op, a band for each stage."""

from __future__ import annotations

from collections.abc import Iterator

from ir.graph import Op
from ir.schedule import Schedule
from twill.report.page.svg import GUTTER, WIDTH, Axis, fitted, picture, tag, text
from twill.report.palette import colour_of, ink_on

LINE, HEAD = 19, 44


def iteration_chart(schedule: Schedule, chain: frozenset[str] = frozenset()) -> str:
    """The chart; ops of `chain`, the critical one, are marked. Solid: issue; pale: until the op is done."""
    ops = sorted(schedule.graph.ops, key=lambda op: (schedule.by_op[op.name].time_cycles, op.name))
    axis = Axis(max(schedule.length_cycles or 1, 1))
    height = HEAD + LINE * len(ops) + 6
    parts = [*_bands(schedule, axis, height), axis.grid(HEAD - 4, height - 4)]
    for number, op in enumerate(ops):
        parts += _line(schedule, op, axis, HEAD + LINE * number, op.name in chain)
    return picture(height, parts, "One iteration, op by op", class_="chart")


def _bands(schedule: Schedule, axis: Axis, height: float) -> Iterator[str]:
    ii = schedule.ii_cycles or 1
    for stage in range(-(-axis.cycles // ii)):
        left, right = axis.x(stage * ii), axis.x(min(axis.cycles, (stage + 1) * ii))
        shade = "stage odd" if stage % 2 else "stage"
        yield tag("rect", x=left, y=20, width=max(0.0, right - left), height=height - 22, class_=shade)
        label = fitted(f"stage {stage}", right - left)
        if label:
            yield text(left + 5, 16, label, "tick strong")


def _line(schedule: Schedule, op: Op, axis: Axis, top: float, critical: bool) -> Iterator[str]:
    start = schedule.by_op[op.name].time_cycles
    colour = colour_of(schedule.machine, op.unit)
    left, done = axis.x(start), axis.x(start + op.span_cycles)
    issued = axis.x(min(start + max(1, op.issue_cycles), start + op.span_cycles))
    shapes = [
        tag("rect", x=0, y=top, width=WIDTH, height=LINE, class_="hit"),
        text(GUTTER - 8, top + 13, fitted(op.name, GUTTER - 16), "row", text_anchor="end"),
        tag("rect", x=left, y=top + 2, width=max(2.0, done - left), height=LINE - 4, rx=3, class_="flight",
            style=f"--c:{colour}"),
        tag("rect", x=left, y=top + 2, width=max(2.0, issued - left), height=LINE - 4, rx=3, fill=colour),
    ]  # fmt: skip
    if critical:
        shapes.append(tag("circle", cx=GUTTER - 3, cy=top + LINE / 2, r=2.6, class_="critical"))
    inside = issued - left > 46
    style = f"fill:{ink_on(colour)}" if inside else None
    shapes.append(_time(axis, start, left, done, top, inside, style))
    yield tag("g", "".join(shapes), data_op=op.name, class_="op")


def _time(axis: Axis, start: int, left: float, done: float, top: float, inside: bool, style: str | None) -> str:
    """The issue time, inside the bar, right of it, or left of it where there is no room."""
    if inside:
        return text(left + 5, top + 13, f"{start:,}", "bartext", style=style)
    if done + 50 < axis.right:
        return text(done + 5, top + 13, f"{start:,}", "tick")
    return text(left - 5, top + 13, f"{start:,}", "tick", text_anchor="end")
