"""Search for the smallest length at one interval: bisection with tight windows, then minimisation of what is left.

A length that is asked for narrows every op's window, and mostly settles at once; only where it does not is the
length made the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

from twill.solve.modulo_cpsat import Answer, Verdict
from twill.solve.modulo_system import System
from twill.solve.modulo_whole import Whole
from twill.solve.protocol import Limits

# Deterministic time for one probe of the bisection.
_PROBE_EFFORT = 4.0
_UNLIMITED_EFFORT = 1e9


@dataclass
class LengthSearch:
    """Lengths below `low` are refuted, by `method`; `times` has the smallest length found, `high`."""

    system: System
    ii: int
    times: tuple[int, ...]
    low: int = 0
    high: int = 0
    method: str = "critical path"
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.low, self.high = self.system.critical_path(self.ii), self.system.length(self.times)

    def run(self, limits: Limits) -> None:
        """Search until the least length is known, the time is up, or the user stops it."""
        limits.progress(f"II {self.ii}: length {self.high} found, at least {self.low}")
        try:
            self._narrow(limits)
        except KeyboardInterrupt:
            self.interrupted = True

    def _narrow(self, limits: Limits) -> None:
        last = self.low
        while self._is_open(limits) and self._probe(last, limits):
            last = (self.low + self.high - 1) // 2
        if self._is_open(limits):
            whole = Whole(self.system, self.ii, self.high)
            self._take(whole.shortest(limits, _UNLIMITED_EFFORT, self.low, self.times))

    def _is_open(self, limits: Limits) -> bool:
        return self.low < self.high and limits.remaining_s > 0 and not self.interrupted

    def _probe(self, last: int, limits: Limits) -> bool:
        """Is there a schedule that ends by `last`? False where the probe does not settle it."""
        answer = Whole(self.system, self.ii, last).feasible(limits, _PROBE_EFFORT)
        if answer.verdict is Verdict.INFEASIBLE:
            self.low, self.method = last + 1, "cp-sat"
        self._take(answer)
        return answer.verdict is not Verdict.UNKNOWN

    def _take(self, answer: Answer) -> None:
        self.interrupted |= answer.interrupted
        if answer.bound > self.low:
            self.low, self.method = answer.bound, "cp-sat"
        if answer.times and self.system.length(answer.times) < self.high:
            self.times, self.high = answer.times, self.system.length(answer.times)
