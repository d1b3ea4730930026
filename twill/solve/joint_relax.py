"""What z3 says of a range of IIs: which are refuted, with and without groups, and a schedule at the first that is not.

Where two units are nearly full and a memory is tight, few orders are left on the ring and no arrangement of groups
matters. Difference logic sees the negative cycles of such orders at once, where propagated bounds creep towards them:
on attention for Blackwell some 300 conflicts rule out an II that CP-SAT needs minutes for. Where registers bind, it
decides the whole problem sooner too, as it counts them only where an answer has them wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import reduce

from twill.problem.problem import Family, Problem
from twill.solve.protocol import Limits
from twill.solve.smt_query import Cut, Oracle, Question, Verdict
from twill.solve.smt_record import Assignment
from twill.solve.smt_worker import Send, messages

# Families that speak of groups; what is left of the problem is the relaxation.
GROUP_FAMILIES = frozenset(
    {
        Family.GROUP_WARPS,
        Family.VARIABLE_LATENCY,
        Family.REGISTERS,
        Family.HANDOFF,
        Family.REGISTER_HANDOFF,
        Family.BLOCKING,
    }
)
_EFFORT = 10_000_000  # z3's resource units for one II, a second or two
_SHARE = 0.5  # of the time that is left: the rest is for CP-SAT, which finds schedules that are not the best sooner
_FIRST_STEPS = 64  # the first step above the known bound is this part of it


@dataclass(frozen=True)
class Floor:
    """IIs up to `refuted` have no schedule (0: none is refuted); from `fits` on there is one, and `found` is it.

    cuts: what z3 has learnt on the way.
    """

    refuted: int = 0
    fits: int | None = None
    found: Assignment | None = field(default=None, compare=False)
    cuts: tuple[Cut, ...] = field(default=(), compare=False)


def without_groups(problem: Problem) -> Problem:
    """The relaxation: one group, and nothing that depends on groups."""
    relaxed = (problem.relaxed | GROUP_FAMILIES) - {Family.GROUPS}
    return replace(problem, max_groups=1, relaxed=relaxed, pins=replace(problem.pins, groups={}))


def floor_of(problem: Problem, low: int, high: int, limits: Limits) -> Floor:
    """The climb of the relaxation without groups: what it refutes, the problem refutes."""
    floor = climb(without_groups(problem), low, high, limits)
    limits.progress(f"II {floor.refuted}: refuted without groups" if floor.refuted else "II: open without groups")
    return floor


def climb(problem: Problem, low: int, high: int, limits: Limits) -> Floor:
    """Refute IIs from `low` on, up to the smallest of low .. high that z3 leaves open or finds a schedule at.

    Steps double until one stays open, then are halved: feasible at II is feasible at II + 1, for any number of stages.
    Cut short after its share of the time, the floor is what was known until then.
    """
    time_s = _SHARE * limits.remaining_s
    floors = messages(_Climb(problem, low, high, time_s), time_s)
    return reduce(lambda _before, latest: latest, floors, Floor())


@dataclass(frozen=True)
class _Climb:
    problem: Problem
    low: int
    high: int
    time_s: float

    def run(self, send: Send) -> None:
        """Sends a Floor whenever it has learnt something."""
        deadline = time.monotonic() + self.time_s
        oracle, floor = Oracle(self.problem), Floor()
        ii, step, first_open = self.low, max(1, self.low // _FIRST_STEPS), self.high + 1
        while ii < first_open:
            answer = oracle.ask(Question(ii), deadline - time.monotonic(), _EFFORT)
            if answer is Verdict.REFUTED:
                floor = replace(floor, refuted=ii)
            else:
                first_open = ii
            if isinstance(answer, Assignment):
                floor = replace(floor, fits=ii, found=answer)
            floor = replace(floor, cuts=tuple(oracle.cuts))
            send(floor)
            low = max(self.low, floor.refuted + 1)
            ii = min(ii + step, (low + first_open) // 2)
            step *= 2
