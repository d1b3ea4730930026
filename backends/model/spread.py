"""The interval of a modelled time: parameters that studies measured differently, a group of them at a time.

Groups are taken to err independently of each other, parameters of a group together: the time is modelled once more at
the ends of each group that make the machine slower, and once at those that make it faster, and the differences add up
as squares do.

Only the relative change is wanted, and for that a part of the work is simulated: one or two rounds of CTAs, whose loops
are cut in proportion to no more than `_ISSUES` instructions, and to less than half of that, so that the difference
tells what a turn takes. What no simulation reads (the launch, the rate at which CTAs start) is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log, sqrt

from backends.model.chip import ChipTime, Work, contention_cycles, dealt, hand_out_cycles, launch_cycles
from backends.model.modelled import Effect, Interval
from backends.model.parameters import SmParameters
from backends.model.sm import simulate
from backends.model.thinning import Cta, block_lengths, issues_of, thin_ctas
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
# Warp instructions of one simulation, at most, if one turn of each loop is not more than that; of a smaller one, their
# part; and of more than one round.
_ISSUES = 110_000
_SMALLER = 0.45
_ISSUES_OF_ROUNDS = 40_000
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
    # Where atomics wait for each other at one line, what the SM does meanwhile is not known.
    alone_cycles = times.cycles if times.cycles > contention_cycles(work, parameters) else 0.0

    def factor(end: Mapping[str, float]) -> float:
        there = replace(parameters, overrides={**parameters.overrides, **end})
        ratio = sample.cycles(there) / base if noted.asked & end.keys() else 1.0
        whole_cycles = max(hand_out_cycles(work, there), contention_cycles(work, there))
        cycles = max(alone_cycles * ratio, whole_cycles) + launch_cycles(there)
        return cycles / there.rate("clock_mhz") / value

    for group in groups_of(parameters.machine):
        yield Effect(group.name, factor(group.slow), factor(group.fast))


@dataclass(frozen=True)
class _Sample:
    """Parts of the work of an SM that are quick to simulate: CTAs, and the instructions that their warps execute.

    One part that is all of a round, or two, from which time grows in proportion to `issues` instructions: what stands
    before and after loops weighs no more than it does in the whole.
    """

    work: Work
    parts: tuple[tuple[tuple[Cta, ...], int], ...]
    issues: int
    resident: int
    active_sms: int

    @staticmethod
    def of(work: Work, times: ChipTime) -> _Sample:
        resident = times.resident
        issues = _issues(work, dealt(work.classes, resident))
        rounds = max(1, min(_ROUNDS, _ISSUES_OF_ROUNDS // max(issues, 1), times.sm_ctas // resident))
        ctas = list(dealt(work.classes, rounds * resident))
        chosen = [ctas] if issues <= _ISSUES else [thin_ctas(ctas, n * _ISSUES / issues) for n in (_SMALLER, 1.0)]
        parts = tuple((tuple(part), _issues(work, part)) for part in chosen)
        return _Sample(work, parts, issues, resident, times.active_sms)

    def cycles(self, parameters: SmParameters) -> float:
        """Of one round, or of two where they are short."""
        found = [self._simulated(ctas, parameters) for ctas, _issues in self.parts]
        if len(found) == 1 or self.parts[0][1] == self.parts[1][1]:
            return found[-1]
        (_few, few), (_many, many) = self.parts
        return found[1] + max(found[1] - found[0], 1.0) / (many - few) * (self.issues - many)

    def _simulated(self, ctas: Sequence[Cta], parameters: SmParameters) -> float:
        share = replace(parameters, overrides={**parameters.overrides, "sm_count": self.active_sms})
        work = self.work
        result = simulate(
            work.function, ctas, work.costs, share,
            resident=self.resident, barriers=work.barriers, shapes=work.shapes,
        )  # fmt: skip
        return max(result.cycles, 1.0)


def _issues(work: Work, ctas: Iterable[Cta]) -> int:
    lengths = block_lengths(work.function)
    return sum(issues_of(trace, lengths) for cta in ctas for trace in cta)


def _group(name: str, machine: Machine, members: list[str]) -> Group:
    slow, fast = {}, {}
    for member in members:
        low, high = machine.spreads[member]
        is_rate = any(part in member for part in _FASTER_IF_LARGER)
        slow[member], fast[member] = (low, high) if is_rate else (high, low)
    return Group(name, slow, fast)
