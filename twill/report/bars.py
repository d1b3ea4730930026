"""The bars of the steady state: what each unit and each warp group does at which slot, for the drawn reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from ir.schedule import Schedule
from twill.explain.steady import wrapped

Kind = Literal["busy", "issue", "wait", "flight"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Bar:
    """An op from `start_cycles` (a slot) on; `end_cycles` above II wraps round.

    A `wait` stands before its op, a `flight` lasts until the result.
    """

    op: str
    kind: Kind
    start_cycles: int
    end_cycles: int
    stage: int


@dataclass(frozen=True)
class Piece:
    """The part of a bar inside one turn of the steady state; `head` has the start of the bar, `tail` its end."""

    bar: Bar
    start_cycles: int
    end_cycles: int
    head: bool
    tail: bool


@dataclass(frozen=True)
class Row:
    """One line of a chart: a unit or a warp group, and its bars in slot order."""

    label: str
    detail: str
    bars: tuple[Bar, ...]
    group: int | None = None


def unit_rows(schedule: Schedule) -> tuple[Row, ...]:
    """A row for each unit in use: the cycles in which its ops hold it."""
    rows = [
        Row(unit, f"{count} x" if count > 1 else "", _bars(_busy(schedule, unit)))
        for unit, count in schedule.machine.units.items()
    ]
    return tuple(row for row in rows if row.bars)


def group_rows(schedule: Schedule) -> tuple[Row, ...]:
    """A row for each warp group: the cycles in which its instruction stream issues."""
    used = sorted({p.group for p in schedule.placements})
    known = {group.index: group for group in schedule.groups}
    rows = []
    for index in used:
        group = known.get(index)
        label = f"{index} {group.role}" if group else f"{index}"
        detail = f"{group.warps} warp{'s'[: group.warps != 1]}" if group else ""
        rows.append(Row(label, detail, _bars(_issued(schedule, index)), index))
    return tuple(rows)


def waits(schedule: Schedule, group: int) -> tuple[Bar, ...]:
    """The waits of a group before the targets of blocking edges."""
    cycles = schedule.machine.wait_cycles
    blocked = {edge.target for edge in schedule.graph.edges if edge.blocking}
    here = [op for op in blocked if schedule.by_op[op].group == group and cycles]
    return _bars(_bar(schedule, op, "wait", schedule.by_op[op].time_cycles - cycles, cycles) for op in here)


def pieces(bars: Iterable[Bar], ii_cycles: int) -> Iterator[Piece]:
    """Cut bars at the ends of the steady state."""
    for bar in bars:
        parts = wrapped(bar.start_cycles, bar.end_cycles - bar.start_cycles, ii_cycles)
        for number, (start, end) in enumerate(parts):
            yield Piece(bar, start, end, number == 0, number == len(parts) - 1)


def pack(items: Iterable[Item], extent: Callable[[Item], tuple[int, int]]) -> tuple[tuple[Item, ...], ...]:
    """Put each item, in the order given, into the first lane where its (start, end) overlaps no other."""
    lanes: list[list[Item]] = []
    for item in items:
        start, end = extent(item)
        free = (lane for lane in lanes if all(b <= start or end <= a for a, b in map(extent, lane)))
        lane = next(free, None)
        if lane is None:
            lane = []
            lanes.append(lane)
        lane.append(item)
    return tuple(map(tuple, lanes))


def _busy(schedule: Schedule, unit: str) -> Iterator[Bar]:
    for op in schedule.graph.ops:
        if op.unit == unit and op.occupancy_cycles and op.name in schedule.by_op:
            yield _bar(schedule, op.name, "busy", schedule.slot(op.name), op.occupancy_cycles)


def _issued(schedule: Schedule, group: int) -> Iterator[Bar]:
    for op in schedule.graph.ops:
        if op.name in schedule.by_op and schedule.by_op[op.name].group == group:
            yield _bar(schedule, op.name, "issue", schedule.slot(op.name), max(1, op.issue_cycles))


def _bar(schedule: Schedule, op: str, kind: Kind, start_cycles: int, cycles: int) -> Bar:
    start = start_cycles % (schedule.ii_cycles or 1)
    return Bar(op, kind, start, start + cycles, schedule.stage(op))


def _bars(bars: Iterable[Bar]) -> tuple[Bar, ...]:
    return tuple(sorted(bars, key=lambda bar: (bar.start_cycles, bar.end_cycles, bar.op)))
