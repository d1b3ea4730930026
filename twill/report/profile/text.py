"""A modelled launch for the terminal: headline, limiter, occupancy, stalls, roofline, advice, and lines on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import PurePath
from typing import TYPE_CHECKING

from backends.model.modelled import Modelled
from backends.model.report.lines import SourceLine
from backends.model.report.metrics import METRICS
from backends.model.report.report import Report
from ir.diagnostics import Location
from twill.report.numbers import time_text
from twill.report.table import console_for, grid

if TYPE_CHECKING:
    from rich.table import Table

_MOST_UNITS = 8
_LEAST_STALL = 0.01
_CLASSES = {
    "plain": "plain kernels",
    "memory": "kernels limited by DRAM",
    "tensor": "tensor-core kernels",
    "asynchronous": "asynchronous kernels",
}


def profile_text(report: Report, with_lines: bool = False, with_metrics: bool = False) -> str:
    """The report as text; every time in it is called modelled."""
    text = StringIO()
    console = console_for(text)
    for part in (_head(report), _units(report), _stalls(report), *((_lines(report),) if with_lines else ())):
        for item in part:
            console.print(item, markup=False, highlight=False, soft_wrap=isinstance(item, str))
    for line in (*_advice(report), *_notes(report)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in _metrics(report) if with_metrics else ():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def headline(m: Modelled) -> str:
    """Kernel, sizes, and the modelled time with its interval, machine and the model's error for such kernels."""
    sizes = " ".join(f"{name}={value}" for name, value in m.sizes.items())
    time = time_text(m.time_us.value)
    spread = f" ({time_text(m.time_us.low)} to {time_text(m.time_us.high)})" if m.has_interval else ""
    often = f", {m.launches} launches of it" if m.launches > 1 else ""
    return f"{m.kernel} {sizes}{often}: modelled {time}{spread}, {m.machine} ({m.architecture}), {error_text(m)}"


def error_text(m: Modelled) -> str:
    """The class of the kernel, and the model's error on published measurements of it."""
    if m.error is None:
        return f"{_CLASSES[m.kernel_class]}: error not measured"
    found = m.error
    spread = f"90th percentile {found.p90_percent:.3g} %, {found.measurements} published measurements"
    return f"{_CLASSES[m.kernel_class]}: error {found.error_percent:.3g} % ({spread})"


def _head(report: Report) -> Iterator[str]:
    m = report.modelled
    yield headline(m)
    share = f" ({m.limits.busy[m.limits.limiter]:.0%} busy)" if m.limits.limiter in m.limits.busy else ""
    yield f"limited by {m.limits.limiter}{share}; most warps wait in {m.limits.stall or 'no state'}"
    held = m.occupancy
    yield (
        f"occupancy {held.share:.0%}: {held.ctas} CTAs, {held.warps} of {held.max_warps} warps an SM, limited by "
        f"{held.limiter}; achieved {report.facts.warps_active:.3g} warps"
    )
    yield (
        f"{m.work.ctas:,} CTAs in {report.waves:.3g} waves, {m.time.active_sms} SMs at work; launch "
        f"{report.launch_share:.1%} of the time; {m.time.cycles:,.0f} modelled cycles at {m.clock_mhz:.0f} MHz"
    )
    yield _roofline(report)


def _roofline(report: Report) -> str:
    r = report.roofline
    moved = f"{r.dram_bytes / 1e6:.4g} MB of DRAM, {r.achieved_gbyte_per_s:.4g} of {r.dram_gbyte_per_s:.4g} GB/s"
    if not r.is_complete:
        return f"roofline: matrix products of unknown size; {moved}"
    if not r.flops:
        return f"roofline: no floating-point work; {moved}"
    share = f", {r.roof_share:.0%} of the roof" if r.roof_share is not None else ""
    bound = f" ({r.bound} side)" if r.bound else ""
    intensity = f", {r.intensity_flop_per_byte:.3g} flop/byte" if r.intensity_flop_per_byte is not None else ""
    return f"roofline: {r.achieved_gflop_per_s / 1e3:.4g} TFLOP/s {r.kind}{share}{bound}{intensity}; {moved}"


def _units(report: Report) -> Iterable[str | Table]:
    busy = list(report.modelled.limits.busy.items())[:_MOST_UNITS]
    rows = [(name, f"{share:.1%}", _bar(share)) for name, share in busy]
    return _spaced(grid("Busy (modelled, busiest SM)", [("unit", False), ("busy", True), ("", False)], rows))


def _stalls(report: Report) -> Iterable[str | Table]:
    issued = max(sum(report.modelled.time.sm.issues), 1)
    total = float(report.facts.stall_cycles.sum())
    rows = [
        (name, f"{share:.1%}", f"{share * total / issued:.2f}", _hottest(report.lines, name))
        for name, share in report.stalls.items()
        if share >= _LEAST_STALL
    ]
    columns = [("stall", False), ("share", True), ("warps per issue", True), ("most at", False)]
    return _spaced(grid("Stalls (modelled)", columns, rows))


def _lines(report: Report) -> Iterable[str | Table]:
    columns = [
        ("line", False), ("instructions", True), ("share", True), ("sectors", True), ("per request", True),
        ("ideal", True), ("wavefronts", True), ("ideal", True), ("stalls", True), ("top stall", False),
        ("source", False),
    ]  # fmt: skip
    return _spaced(grid("Lines (whole grid, modelled)", columns, [_cells(line) for line in report.lines]))


def _cells(line: SourceLine) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return f"{value:,.4g}" if value else ""

    return (
        short(line.location), f"{line.instructions:,.0f}", f"{line.instruction_share:.1%}", number(line.global_sectors),
        number(line.sectors_per_request), number(line.ideal_sectors_per_request), number(line.shared_wavefronts),
        number(line.shared_wavefronts_ideal), f"{line.stall_share:.1%}", line.stall or "", (line.text or "").strip(),
    )  # fmt: skip


def _metrics(report: Report) -> Iterator[str]:
    yield "\nMetrics (modelled; null: not modelled, or a ratio of nothing)"
    for metric in METRICS:
        value = report.metrics[metric.name]
        yield f"  {metric.name:74} {'null' if value is None else f'{value:,.6g}':>18} {metric.unit}".rstrip()


def _spaced(table: Table | None) -> Iterable[str | Table]:
    return ("", table) if table is not None else ()


def _hottest(lines: Iterable[SourceLine], state: str) -> str:
    worst = max(lines, key=lambda line: line.by_stall.get(state, 0.0), default=None)
    return short(worst.location) if worst and worst.by_stall.get(state) else ""


def short(place: Location) -> str:
    """The file without its folders, and the line.

    >>> short(Location("/a/kernel.cu", 41)), short(Location(""))
    ('kernel.cu:41', '(no line)')
    """
    return f"{PurePath(place.file).name}:{place.line}" if place.file else "(no line)"


def _bar(share: float, width: int = 20) -> str:
    return "#" * min(width, round(share * width))


def _advice(report: Report) -> Iterator[str]:
    for number, found in enumerate(report.advice):
        if not number:
            yield "\nAdvice"
        yield f"* {found.message} [{found.rule}]"
        if found.remedy:
            yield f"  {found.remedy}"


def _notes(report: Report) -> Iterator[str]:
    for number, note in enumerate(report.modelled.notes):
        if not number:
            yield "\nNotes"
        yield f"* {note.message} [{note.rule}]"
