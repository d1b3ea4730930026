"""The interval of a modelled time: parameters that studies measured differently, a group of them at a time.

Groups are taken to err independently of each other, parameters of a group together: the time is modelled once more at
the ends of each group that make the machine slower, and once at those that make it faster, and the differences add up
as squares do.

Only the relative change is wanted, and for that a part of the work is simulated: one or two rounds of CTAs, whose loops
are cut in proportion to no more than `_ISSUES` instructions. What no simulation reads (the launch, the rate at which
CTAs start) is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import exp, log, sqrt

from backends.model.chip import ChipTime, Cta, Work, dealt, hand_out_cycles, launch_cycles
from backends.model.modelled import Effect, Interval
from backends.model.parameters import SmParameters
from backends.model.sm import Repeat, Run, WarpTrace, simulate
from backends.model.sm.trace import Step
from backends.sass.function import Function
from ir.machine import Machine

# Group -> what is part of a parameter's name. A parameter is in the first group that fits; larger is slower for the
# latencies and intervals, faster for rates.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "launch": ("launch_", "cta_start"),
    "bandwidth": ("gbyte_per_s", "bytes_per_cycle", "per_cycle"),
    "clock": ("clock_mhz",),
    "memory latency": ("l1_", "l2_", "dram_", "lds_", "smem_"),
    "other": ("",),
}
_FASTER_IF_LARGER = ("gbyte_per_s", "per_cycle", "clock_mhz", "entries")
# Warp instructions of one simulation, at most, if one turn of each loop is not more than that.
_ISSUES = 40_000
_ROUNDS = 2


@dataclass(frozen=True)
class Group:
    """Overrides of a group of parameters at their slow and at their fast ends."""

    name: str
    slow: Mapping[str, float]
    fast: Mapping[str, float]


@dataclass(frozen=True)
class _Noted(SmParameters):
    """Parameters that note which of them were asked for."""

    asked: set[str] = field(default_factory=set, compare=False)

    def rate(self, name: str) -> float:
        """See `SmParameters.rate`."""
        self.asked.add(name)
        return super().rate(name)


def groups_of(machine: Machine) -> tuple[Group, ...]:
    """The groups that have a parameter with a spread."""
    members: dict[str, list[str]] = {name: [] for name in GROUPS}
    for name in machine.spreads:
        members[next(g for g, parts in GROUPS.items() if any(p in name for p in parts))].append(name)
    return tuple(_group(group, machine, names) for group, names in members.items() if names)


def interval(work: Work, times: ChipTime, parameters: SmParameters) -> Interval:
    """The interval of the time in us that `times` gives, `work` having been timed with `parameters`."""
    value = times.total_cycles / parameters.rate("clock_mhz")
    effects = tuple(_effects(work, times, parameters))
    low, high = spread((e.slow, e.fast) for e in effects)
    return Interval(value, value * low, value * high, effects)


def spread(ends: Iterator[tuple[float, float]]) -> tuple[float, float]:
    """(smallest, largest) factor on a number, given those of each group that errs by itself at its two ends.

    >>> [round(x, 3) for x in spread(iter([(1.03, 0.96), (1.04, 0.97)]))]
    [0.95, 1.05]
    """
    slower = faster = 0.0
    for pair in ends:
        logs = [log(factor) for factor in pair]
        slower += max(0.0, *logs) ** 2
        faster += min(0.0, *logs) ** 2
    return exp(-sqrt(faster)), exp(sqrt(slower))


def _effects(work: Work, times: ChipTime, parameters: SmParameters) -> Iterator[Effect]:
    sample = _Sample.of(work, times)
    noted = _Noted(parameters.machine, parameters.overrides)
    base = sample.cycles(noted)
    value = times.total_cycles / parameters.rate("clock_mhz")

    def factor(end: Mapping[str, float]) -> float:
        there = replace(parameters, overrides={**parameters.overrides, **end})
        ratio = sample.cycles(there) / base if noted.asked & end.keys() else 1.0
        cycles = max(times.cycles * ratio, hand_out_cycles(work, there)) + launch_cycles(there)
        return cycles / there.rate("clock_mhz") / value

    for group in groups_of(parameters.machine):
        yield Effect(group.name, factor(group.slow), factor(group.fast))


@dataclass(frozen=True)
class _Sample:
    """Part of the work of an SM that is quick to simulate."""

    work: Work
    ctas: tuple[Cta, ...]
    resident: int
    active_sms: int

    @staticmethod
    def of(work: Work, times: ChipTime) -> _Sample:
        resident = times.resident
        one = tuple(dealt(work.classes, resident))
        lengths = _lengths(work.function)
        issues = sum(_issues(trace, lengths) for cta in one for trace in cta)
        rounds = max(1, min(_ROUNDS, int(_ISSUES / max(issues, 1)), times.sm_ctas // resident))
        part = min(1.0, _ISSUES / max(issues, 1))
        known: dict[WarpTrace, WarpTrace] = {}
        ctas = tuple(
            tuple(known.setdefault(trace, thinned(trace, part)) for trace in cta)
            for cta in dealt(work.classes, rounds * resident)
        )
        return _Sample(work, ctas, resident, times.active_sms)

    def cycles(self, parameters: SmParameters) -> float:
        share = replace(parameters, overrides={**parameters.overrides, "sm_count": self.active_sms})
        work = self.work
        result = simulate(
            work.function, self.ctas, work.costs, share,
            resident=self.resident, barriers=work.barriers, shapes=work.shapes,
        )  # fmt: skip
        return max(result.cycles, 1.0)


def thinned(trace: WarpTrace, part: float) -> WarpTrace:
    """A trace with that part of its turns: of outer loops first, and of those in them what is then left to cut.

    >>> thinned((Repeat((Run((1,)), Repeat((Run((2,)),), 8)), 4),), 1 / 8)
    (Repeat(body=(Run(blocks=(1,)), Repeat(body=(Run(blocks=(2,)),), count=4)), count=1),)
    """
    return tuple(step if isinstance(step, Run) else _thinned(step, part) for step in trace) if part < 1.0 else trace


def _thinned(loop: Repeat, part: float) -> Step:
    turns = max(1, round(loop.count * part))
    return Repeat(thinned(loop.body, part * loop.count / turns), turns)


def _lengths(function: Function) -> list[int]:
    return [block.last - block.first for block in function.blocks]


def _issues(trace: WarpTrace, lengths: list[int]) -> int:
    """Instructions that a warp executes."""
    return sum(
        sum(lengths[b] for b in step.blocks) if isinstance(step, Run) else step.count * _issues(step.body, lengths)
        for step in trace
    )


def _group(name: str, machine: Machine, members: list[str]) -> Group:
    slow, fast = {}, {}
    for member in members:
        low, high = machine.spreads[member]
        is_rate = any(part in member for part in _FASTER_IF_LARGER)
        slow[member], fast[member] = (low, high) if is_rate else (high, low)
    return Group(name, slow, fast)
