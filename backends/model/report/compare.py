"""Two modelled launches on one machine: which is faster, whether that can be told, and why.

Errors of a machine's parameters are common to both launches. So the ratio of the times is what gets an interval: each
group of parameters at its ends changes both times, and only what it changes in their ratio counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backends.model.modelled import Interval
from backends.model.report.report import Report
from backends.model.spread import spread
from ir.diagnostics import fail

# What changes less than this is no reason.
_CHANGED = 1.05
_MOST_REASONS = 6


@dataclass(frozen=True)
class Change:
    """A quantity of both launches. more_is: `slower`, `faster`, or "" where neither is sure."""

    name: str
    unit: str
    first: float
    second: float
    more_is: str = "slower"

    @property
    def ratio(self) -> float | None:
        """Second over first; None where the first has none."""
        return self.second / self.first if self.first else None


@dataclass(frozen=True)
class Comparison:
    """ratio: the second's time over the first's, with its interval. changes: of work, by quantity. reasons: in words.

    is_distinguishable: whether the interval of the ratio leaves out 1, or None where no interval was asked for.
    """

    first: Report
    second: Report
    ratio: Interval
    is_distinguishable: bool | None
    changes: tuple[Change, ...]
    reasons: tuple[str, ...]

    @property
    def faster(self) -> Report:
        """The launch whose modelled time is smaller."""
        return self.second if self.ratio.value < 1.0 else self.first

    @property
    def slower(self) -> Report:
        """The other one."""
        return self.first if self.ratio.value < 1.0 else self.second


def compare(first: Report, second: Report) -> Comparison:
    """Compare two launches. Raises UserError `machines-differ` for launches on different machines."""
    one, two = first.modelled, second.modelled
    if one.parameters.machine != two.parameters.machine:
        raise fail("machines-differ", f"one kernel is modelled on {one.machine}, the other on {two.machine}")
    ratio = _ratio(first, second)
    told = not ratio.low <= 1.0 <= ratio.high if one.has_interval and two.has_interval else None
    changes = tuple(_changes(first, second))
    reasons = tuple(_reasons(first, second, changes, two.time_us.value < one.time_us.value))
    return Comparison(first, second, ratio, told, changes, reasons)


def _ratio(first: Report, second: Report) -> Interval:
    one, two = first.modelled.time_us, second.modelled.time_us
    of_first = {e.group: e for e in one.effects}
    pairs = ((e.slow / of_first[e.group].slow, e.fast / of_first[e.group].fast) for e in two.effects)
    low, high = spread(pairs)
    value = two.value / one.value
    return Interval(value, value * low, value * high)


def _held_us(unit: str) -> Callable[[Report], float]:
    """Time that a unit's work takes on the busiest SM."""
    return lambda r: r.modelled.limits.cycles.get(unit, 0.0) / r.modelled.clock_mhz


def _metric(name: str) -> Callable[[Report], float]:
    return lambda r: r.metrics[name] or 0.0


# Quantity -> (unit, of a report, what more of it means).
_WORK: dict[str, tuple[str, Callable[[Report], float], str]] = {
    "instructions": ("inst", _metric("smsp__inst_executed.sum"), "slower"),
    "L1 sectors": ("sector", lambda r: float(r.facts.sectors.sum()), "slower"),
    "L2 sectors": ("sector", _metric("lts__t_sectors.sum"), "slower"),
    "DRAM bytes": ("byte", _metric("dram__bytes.sum"), "slower"),
    "shared wavefronts": ("", _metric("l1tex__data_pipe_lsu_wavefronts_mem_shared.sum"), "slower"),
    "bank conflicts": ("", _metric("l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum"), "slower"),
    "warps an SM holds": ("warp", lambda r: float(r.modelled.occupancy.warps), "faster"),
    "instructions a cycle": ("inst/cycle", _metric("sm__inst_executed.avg.per_cycle_active"), ""),
    "stalled warp-cycles an instruction": (
        "cycle", lambda r: (_metric("smsp__average_warp_latency_per_inst_issued.ratio")(r) or 1.0) - 1.0, "",
    ),
    "waves": ("", lambda r: r.waves, ""),
}  # fmt: skip


def _changes(first: Report, second: Report) -> Iterator[Change]:
    for name, (unit, value, more_is) in _WORK.items():
        yield Change(name, unit, value(first), value(second), more_is)
    for unit in dict.fromkeys([*first.modelled.limits.busy, *second.modelled.limits.busy]):
        held = _held_us(unit)
        yield Change(f"{unit} work", "us", held(first), held(second))


def _reasons(first: Report, second: Report, changes: tuple[Change, ...], second_wins: bool) -> Iterator[str]:
    slower, faster = (first, second) if second_wins else (second, first)
    limit = slower.modelled.limits.limiter
    yield (
        f"{slower.modelled.kernel} is limited by {limit} and mostly waits in {slower.modelled.limits.stall}, "
        f"{faster.modelled.kernel} by {faster.modelled.limits.limiter} and in {faster.modelled.limits.stall}"
    )
    named = {c.name: c for c in changes}
    if f"{limit} work" in named:
        yield _told(named[f"{limit} work"], second_wins)
    helpful = [c for c in changes if not c.name.endswith(" work") and _helps(c, second_wins)]
    helpful.sort(key=lambda c: -_size(c))
    yield from (_told(c, second_wins) for c in helpful[:_MOST_REASONS])


def _ends(change: Change, second_wins: bool) -> tuple[float, float]:
    """(of the slower launch, of the faster one)."""
    return (change.first, change.second) if second_wins else (change.second, change.first)


def _size(change: Change) -> float:
    low, high = sorted((change.first, change.second))
    return high / low if low else float("inf")


def _helps(change: Change, second_wins: bool) -> bool:
    slow, fast = _ends(change, second_wins)
    wins = slow > fast if change.more_is == "slower" else fast > slow
    return bool(change.more_is) and wins and _size(change) >= _CHANGED


def _told(change: Change, second_wins: bool) -> str:
    slow, fast = _ends(change, second_wins)
    percent = f" ({fast / slow - 1:+.0%})" if slow else ""
    return f"{change.name}: {_number(slow)} -> {_number(fast)} {change.unit}".rstrip() + percent


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else f"{value:.3e}"
