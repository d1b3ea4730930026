"""SVG of the steady state: what each unit and each warp group does over one II."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ir.schedule import Schedule
from twill.report.bars import Bar, Kind, Piece, Row, group_rows, pack, pieces, unit_rows, waits
from twill.report.page.svg import GUTTER, WIDTH, Axis, fitted, picture, tag, text
from twill.report.palette import colour_of, ink_on
from twill.report.streams import asynchronous

LANE, GAP, HEAD = 24, 10, 26
MAX_STRIPES = 3


@dataclass(frozen=True)
class Lanes:
    """A row with its pieces in lanes, drawn from `top` on."""

    row: Row
    lanes: tuple[tuple[Piece, ...], ...]
    top: float

    @property
    def bottom(self) -> float:
        """Where the row ends, the gap to the next one not included."""
        return self.top + LANE * max(1, len(self.lanes))


def steady_chart(schedule: Schedule) -> str:
    """The chart; bars wrap round at the II, stripes mark the stage, an asynchronous op trails its time in flight."""
    axis = Axis(schedule.ii_cycles or 1)
    parts, top = list[str](), 0.0
    sections = [("Units", unit_rows(schedule))]
    if schedule.joint:
        sections.append(("Warp groups", tuple(_with_flights(schedule, row) for row in group_rows(schedule))))
    for title, rows in sections:
        placed, bottom = _place(schedule, rows, top + HEAD + 16)
        parts.append(text(0, top + 16, title, "band"))
        parts.append(axis.grid(top + HEAD + 10, bottom))
        parts += [piece for lanes in placed for piece in _draw_row(schedule, lanes, axis)]
        top = bottom + 14
    return picture(top, [_patterns(), *parts], "Steady state by unit and by warp group", class_="chart")


def stripe(stage: int) -> str | None:
    """Pattern that marks a stage, None for stage 0."""
    return f"url(#stripe{1 + (stage - 1) % MAX_STRIPES})" if stage else None


def stripes() -> str:
    """The definition of the patterns; once in a page is enough."""
    angles = {1: 45, 2: -45, 3: 90}
    line = tag("rect", width=3, height=8, class_="stripe")
    patterns = [
        tag("pattern", line, id=f"stripe{n}", width=8, height=8, patternUnits="userSpaceOnUse",
            patternTransform=f"rotate({angle})")
        for n, angle in angles.items()
    ]  # fmt: skip
    return tag("defs", "".join(patterns))


def _patterns() -> str:
    return stripes()


def _with_flights(schedule: Schedule, row: Row) -> Row:
    """Lengthen the bars of asynchronous ops to their latency, and add the waits of the group."""
    late = asynchronous(schedule.graph)
    bars = [_flight(schedule, bar) if bar.op in late else bar for bar in row.bars]
    stops = waits(schedule, row.group) if row.group is not None else ()
    return Row(row.label, row.detail, (*bars, *stops), row.group)


def _flight(schedule: Schedule, bar: Bar) -> Bar:
    op = schedule.graph.by_name[bar.op]
    length = min(max(op.latency_cycles, op.occupancy_cycles), schedule.ii_cycles or 1)
    return Bar(bar.op, "flight", bar.start_cycles, bar.start_cycles + length, bar.stage)


def _place(schedule: Schedule, rows: tuple[Row, ...], top: float) -> tuple[list[Lanes], float]:
    placed = []
    order: dict[Kind, int] = {"busy": 0, "issue": 0, "wait": 0, "flight": 1}
    for row in rows:
        cut = sorted(pieces(row.bars, schedule.ii_cycles or 1), key=lambda p: (order[p.bar.kind], p.start_cycles))
        lanes = pack(cut, lambda piece: (piece.start_cycles, piece.end_cycles))
        placed.append(Lanes(row, lanes, top))
        top = placed[-1].bottom + GAP
    return placed, top - GAP if placed else top


def _draw_row(schedule: Schedule, lanes: Lanes, axis: Axis) -> Iterator[str]:
    middle = (lanes.top + lanes.bottom) / 2
    yield text(0, middle + (0 if lanes.row.detail else 4), lanes.row.label, "row")
    if lanes.row.detail:
        yield text(0, middle + 14, lanes.row.detail, "detail")
    yield tag("rect", x=GUTTER, y=lanes.top, width=WIDTH - GUTTER - 14, height=lanes.bottom - lanes.top, class_="track")
    for number, lane in enumerate(lanes.lanes):
        for piece in lane:
            yield _draw_piece(schedule, piece, axis, lanes.top + LANE * number)


def _draw_piece(schedule: Schedule, piece: Piece, axis: Axis, top: float) -> str:
    bar = piece.bar
    left, right = axis.x(piece.start_cycles), axis.x(piece.end_cycles)
    width = max(1.5, right - left - 0.75)
    place: dict[str, Any] = {"x": left, "y": top + 2, "width": width, "height": LANE - 4, "rx": min(3.0, width / 2)}
    if bar.kind == "wait":
        return tag("g", tag("rect", **place | {"y": top + 8, "height": LANE - 16}, class_="wait"), data_op=bar.op)
    colour = colour_of(schedule.machine, schedule.graph.by_name[bar.op].unit)
    flying = bar.kind == "flight"
    shapes = [tag("rect", **place, class_="flight" if flying else "bar", style=f"--c:{colour};--i:{ink_on(colour)}")]
    if stripe(bar.stage):
        shapes.append(tag("rect", **place, fill=stripe(bar.stage)))
    if flying and piece.head:
        shapes.append(tag("rect", x=left, y=top + 2, width=3, height=LANE - 4, fill=colour))
    label = fitted(bar.op if piece.head else f"…{bar.op}", width - (4 if flying else 0))
    if label:
        style = None if flying else f"fill:{ink_on(colour)}"
        shapes.append(text(left + (8 if flying else 5), top + LANE / 2 + 4, label, "bartext", style=style))
    return tag("g", "".join(shapes), data_op=bar.op, class_="op")
