"""ASCII Gantt chart of the steady state: a row for each unit and each warp group, II scaled to the width."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from ir.schedule import Schedule
from twill.report.bars import Bar, Piece, Row, group_rows, pack, pieces, unit_rows
from twill.report.text import headline, negative

MIN_WIDTH, MAX_WIDTH = 48, 400
MAX_LINES = 6
MAX_CELLS_PER_CYCLE = 12


@dataclass(frozen=True)
class Scale:
    """Cells of a line that stand for the II."""

    ii_cycles: int
    cells: int

    def cell(self, cycles: int) -> int:
        """First cell at or after which a slot is drawn."""
        return cycles * self.cells // self.ii_cycles


@dataclass(frozen=True)
class Mark:
    """A piece of a bar: `text` starts at cell `start`."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """First cell after the mark."""
        return self.start + len(self.text)


def gantt(schedule: Schedule, width: int | None = None) -> str:
    """The chart as plain ASCII, no line wider than `width` columns (the terminal's, at least 48).

    `[name@stage===]` is a bar; `>` and `<` mark where it runs over the end of the II; `|name@stage` is an op that is
    shorter than its name; `#` marks a cell where ops that found no line of their own issue.
    """
    if not schedule.found or not schedule.ii_cycles:
        return negative(schedule)
    columns = min(MAX_WIDTH, max(MIN_WIDTH, width or shutil.get_terminal_size((100, 24)).columns))
    units, groups = unit_rows(schedule), group_rows(schedule) if schedule.joint else ()
    gutter = min(columns // 4, max(len(_label(row)) for row in (*units, *groups, Row("warp group", "", ()))))
    scale = _scale(schedule.ii_cycles, columns - gutter - 3)
    lines = [line[:columns] for line in headline(schedule)]
    for title, rows in (("unit", units), ("warp group", groups)):
        lines += ["", *_section(title, rows, scale, gutter)] if rows else []
    note = f"modelled cycles; one cell is {scale.ii_cycles / scale.cells:.4g} cycles; name@stage; > runs on at <"
    return "\n".join([*lines, "", *textwrap.wrap(note, columns)]) + "\n"


def _scale(ii_cycles: int, room: int) -> Scale:
    per_cycle = min(MAX_CELLS_PER_CYCLE, room // ii_cycles)
    return Scale(ii_cycles, per_cycle * ii_cycles if per_cycle else room)


def _label(row: Row) -> str:
    return f"{row.label} ({row.detail})" if row.detail else row.label


def _section(title: str, rows: tuple[Row, ...], scale: Scale, gutter: int) -> Iterator[str]:
    yield f"{title[:gutter]:<{gutter}} |{_ruler(scale)}"
    for row in rows:
        for number, line in enumerate(_lines(row.bars, scale)):
            label = "" if number else _label(row)
            yield f"{label[:gutter]:<{gutter}} |{line:<{scale.cells}}|".rstrip()


def _ruler(scale: Scale) -> str:
    text = "0"
    ticks = [t for t in _ticks(scale.ii_cycles) if 0 < t < scale.ii_cycles]
    for tick in ticks:
        at = scale.cell(tick)
        if at > len(text) + 1 and at + len(str(tick)) + len(str(scale.ii_cycles)) < scale.cells:
            text = f"{text:<{at}}{tick}"
    last = str(scale.ii_cycles)
    return f"{text:<{max(0, scale.cells - len(last))}}{last}" if len(text) + len(last) < scale.cells else text


def _ticks(ii_cycles: int, wanted: int = 8) -> range:
    rough = max(1, ii_cycles // wanted)
    power = 10 ** (len(str(rough)) - 1)
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return range(0, ii_cycles, step)


def _lines(bars: tuple[Bar, ...], scale: Scale) -> list[str]:
    marks = sorted(
        (_mark(piece, scale) for piece in pieces(bars, scale.ii_cycles)), key=lambda m: (m.text[0] == "|", m.start)
    )
    lanes = pack(marks, lambda mark: (mark.start, mark.end))
    lines = [_draw(lane, scale.cells) for lane in lanes[:MAX_LINES]]
    rest = [Mark(mark.start, "#") for lane in lanes[MAX_LINES:] for mark in lane]
    return [*lines, _draw(rest, scale.cells)] if rest else lines


def _mark(piece: Piece, scale: Scale) -> Mark:
    start, end = scale.cell(piece.start_cycles), scale.cell(piece.end_cycles)
    name = f"{piece.bar.op}@{piece.bar.stage}" if piece.head else ""
    length = max(1, end - start)
    if length >= len(name) + 2:
        left, right = "[" if piece.head else "<", "]" if piece.tail else ">"
        return Mark(start, f"{left}{name}{'=' * (length - len(name) - 2)}{right}")
    if not piece.head:
        return Mark(start, "<" * length)
    text = f"|{name} " if piece.tail else f"|{name}>"
    start = min(start, max(0, scale.cells - len(text)))
    return Mark(start, text[: scale.cells])


def _draw(marks: tuple[Mark, ...] | list[Mark], cells: int) -> str:
    line = [" "] * cells
    for mark in marks:
        line[mark.start : mark.end] = mark.text
    return "".join(line)[:cells]
