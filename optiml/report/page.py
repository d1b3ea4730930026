"""The page of a run: one file with its story, curve, winning path, tree and evidence; it loads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optiml.candidate import Candidate
from optiml.difference import Line, difference
from optiml.evaluate.job import text_of
from optiml.memory.record import record_of
from optiml.memory.words import record_text
from optiml.report.changes import Change, changes
from optiml.report.curve import curve, points
from optiml.report.story import error_text, limited, story, title
from optiml.report.tree import tree
from optiml.report.words import counted, ratio_text
from optiml.store.reading import Reading
from optiml.store.store import StepRow
from optiml.verdict import Metrics, Verdict
from twill.report.numbers import time_text
from twill.report.page.template import page_template
from twill.report.page.tile import Tile

_MOST_RECORDS = 12
# Keys of a task file that say how a kernel is compiled and launched.
_LAUNCH = ("entry", "launch", "constants", "compile")


@dataclass(frozen=True)
class WayStep:
    """A step on the way to the best program: what it changed and what the profiler said before and after."""

    step: StepRow
    before: Metrics
    after: Metrics
    diff: tuple[Line, ...]
    changes: tuple[Change, ...]
    total: float

    @property
    def gain(self) -> float:
        """The time before over the time after."""
        return self.before.time_us / self.after.time_us


@dataclass(frozen=True)
class Examined:
    """A finalist, or the baseline, examined again: its times at every report size, and how they compare."""

    name: str
    verdict: Verdict
    times: tuple[str, ...]
    speedup: str
    is_winner: bool


def run_html(reading: Reading) -> str:
    """The page of a run that may be finished, going on or killed; every string of it is escaped."""
    from markupsafe import Markup

    best = reading.verdicts.get(reading.best or reading.root or "")
    page = page_template("run.html.jinja", "optiml.report").render(
        title=title(reading),
        reading=reading,
        badge=_badge(reading),
        kind=best.metrics.kind if best and best.metrics else "modelled",
        error=error_text(best.metrics) if best and best.metrics else "times are modelled, not measured",
        story=story(reading),
        tiles=tuple(_tiles(reading)),
        curve=Markup(curve(points(reading))),
        way=tuple(_way(reading)),
        tree=tuple(tree(reading)),
        examined=tuple(_examined(reading)),
        sizes=_confirmed_sizes(reading),
        facts=tuple(_facts(reading)),
        time_text=time_text,
        ratio_text=ratio_text,
        limited=limited,
    )
    return page if page.endswith("\n") else f"{page}\n"


def _badge(reading: Reading) -> tuple[str, str]:
    """Its class and its text."""
    if not reading.is_finished:
        return "fair", "not finished"
    return ("good", "faster kernel, verified") if reading.best else ("bad", "nothing faster found")


def _tiles(reading: Reading) -> Iterator[Tile]:
    found = reading.comparison(reading.best or reading.root or "")
    if found is None:
        return
    sizes = counted(len(found.after.times), "size")
    examined = "verified again with fresh inputs" if found.is_confirmed else "not examined again"
    if reading.best:
        yield Tile("Speed-up", ratio_text(found.speedup), f"{found.after.kind}, {sizes}, {examined}")
    before = f"; baseline {time_text(found.before.time_us)}" if reading.best else ", the baseline's"
    yield Tile("Time", time_text(found.after.time_us), f"{found.after.kind}{before}")
    yield Tile("Limited by", found.after.limiter, f"baseline: {limited(found.before)}")
    drawn = points(reading)
    passed = sum(p.speedup is not None for p in drawn)
    yield Tile("Programs tried", str(len(drawn)), f"{passed} passed, {len(drawn) - passed} failed")
    at = next((p.number for p in reversed(drawn) if p.is_on_way), None)
    if at is not None:
        yield Tile("Best found as", f"no. {at}", f"of {counted(len(drawn), 'program')} tried")
    error = found.after.error_percent
    text = "unknown" if error is None else f"{error:.0f} %"
    yield Tile("Model's error", text, f"mean on published times of {found.after.kernel_class or 'such'} kernels")


def _way(reading: Reading) -> Iterator[WayStep]:
    for step in reading.way(reading.best or ""):
        before, after = reading.verdicts[step.parent].metrics, reading.verdicts[step.key].metrics
        assert before is not None and after is not None, "what was gone on from has passed"
        old, new = reading.candidates[step.parent], reading.candidates[step.key]
        total = (reading.baseline_us or after.time_us) / after.time_us
        yield WayStep(step, before, after, tuple(difference(old, new)), changes(before, after), total)


def _confirmed_sizes(reading: Reading) -> tuple[str, ...]:
    base = reading.confirmed.get(reading.root or "")
    return tuple(text_of(t.sizes) for t in base.metrics.times) if base and base.metrics else ()


def _examined(reading: Reading) -> Iterator[Examined]:
    """The baseline first."""
    base = reading.confirmed.get(reading.root or "")
    if base is None or base.metrics is None:
        return
    first = {s.key: f"step {s.number}, {s.tag}" for s in reversed(reading.steps)} | {reading.root: "baseline"}
    for key in sorted(reading.confirmed, key=lambda key: (key != reading.root, _order(reading.confirmed[key]))):
        verdict = reading.confirmed[key]
        metrics = verdict.metrics if verdict.is_ok else None
        times = tuple(time_text(t.time_us) for t in metrics.times) if metrics else ()
        speedup = ratio_text(base.metrics.time_us / metrics.time_us) if metrics else ""
        is_winner = reading.is_finished and key == reading.best
        yield Examined(first.get(key, key[:8]), verdict, times, speedup, is_winner)


def _order(verdict: Verdict) -> float:
    return verdict.time_us or float("inf")


def _facts(reading: Reading) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Tables of a name and a value."""
    yield "Launch", list(_launch(reading))
    yield "Settings", list(_flat(reading.settings))
    yield "Environment", list(_flat(reading.facts.get("environment", {})))
    offered = reading.facts.get("memory", [])
    told = [(str(n), record_text(record_of(d))) for n, d in enumerate(offered[:_MOST_RECORDS], 1)]
    more = [("", f"and {len(offered) - _MOST_RECORDS} more")] if len(offered) > _MOST_RECORDS else []
    yield "Offered of earlier runs", [*told, *more]


def _launch(reading: Reading) -> Iterator[tuple[str, str]]:
    """The task file's own, with what the best program overrides laid over it."""
    own = dict(_flat({name: v for name, v in reading.facts.get("task", {}).items() if name in _LAUNCH}))
    chosen = reading.candidates.get(reading.best or reading.root or "", Candidate("", ""))
    changed = {key: json.dumps(value) for key, value in chosen.overrides.items()}
    for key, value in own.items():
        yield key, f"{changed[key]}, where the task file has {value}" if key in changed else value
    yield from ((key, f"{value}, not in the task file") for key, value in changed.items() if key not in own)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, ""):
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
