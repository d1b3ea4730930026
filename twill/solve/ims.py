"""The heuristic solver `ims`: iterative modulo scheduling at growing intervals until one succeeds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ir.schedule import Level, Schedule
from twill.problem.problem import Problem
from twill.solve.ims_placement import growing, schedule_at
from twill.solve.modulo_answer import Opening, Proven, found, ii_level, not_found
from twill.solve.modulo_system import System
from twill.solve.protocol import Limits

_WHY_OPEN = "iterative modulo scheduling is a heuristic; the solver `cpsat` can prove"


@dataclass(frozen=True)
class Ims:
    """Stage-1 schedules in milliseconds; proven only where they meet the bounds on II and the critical path."""

    name: str = "ims"
    exact: bool = False

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """The first interval tried that succeeds, and the schedule found there. Raises UserError for a joint problem.

        The heuristic itself knows nothing of capped or pinned stages: a schedule that breaks them is passed over.
        """
        began = time.monotonic()
        opening = Opening.of(problem)
        return replace(self._answer(opening, limits), timing={"total_s": time.monotonic() - began})

    def _answer(self, opening: Opening, limits: Limits) -> Schedule:
        interrupted = False
        try:
            for ii in growing(opening.low, opening.top):
                times = schedule_at(opening.system, ii)
                if times is not None and _keeps_stages(opening.system, ii, times):
                    return self._found(opening, ii, times)
                if not limits.remaining_s:
                    break
        except KeyboardInterrupt:
            interrupted = True
        return not_found(opening, self.name, Proven(opening.rejections, interrupted=interrupted), _WHY_OPEN)

    def _found(self, opening: Opening, ii: int, times: list[int]) -> Schedule:
        least, value = opening.system.critical_path(ii), opening.system.length(times)
        levels = ii_level(ii, opening.rejections), Level("length", value, least, "critical path")
        return found(opening, self.name, times, Proven(opening.rejections, levels), _WHY_OPEN)


def _keeps_stages(system: System, ii: int, times: list[int]) -> bool:
    cap = system.max_stages
    capped = cap is None or max(times, default=0) < cap * ii
    return capped and all(times[op] // ii == stage for op, stage in system.stages)
