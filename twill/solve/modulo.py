"""Exact modulo scheduling: the smallest interval, then the shortest schedule at it, each with its proof.

The interval is searched for by `modulo_search`, the length minimised by `modulo_length`; both ask CP-SAT.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ir.schedule import Level, Schedule
from twill.problem.problem import Problem
from twill.solve.modulo_answer import Opening, Proven, found, ii_level, not_found
from twill.solve.modulo_length import LengthSearch
from twill.solve.modulo_search import IntervalSearch
from twill.solve.protocol import Limits

_NAME = "modulo"
_WHY_OPEN = "the time limit was reached, or the level was not asked for"


@dataclass(frozen=True)
class Modulo:
    """The exact solver of stage-1 problems, for those who take any solver."""

    name: str = _NAME
    exact: bool = True

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """As `solve_modulo` with both levels."""
        return solve_modulo(problem, limits)


def solve_modulo(problem: Problem, limits: Limits, levels: Sequence[str] = ("ii", "length")) -> Schedule:
    """The smallest II and at it the smallest length; without "length" in `levels` the first schedule at that II.

    Honours the cap on stages, `max_ii`, and pinned stages, orders and II; pinned groups do not concern one stream.
    Raises UserError for a joint problem, ValueError for a cycle of distance 0.
    """
    began = time.monotonic()
    opening = Opening.of(problem)
    search = IntervalSearch(opening.system, limits, opening.low, opening.top, rejections=list(opening.rejections))
    search.run()
    found_s = time.monotonic() - began
    schedule = _answer(opening, search, limits if "length" in levels else None)
    total_s = time.monotonic() - began
    return replace(schedule, timing={"ii_s": found_s, "length_s": total_s - found_s, "total_s": total_s})


def _answer(opening: Opening, search: IntervalSearch, length_limits: Limits | None) -> Schedule:
    rejections = tuple(search.rejections)
    if search.high is None:
        return not_found(opening, _NAME, Proven(rejections, interrupted=search.interrupted), _WHY_OPEN)
    length = LengthSearch(search.system, search.high, tuple(search.times), interrupted=search.interrupted)
    if length_limits is not None and not search.interrupted:
        length.run(length_limits)
    levels = ii_level(search.high, rejections), Level("length", length.high, length.low, length.method)
    return found(opening, _NAME, length.times, Proven(rejections, levels, length.interrupted), _WHY_OPEN)
