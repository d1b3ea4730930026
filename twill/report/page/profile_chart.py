"""SVG of amounts over one II: units in use, memory live and allocated, registers, each against its capacity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ir.schedule import Schedule
from twill.explain.steady import Profile, covers, memory_profiles, register_profiles, unit_ops
from twill.explain.words import size_text
from twill.report.page.svg import GUTTER, MARGIN, WIDTH, Axis, picture, tag, text
from twill.report.palette import unit_colours

HEIGHT, GAP, HEAD = 46, 16, 26
MEMORY_COLOURS = {"smem": "#4477aa", "tmem": "#2aa5b8", "registers": "#aa3377"}


@dataclass(frozen=True)
class Curve:
    """A step curve with its capacity and, for buffers, what is allocated; `note` stands under the label."""

    label: str
    note: str
    steps: Sequence[tuple[int, int]]
    capacity: int | None
    allocated: int | None
    colour: str


def unit_chart(schedule: Schedule) -> str:
    """Instances of each unit in use at every slot."""
    return _chart(
        schedule, [_unit_curve(schedule, unit) for unit in schedule.machine.units], "Units in use over one II"
    )


def storage_chart(schedule: Schedule) -> str:
    """Memory and registers at every slot; empty where the schedule says nothing of them."""
    profiles = (*memory_profiles(schedule), *register_profiles(schedule))
    return _chart(schedule, [_storage_curve(profile) for profile in profiles], "Memory and registers over one II")


def _unit_curve(schedule: Schedule, unit: str) -> Curve | None:
    ops = unit_ops(schedule.graph, unit)
    if not ops:
        return None
    ii, count = schedule.ii_cycles or 1, schedule.machine.units[unit]
    starts = [(schedule.slot(op.name), op.occupancy_cycles) for op in ops]
    steps = covers(((start, start + held, 1) for start, held in starts), ii)
    share = sum(op.occupancy_cycles for op in ops) / (ii * count)
    return Curve(
        unit, f"{share:.1%} busy", steps, count if count > 1 else None, None, unit_colours(schedule.machine)[unit]
    )


def _storage_curve(profile: Profile) -> Curve:
    amounts = [profile.peak] if profile.capacity is None else [profile.peak, profile.capacity]
    texts = [size_text(amount, profile.memory) for amount in amounts]
    note = f"peak {texts[0].removesuffix(' registers')} of {texts[1]}" if texts[1:] else f"peak {texts[0]}"
    colour = MEMORY_COLOURS[profile.memory]
    return Curve(profile.label, note, profile.steps, profile.capacity, profile.allocated, colour)


def _chart(schedule: Schedule, curves: Sequence[Curve | None], label: str) -> str:
    known = [curve for curve in curves if curve is not None]
    if not known:
        return ""
    axis = Axis(schedule.ii_cycles or 1, left=GUTTER + 30)
    height = HEAD + (HEIGHT + GAP) * len(known)
    parts = [axis.grid(HEAD - 6, height - GAP + 4)]
    for number, curve in enumerate(known):
        parts.append(_curve(curve, axis, HEAD + (HEIGHT + GAP) * number))
    return picture(height, parts, label, class_="chart")


def _curve(curve: Curve, axis: Axis, top: float) -> str:
    most = max(1, curve.capacity or 0, curve.allocated or 0, *(amount for _, amount in curve.steps))

    def y(amount: float) -> float:
        return top + HEIGHT - HEIGHT * amount / most

    parts = [
        text(0, top + 20, curve.label, "row"),
        text(0, top + 34, curve.note, "detail"),
        tag("rect", x=axis.left, y=top, width=WIDTH - MARGIN - axis.left, height=HEIGHT, class_="track"),
        tag("path", d=_area(curve.steps, axis, y), class_="area", style=f"--c:{curve.colour}"),
    ]
    for amount, name in ((curve.capacity, "capacity"), (curve.allocated, "allocated")):
        if amount is not None:
            parts.append(tag("line", x1=axis.left, x2=axis.right, y1=y(amount), y2=y(amount), class_=name))
    return tag("g", "".join(parts))


def _area(steps: Sequence[tuple[int, int]], axis: Axis, y: Callable[[float], float]) -> str:
    points = [f"M{axis.left:.1f} {y(0):.1f}"]
    for (slot, amount), (end, _) in zip(steps, [*steps[1:], (axis.cycles, 0)], strict=True):
        points.append(f"L{axis.x(slot):.1f} {y(amount):.1f}L{axis.x(end):.1f} {y(amount):.1f}")
    return "".join(points) + f"L{axis.right:.1f} {y(0):.1f}Z"
