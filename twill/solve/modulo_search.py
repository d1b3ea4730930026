"""Search for the smallest interval of a modulo problem: climb to a first schedule, then close in on it from both sides.

Bisection is sound: a schedule at interval I gives one at I + 1 that keeps every stage and slot, since no delay is
negative. So an interval that is refuted refutes all below it, whatever the pins and the cap on stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ir.schedule import Rejection
from twill.solve.ims_placement import growing, schedule_at
from twill.solve.modulo_core import completed, core
from twill.solve.modulo_cpsat import Answer, SlotModel, Verdict
from twill.solve.modulo_system import System
from twill.solve.modulo_whole import Whole
from twill.solve.protocol import Limits

# Deterministic time of a first attempt at one interval; each attempt that ends without an answer doubles it.
_FIRST_EFFORT = 4.0


@dataclass
class IntervalSearch:
    """Intervals below `low` are refuted; `high` is the smallest with a schedule (`times`), None before the first.

    top: the largest interval that needs to be tried.
    """

    system: System
    limits: Limits
    low: int
    top: int
    high: int | None = None
    times: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    interrupted: bool = False
    probes: int = 0

    def run(self) -> None:
        """Search until one interval is left, the time is up, or the user stops it."""
        try:
            self._climb()
            self._close_in()
        except KeyboardInterrupt:
            self.interrupted = True

    @property
    def is_open(self) -> bool:
        """True where something is left to decide and to decide it with."""
        last = self.top if self.high is None else self.high - 1
        return self.low <= last and self.limits.remaining_s > 0 and not self.interrupted

    def _climb(self) -> None:
        """Heuristic schedules at growing intervals; a stage that is capped or pinned is beyond the heuristic."""
        for ii in growing(self.low, self.top) if self.system.is_free else ():
            self._accept(ii, schedule_at(self.system, ii))
            if self.high is not None or not self.is_open:
                return

    def _close_in(self) -> None:
        effort, attempt = _FIRST_EFFORT, 0
        while self.is_open:
            ii = self._candidate(attempt)
            self.limits.progress(f"II {ii}: trying; {self.low} not refuted, {self.high or 'none'} found")
            answer = self._decide(ii, effort)
            self.interrupted |= answer.interrupted
            if answer.verdict is Verdict.INFEASIBLE:
                self._reject(ii)
            elif answer.verdict is Verdict.UNKNOWN:
                # The next attempt goes where the answer may be easier, and lasts longer.
                effort, attempt = 2 * effort, attempt + 1
            self._accept(ii, answer.times or None)

    def _candidate(self, attempt: int) -> int:
        """From the bound upwards, doubling the distance, since the smallest interval is mostly near; then bisection."""
        near = self.low + (1 << self.probes) - 1
        self.probes += 1
        if self.high is None:
            return min(self.top, near)
        middle = (self.low + self.high - 1) // 2
        return (min(near, middle), self.low, self.high - 1)[attempt % 3]

    def _decide(self, ii: int, effort: float) -> Answer:
        if not self.system.is_free:
            return Whole(self.system, ii, self.system.enough_cycles(ii)).feasible(self.limits, effort)
        if self.system.heads(ii) is None:
            return Answer(Verdict.INFEASIBLE)
        part = core(self.system, ii)
        answer = SlotModel(part.slots).solve(self.limits, effort)
        if answer.verdict in (Verdict.INFEASIBLE, Verdict.UNKNOWN):
            return answer
        slots = {op: time % ii for op, time in zip(part.ops, answer.times, strict=True)}
        return Answer(answer.verdict, tuple(completed(self.system, ii, slots)), interrupted=answer.interrupted)

    def _accept(self, ii: int, times: Sequence[int] | None) -> None:
        if times is not None:
            self.high, self.times = ii, list(times)

    def _reject(self, ii: int) -> None:
        what = "the units' slots of ops in recurrences" if self.system.is_free else "the whole loop with its stages"
        self.low = ii + 1
        self.rejections.append(Rejection(ii, "cp-sat", f"no assignment of {what} at II {ii}"))
