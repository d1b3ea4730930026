"""SVG of the roofline: what the machine can do at each intensity, and where the launch stands."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log10

from backends.model.report.roofline import Roofline
from twill.report.page.svg import picture, tag, text

WIDTH, HEIGHT = 560.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 14.0, 40.0


class _Plane:
    """Powers of ten on both axes: flop/byte to the right, 1e9 flop/s up."""

    def __init__(self, r: Roofline, intensity: float, peak: float) -> None:
        ridge = peak / r.dram_gbyte_per_s
        self.x0, self.x1 = floor(log10(min(intensity, ridge) / 2)), ceil(log10(max(intensity, ridge) * 2))
        low = min(r.achieved_gflop_per_s, 10.0**self.x0 * r.dram_gbyte_per_s)
        self.y0, self.y1 = floor(log10(low)), ceil(log10(peak * 1.2))

    def x(self, intensity: float) -> float:
        """Place of an intensity."""
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (log10(intensity) - self.x0) / (self.x1 - self.x0)

    def y(self, gflop_per_s: float) -> float:
        """Place of a rate."""
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (log10(gflop_per_s) - self.y0) / (self.y1 - self.y0)


def roofline_chart(r: Roofline) -> str:
    """The chart; empty where there is no floating-point work, no traffic, or no known peak."""
    if not (r.is_complete and r.flops and r.intensity_flop_per_byte and r.peak_gflop_per_s):
        return ""
    plane = _Plane(r, r.intensity_flop_per_byte, r.peak_gflop_per_s)
    parts = [*_grid(plane), *_roof(plane, r, r.peak_gflop_per_s), *_point(plane, r, r.intensity_flop_per_byte)]
    return picture(HEIGHT, parts, "Roofline, modelled", width=WIDTH, class_="chart small")


def _grid(plane: _Plane) -> Iterator[str]:
    for power in range(plane.x0, plane.x1 + 1):
        x = plane.x(10.0**power)
        yield tag("line", x1=x, x2=x, y1=_TOP, y2=HEIGHT - _BOTTOM, class_="grid")
        yield text(x, HEIGHT - _BOTTOM + 15, f"{10.0**power:g}", "tick", text_anchor="middle")
    for power in range(plane.y0, plane.y1 + 1):
        y = plane.y(10.0**power)
        yield tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        yield text(_LEFT - 7, y + 4, _rate(10.0**power), "tick", text_anchor="end")
    yield text((WIDTH + _LEFT) / 2, HEIGHT - 8, "flop per byte of DRAM", "detail", text_anchor="middle")


def _roof(plane: _Plane, r: Roofline, peak: float) -> Iterator[str]:
    ridge, start = peak / r.dram_gbyte_per_s, 10.0**plane.x0
    points = [(start, start * r.dram_gbyte_per_s), (ridge, peak), (10.0**plane.x1, peak)]
    path = "L".join(f"{plane.x(x):.1f} {plane.y(y):.1f}" for x, y in points)
    yield tag("path", d=f"M{path}", class_="roof")
    yield text(WIDTH - _RIGHT - 4, plane.y(peak) - 6, f"{r.kind} {_rate(peak)}flop/s", "detail", text_anchor="end")


def _point(plane: _Plane, r: Roofline, intensity: float) -> Iterator[str]:
    x, y = plane.x(intensity), plane.y(r.achieved_gflop_per_s)
    yield tag("circle", cx=x, cy=y, r=5.5, class_="point")
    share = f", {r.roof_share:.0%} of the roof" if r.roof_share is not None else ""
    is_right = x > WIDTH * 0.6
    label = f"{_rate(r.achieved_gflop_per_s)}flop/s{share}"
    yield text(x + (-10 if is_right else 10), y + 16, label, "strong", text_anchor="end" if is_right else "start")


def _rate(gflop_per_s: float) -> str:
    """In G, T or P.

    >>> _rate(2500.0), _rate(10.0)
    ('2.5 T', '10 G')
    """
    for scale, letter in ((1e6, "P"), (1e3, "T")):
        if gflop_per_s >= scale:
            return f"{gflop_per_s / scale:.3g} {letter}"
    return f"{gflop_per_s:.3g} G"
