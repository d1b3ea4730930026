"""From one SM to the whole chip: which CTAs an SM gets, what share of L2 and DRAM it has, waves, launch and tail.

The busiest SM is simulated: it runs ceil(CTAs / SMs) CTAs, as many at once as fit, the next one when one ends. Of more
than two rounds, two and the last, which may not be full, are simulated, and once more one and the last: every other
round takes the difference. (The ends of single CTAs do not tell it: warps of young CTAs go first, old ones wait.) Of
short CTAs more rounds are, for the first ones find queues empty that later ones wait in. All SMs that have work share
L2 and DRAM evenly. CTAs start no faster than the chip hands them out.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, zip_longest

from backends.model.matching.match import MatchedClass
from backends.model.parameters import SmParameters
from backends.model.sm import BarrierUse, MemoryCost, SmResult, TensorShape, executed_blocks, simulate
from backends.model.sm.costs import SECTOR_BYTES
from backends.model.thinning import Cta, simulate_bounded
from backends.sass.function import Function

# Rounds of CTAs that are simulated before the others are taken to be like the last half of them, and warp instructions
# that more rounds may take.
_ROUNDS, _MOST_ROUNDS = 2, 64
_MORE_ROUNDS_ISSUES = 20000


@dataclass(frozen=True)
class Work:
    """A launch in machine code: CTAs by class, the costs of accesses, and how many CTAs an SM holds at once.

    meetings: of each instruction of atomics, the requests of the whole grid that go to its busiest line of the L2, and
    how many words each of them changes there.
    """

    function: Function
    classes: Sequence[MatchedClass]
    costs: Mapping[int, MemoryCost]
    resident: int
    barriers: Mapping[int, BarrierUse]
    shapes: Mapping[int, TensorShape]
    meetings: Sequence[tuple[float, float]] = ()

    @property
    def ctas(self) -> int:
        """CTAs of the grid."""
        return round(sum(c.weight for c in self.classes))


@dataclass(frozen=True)
class ChipTime:
    """Modelled time of a launch.

    cycles: from the first CTA's start to the last one's end, on the busiest SM; launch_cycles: before it. sm: what was
    simulated, `simulated_ctas` of the `sm_ctas` CTAs of that SM. scale: all cycles of the SM over those simulated.
    active_sms: SMs that have work. waves: CTAs of the busiest SM over those that it holds at once.
    """

    cycles: float
    launch_cycles: float
    sm: SmResult
    sm_ctas: int
    simulated_ctas: int
    resident: int
    active_sms: int

    @property
    def total_cycles(self) -> float:
        """Cycles of the launch, its start included."""
        return self.cycles + self.launch_cycles

    @property
    def scale(self) -> float:
        """Counts of the SM over those of the simulation."""
        return self.sm_ctas / max(self.simulated_ctas, 1)

    @property
    def simulated_share_cycles(self) -> float:
        """Cycles of the launch for as many CTAs as were simulated: what counts of the simulation compare with."""
        return max(self.cycles / self.scale, 1.0)

    @property
    def waves(self) -> float:
        """Rounds of CTAs."""
        return self.sm_ctas / self.resident


def chip_time(work: Work, parameters: SmParameters, timeline: int = 0) -> ChipTime:
    """Simulate the busiest SM of a launch. Raises UserError as `simulate` does."""
    sms = int(parameters.rate("sm_count"))
    active = min(work.ctas, sms)
    share = replace(parameters, overrides={**parameters.overrides, "sm_count": active})
    count = math.ceil(work.ctas / sms)
    resident = min(work.resident, count)
    rounds, simulated = _ROUNDS, simulated_ctas(count, resident)
    result = _simulated(work, share, simulated, resident, timeline)
    if simulated < count and result.is_steady and (more := _affordable_rounds(result, simulated / resident)) > rounds:
        rounds, simulated = more, simulated_ctas(count, resident, more)
        result = _simulated(work, share, simulated, resident, timeline)
    cycles = result.cycles
    if left := (count - simulated) // resident:
        cycles += left * _round_cycles(work, share, result, simulated, resident, rounds)
    even = max(shared_cycles(result, share).values()) * work.ctas / active / simulated
    cycles = max(cycles, even, hand_out_cycles(work, parameters), contention_cycles(work, parameters))
    return ChipTime(cycles, launch_cycles(parameters), result, count, simulated, resident, active)


def shared_cycles(sm: SmResult, share: SmParameters) -> dict[str, float]:
    """Cycles that what the SM moved takes at its share of L2 and DRAM: a few rounds may be done sooner, not all."""
    return {
        "l2": max(
            sm.bytes.get("l2", 0.0) / share.l2_bytes_per_cycle,
            sm.bytes.get("l2 partial", 0.0) / SECTOR_BYTES / share.l2_partial_writes_per_cycle,
        ),
        "dram": sm.bytes.get("dram", 0.0) / share.dram_bytes_per_cycle,
    }


def hand_out_cycles(work: Work, parameters: SmParameters) -> float:
    """Cycles in which the chip starts all CTAs of a grid; no launch is over sooner."""
    return work.ctas * parameters.rate("cta_launch_ns") * 1e-3 * parameters.rate("clock_mhz")


def contention_cycles(work: Work, parameters: SmParameters) -> float:
    """Cycles that the busiest line of the L2 takes for the atomics that meet at it, one request after the other.

    A request takes as long as each of its words, up to that of a line. Lines of several instructions are not added up.
    """
    word, line = (parameters.rate(f"atomic_{what}_cycles") for what in ("word", "line"))
    return max((requests * min(words * word, line) for requests, words in work.meetings), default=0.0)


def launch_cycles(parameters: SmParameters) -> float:
    """Cycles from the launch to the start of the first CTA."""
    return parameters.rate("launch_us") * parameters.rate("clock_mhz")


def simulated_ctas(count: int, resident: int, rounds: int = _ROUNDS) -> int:
    """How many of an SM's CTAs are simulated: the first rounds, and the last one, which may not be full.

    >>> simulated_ctas(3, 4), simulated_ctas(100, 4), simulated_ctas(103, 4)
    (3, 8, 11)
    """
    first = rounds * resident
    return count if count <= first else first + (count - first) % resident


def _affordable_rounds(result: SmResult, rounds: float) -> int:
    """How many rounds may be simulated, where so many took what the result says."""
    return int(min(_MOST_ROUNDS, _MORE_ROUNDS_ISSUES * rounds / max(result.simulated_issues, 1)))


def _round_cycles(
    work: Work, parameters: SmParameters, result: SmResult, simulated: int, resident: int, rounds: int
) -> float:
    """Cycles of one more round. Where loops are uneven, differences are mostly noise: the pace of a full SM instead."""
    if not result.is_steady:
        return sum(result.issues) * resident / simulated * result.full_cycles / result.full_issues
    late = rounds - rounds // 2
    return (result.cycles - _simulated(work, parameters, simulated - late * resident, resident).cycles) / late


def _simulated(work: Work, parameters: SmParameters, ctas: int, resident: int, timeline: int = 0) -> SmResult:
    def simulated(chosen: Sequence[Cta], issue_limit: int | None) -> SmResult:
        return simulate(
            work.function,
            chosen,
            work.costs,
            parameters,
            resident=resident,
            barriers=work.barriers,
            shapes=work.shapes,
            timeline=timeline,
            issue_limit=issue_limit,
        )

    return simulate_bounded(work.function, list(dealt(work.classes, ctas)), simulated)


def dealt(classes: Sequence[MatchedClass], count: int) -> Iterator[Cta]:
    """CTAs of one SM, a fair sample of the grid's: evenly spaced among all, ordered by how much they execute.

    Neighbours in that order are far from each other in time, as the CTAs of one SM are in the grid.
    """
    ordered = sorted(classes, key=lambda c: sum(executed_blocks(warp) for warp in c.warps))
    reach = list(accumulate(c.weight for c in ordered))
    places = [(number + 0.5) / count * reach[-1] for number in range(count)]
    half = -(-count // 2)
    for place in (p for pair in zip_longest(places[:half], places[half:]) for p in pair if p is not None):
        yield ordered[min(bisect_right(reach, place), len(ordered) - 1)].warps
