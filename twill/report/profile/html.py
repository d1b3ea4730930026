"""The page of modelled launches: one file with everything that the report says, and nothing to load from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from backends.model.report.lines import SourceLine
from backends.model.report.metrics import METRICS
from backends.model.report.report import Report
from twill.report.numbers import count_text, time_text
from twill.report.page.svg import picture, tag, text
from twill.report.page.template import page_template
from twill.report.page.tile import Tile
from twill.report.palette import COLOURS
from twill.report.profile.roofline_chart import roofline_chart
from twill.report.profile.text import error_text, short

_CONTEXT_LINES = 2
_HOTTEST = 16
# Stall states in the order of their colours; those after them are grey.
_STATES = ("long_scoreboard", "short_scoreboard", "wait", "math_pipe_throttle", "mio_throttle", "barrier",
           "lg_throttle", "not_selected", "dispatch_stall", "no_instruction")  # fmt: skip
_OTHER = "#8a8f98"
_ROW, _LABEL = 24, 150


@dataclass(frozen=True)
class Row:
    """One line of a source file: what is known of it, None for a line without code; `skipped`: a gap before it."""

    number: int
    text: str
    found: SourceLine | None
    skipped: bool


def profile_html(reports: Sequence[Report]) -> str:
    """The page, one part for each launch. Every time on it is called modelled; it renders with no network."""
    first = reports[0].modelled
    parts = [_part(report) for report in reports]
    page = page_template("profile.html.jinja").render(
        title=first.kernel, first=first, parts=parts, metrics=METRICS, error=error_text(first), count_text=count_text
    )
    return page if page.endswith("\n") else f"{page}\n"


def _part(report: Report) -> dict[str, object]:
    from markupsafe import Markup

    m = report.modelled
    return {
        "report": report,
        "heading": f"{m.kernel} {' '.join(f'{name}={value}' for name, value in m.sizes.items())}",
        "tiles": list(_tiles(report)),
        "busy": Markup(_bars([(name, share, COLOURS[0]) for name, share in m.limits.busy.items()], "Busy units")),
        "stalls": Markup(_bars([(n, s, colour_of(n)) for n, s in report.stalls.items() if s >= 0.005], "Stalls")),
        "roofline": Markup(roofline_chart(report.roofline)),
        "files": list(_files(report)),
        "most": max((line.stall_share for line in report.lines), default=0.0) or 1.0,
        "hottest": list(_hottest(report)),
        "colour": colour_of,
    }


def colour_of(state: str) -> str:
    """The colour of a stall state, the same on every page."""
    return COLOURS[_STATES.index(state)] if state in _STATES else _OTHER


def _tiles(report: Report) -> Iterator[Tile]:
    m = report.modelled
    spread = f"{time_text(m.time_us.low)} to {time_text(m.time_us.high)}" if m.has_interval else "no interval asked for"
    busy = m.limits.busy.get(m.limits.limiter)
    yield Tile("Modelled time", time_text(m.time_us.value), spread)
    yield Tile("Limited by", m.limits.limiter, f"{busy:.0%} busy" if busy is not None else f"{m.limits.stall}")
    yield Tile(
        "Occupancy", f"{m.occupancy.share:.0%}", f"{m.occupancy.ctas} CTAs an SM, limited by {m.occupancy.limiter}"
    )
    r = report.roofline
    is_known = r.is_complete and r.roof_share is not None
    note = f"{r.kind}, {r.bound or 'unknown'} side" if is_known else "operations or rates are not known"
    yield Tile("Of the roof", f"{r.roof_share:.0%}" if is_known else "-", note)
    yield Tile(
        "DRAM", f"{r.achieved_gbyte_per_s:,.0f}", f"of {r.dram_gbyte_per_s:,.0f} GB/s, {r.dram_bytes / 1e6:,.4g} MB"
    )
    yield Tile("Waves", f"{report.waves:.3g}", f"{m.work.ctas:,} CTAs; launch {report.launch_share:.1%} of the time")


def _bars(rows: Sequence[tuple[str, float, str]], label: str) -> str:
    """Horizontal bars of shares, at most the whole width."""
    width = 560.0
    room = width - _LABEL - 60
    parts = []
    for number, (name, share, colour) in enumerate(rows):
        y = number * _ROW
        parts += [
            text(_LABEL - 10, y + 16, name, "row", text_anchor="end"),
            tag("rect", x=_LABEL, y=y + 5, width=room, height=_ROW - 10, class_="track"),
            tag("rect", x=_LABEL, y=y + 5, width=room * min(share, 1.0), height=_ROW - 10, fill=colour),
            text(_LABEL + room + 8, y + 16, f"{share:.1%}", "detail"),
        ]
    return picture(max(len(rows), 1) * _ROW, parts, f"{label}, modelled", width=width, class_="chart small")


def _files(report: Report) -> Iterator[tuple[str, list[Row]]]:
    """Each file with its lines that have code, and a little around them; the kernel's own file first."""
    own = PurePath(report.modelled.source_file).name
    by_file: dict[str, dict[int, SourceLine]] = {}
    for line in report.lines:
        if line.location.file:
            by_file.setdefault(line.location.file, {})[line.location.line] = line
    texts = {PurePath(name).name: text.splitlines() for name, text in report.modelled.compiled.sources.items()}
    for file in sorted(by_file, key=lambda name: (PurePath(name).name != own, name)):
        name = PurePath(file).name
        yield name, list(_rows(by_file[file], texts.get(name, [])))


def _rows(found: dict[int, SourceLine], content: Sequence[str]) -> Iterator[Row]:
    around = {n for line in found for n in range(line - _CONTEXT_LINES, line + _CONTEXT_LINES + 1)}
    numbers = sorted(n for n in around if 1 <= n <= len(content)) if content else sorted(found)
    last = 0
    for number in numbers:
        told = content[number - 1] if number <= len(content) else "(the file is not here)"
        yield Row(number, told, found.get(number), bool(last) and number > last + 1)
        last = number


def _hottest(report: Report) -> Iterator[dict[str, object]]:
    """The machine instructions at which warps wait most."""
    facts = report.facts
    total = max(float(facts.stall_cycles.sum()), 1.0)
    for index in facts.stall_cycles.argsort()[::-1][:_HOTTEST].tolist():
        share = float(facts.stall_cycles[index]) / total
        if share:
            state = max(facts.stalls, key=lambda name: facts.stalls[name][index])
            instruction = facts.function.instructions[index]
            place = instruction.location
            yield {
                "text": instruction.text, "pipe": instruction.pipe, "share": share, "state": state,
                "executions": float(facts.executions[index]), "place": short(place) if place else "",
            }  # fmt: skip
