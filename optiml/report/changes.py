"""What the profiler said of a program before and after an edit, row by row, with what got better or worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from optiml.evaluate.job import text_of
from optiml.verdict import NOISE, Metrics
from twill.report.numbers import count_text, time_text

# Counters of which less is better; of the others neither more nor less is.
_COSTS = frozenset({"warp_instructions", "dram_bytes", "sector_bytes", "shared_passes"})
_MOST_ROWS = 6
_LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Change:
    """One row. kind: better, worse, changed or same; ratio: after over before, empty where it says nothing."""

    group: str
    name: str
    before: str
    after: str
    kind: str
    ratio: str = ""


def changes(before: Metrics, after: Metrics) -> tuple[Change, ...]:
    """Times, limiter, resources, counters, busy units and stalls."""
    return (*_times(before, after), *_words(before, after), *_resources(before, after), *_counters(before, after),
            *_shares("busy", before.busy, after.busy), *_shares("stalled in", before.stalls, after.stalls))  # fmt: skip


def _times(before: Metrics, after: Metrics) -> Iterator[Change]:
    for old, new in zip(before.times, after.times, strict=False):
        kind, ratio = _judged(old.time_us, new.time_us, is_cost=True)
        name = f"at {text_of(new.sizes)}"
        yield Change("time", name, time_text(old.time_us), time_text(new.time_us), kind, ratio)


def _words(before: Metrics, after: Metrics) -> Iterator[Change]:
    for name, old, new in (("limiter", before.limiter, after.limiter), ("most stalls", before.stall, after.stall)):
        yield Change("limits", name, old or "none", new or "none", "same" if old == new else "changed")


def _resources(before: Metrics, after: Metrics) -> Iterator[Change]:
    rows = (
        ("registers a thread", before.registers, after.registers, False),
        ("spilled bytes", before.spill_bytes, after.spill_bytes, True),
        ("shared memory bytes", before.smem_bytes, after.smem_bytes, False),
    )
    for name, old, new, is_cost in rows:
        kind, ratio = _judged(old, new, is_cost)
        yield Change("resources", name, f"{old:,}", f"{new:,}", kind, ratio)
    kind, _ = _judged(before.occupancy, after.occupancy, is_cost=False)
    yield Change("resources", "occupancy", f"{before.occupancy:.0%}", f"{after.occupancy:.0%}", kind)


def _counters(before: Metrics, after: Metrics) -> Iterator[Change]:
    for name in dict.fromkeys([*before.counters, *after.counters]):
        old, new = before.counters.get(name, 0.0), after.counters.get(name, 0.0)
        kind, ratio = _judged(old, new, name in _COSTS)
        yield Change("counters", name.replace("_", " "), count_text(old), count_text(new), kind, ratio)


def _shares(group: str, before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[Change]:
    """The largest of both."""
    largest = {name: max(before.get(name, 0.0), after.get(name, 0.0)) for name in {**before, **after}}
    for name in sorted(largest, key=lambda name: -largest[name])[:_MOST_ROWS]:
        if largest[name] >= _LEAST_SHARE:
            old, new = before.get(name, 0.0), after.get(name, 0.0)
            kind = "changed" if abs(new - old) > NOISE else "same"
            yield Change(group, name, f"{old:.0%}", f"{new:.0%}", kind)


def _judged(old: float, new: float, is_cost: bool) -> tuple[str, str]:
    if abs(new - old) <= NOISE * max(abs(old), abs(new)):
        return "same", ""
    ratio = f"{new / old:.3g}x" if old else ""
    return ("better" if new < old else "worse") if is_cost else "changed", ratio
