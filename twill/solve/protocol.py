"""What every solver offers: one function from a problem and limits to a schedule."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ir.schedule import Schedule
from twill.problem.problem import Problem


@dataclass(frozen=True)
class Limits:
    """Time limit in seconds from `started` on, parallel search workers, seed; `progress` gets one line a step."""

    time_s: float = 60.0
    workers: int = 2
    seed: int = 0
    progress: Callable[[str], None] = field(default=lambda _line: None)
    started: float = field(default_factory=time.monotonic)

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.time_s - (time.monotonic() - self.started))


class Solver(Protocol):
    """A solver states in `exact` whether it can prove; statuses mean what `ir.schedule.Status` says.

    It keeps the best schedule so far when time runs out or on KeyboardInterrupt, and never calls a timeout infeasible.
    """

    @property
    def name(self) -> str:
        """As in `--solver`."""
        ...

    @property
    def exact(self) -> bool:
        """True where it can prove."""
        ...

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """The best schedule that it found and how much of it is proven."""
        ...
