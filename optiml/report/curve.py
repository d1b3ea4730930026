"""SVG of the search over time: every program that was evaluated as a point, failures apart, and the best so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from optiml.report.words import ratio_text
from optiml.store.reading import Reading
from twill.report.numbers import time_text
from twill.report.page.svg import WIDTH, picture, tag, text

HEIGHT = 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _LANE = 58.0, 18.0, 16.0, 42.0, 26.0
# What a tick's label needs.
_APART = 26.0
_SIZE = 4.0


@dataclass(frozen=True)
class Point:
    """One evaluation, numbered from 1: speedup over the baseline, None where it failed; what it was."""

    number: int
    speedup: float | None
    said: str
    is_on_way: bool


def points(reading: Reading) -> tuple[Point, ...]:
    """Each program at its first step."""
    base_us = reading.baseline_us
    way = {s.key for s in reading.way(reading.best or "")}
    first = {s.key: s for s in reversed(reading.steps)}
    found = []
    for number, step in enumerate(sorted(first.values(), key=lambda s: s.number), 1):
        verdict = reading.verdicts[step.key]
        time_us = verdict.time_us
        speedup = base_us / time_us if base_us and time_us else None
        came_to = f"{time_text(time_us)}, {ratio_text(speedup)}" if time_us and speedup else str(verdict.status)
        found.append(Point(number, speedup, f"step {step.number}, {step.tag}: {came_to}", step.key in way))
    return tuple(found)


def best_so_far(found: Sequence[Point]) -> tuple[float, ...]:
    """The best speed-up after each evaluation, with that of none first.

    >>> best_so_far([Point(1, 2.0, "", False), Point(2, None, "", False), Point(3, 1.5, "", False)])
    (1.0, 2.0, 2.0, 2.0)
    """
    best = [1.0]
    for point in found:
        best.append(max(best[-1], point.speedup or 0.0))
    return tuple(best)


def curve(found: Sequence[Point]) -> str:
    """The chart; empty where nothing has been evaluated."""
    if not found:
        return ""
    speedups = [1.0, *(p.speedup for p in found if p.speedup)]
    plane = _Plane(len(found), min(speedups), max(speedups))
    parts = [*_grid(plane), _line(plane, best_so_far(found)), *(_drawn(plane, p) for p in found)]
    return picture(HEIGHT, parts, "Speed-up of every program and of the best so far", class_="chart")


@dataclass(frozen=True)
class _Plane:
    """Evaluations to the right, the logarithm of the speed-up up."""

    count: int
    low: float
    high: float

    @property
    def bottom(self) -> float:
        """Above the lane of failures."""
        return HEIGHT - _BOTTOM - _LANE

    def x(self, number: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * number / self.count

    def y(self, speedup: float) -> float:
        low, high = log10(self.low) - 0.05, log10(self.high) + 0.05
        return self.bottom - (self.bottom - _TOP) * (log10(speedup) - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round speed-ups, 1 among them, as many as have room."""
        powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        steps = (1.0, 2.0, 5.0) if self.high / self.low > 3 else (1.0, 1.1, 1.2, 1.5, 2.0, 2.5, 5.0, 7.0, 8.0, 9.0)
        within = [s * 10.0**p for p in powers for s in steps if self.low * 0.95 <= s * 10.0**p <= self.high * 1.05]
        kept = [1.0]
        for tick in sorted(within, key=lambda t: abs(log10(t))):
            if all(abs(self.y(tick) - self.y(k)) >= _APART for k in kept):
                kept.append(tick)
        return sorted(kept)


def _grid(plane: _Plane) -> Iterator[str]:
    for tick in plane.ticks():
        y = plane.y(tick)
        yield tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="base" if tick == 1.0 else "grid")
        yield text(_LEFT - 8, y + 4, f"{tick:.3g}x", "tick", text_anchor="end")
    lane = HEIGHT - _BOTTOM - _LANE / 2
    yield text(_LEFT - 8, lane + 4, "failed", "tick", text_anchor="end")
    step = max(1, ceil(plane.count / 12))
    for number in range(0, plane.count + 1, step):
        yield text(plane.x(number), HEIGHT - _BOTTOM + 16, str(number), "tick", text_anchor="middle")
    yield text((WIDTH + _LEFT) / 2, HEIGHT - 8, "programs evaluated", "detail", text_anchor="middle")


def _line(plane: _Plane, best: Sequence[float]) -> str:
    steps = [f"M{plane.x(0):.1f} {plane.y(best[0]):.1f}"]
    steps += [f"H{plane.x(n):.1f}V{plane.y(value):.1f}" for n, value in enumerate(best) if n]
    return tag("path", d="".join(steps), class_="best")


def _drawn(plane: _Plane, point: Point) -> str:
    x, title = plane.x(point.number), _title(point.said)
    if point.speedup is None:
        y = HEIGHT - _BOTTOM - _LANE / 2
        cross = f"M{x - _SIZE:.1f} {y - _SIZE:.1f}l{2 * _SIZE} {2 * _SIZE}m0 {-2 * _SIZE}l{-2 * _SIZE} {2 * _SIZE}"
        return tag("g", title + tag("path", d=cross, class_="failed"))
    shape = tag("circle", cx=x, cy=plane.y(point.speedup), r=_SIZE + point.is_on_way * 1.5,
                class_="onway" if point.is_on_way else "tried")  # fmt: skip
    return tag("g", title + shape)


def _title(said: str) -> str:
    """What a pointer over an element is told; escaped."""
    return tag("title", escape(said))
