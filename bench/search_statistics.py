"""Statistics of searches: means of logarithms of speed-ups, with bootstrap intervals over tasks and seeds in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

RESAMPLES = 4000
# Of the intervals.
_COVERED = (2.5, 97.5)
# Speed-ups whose ratio is within this are a tie: the noise of the choice of winners.
_TIE = 0.02


@dataclass(frozen=True)
class Cell:
    """One search. curve: the best speed-up after each evaluation, that of none, which is 1, first."""

    task: str
    strategy: str
    seed: int
    curve: tuple[float, ...]

    @property
    def speedup(self) -> float:
        """The best of all."""
        return self.curve[-1]

    def after(self, evaluations: int) -> float:
        """The best after so many; a search that ended before stays where it was."""
        return self.curve[min(evaluations, len(self.curve) - 1)]


@dataclass(frozen=True)
class Estimate:
    """A geometric mean with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Duel:
    """One strategy over another on the same tasks and seeds: the ratio of speed-ups, and who was ahead how often."""

    ratio: Estimate
    wins: int
    ties: int
    losses: int


def estimate(by_task: Mapping[str, Sequence[float]]) -> Estimate:
    """The geometric mean of ratios, each task counting the same.

    The bootstrap draws tasks, then seeds within each (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap",
    1993, ch. 8): seeds of one task resemble one another, and what is claimed is about other tasks as well.

    >>> estimate({"a": [2.0, 2.0], "b": [8.0]}).value
    4.0
    """
    logs = [np.log(values) for values in by_task.values()]
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        tasks = random.integers(len(logs), size=len(logs))
        drawn.append(np.mean([random.choice(logs[t], size=len(logs[t])).mean() for t in tasks]))
    low, high = np.percentile(drawn, _COVERED)
    mean = float(np.mean([values.mean() for values in logs]))
    return Estimate(round(exp(mean), 12), exp(float(low)), exp(float(high)))


def speedups(cells: Iterable[Cell], strategy: str, after: int | None = None) -> dict[str, list[float]]:
    """Task -> the winners' speed-ups of one strategy, or the best ones after so many evaluations."""
    found: dict[str, list[float]] = {}
    for cell in cells:
        if cell.strategy == strategy:
            found.setdefault(cell.task, []).append(cell.speedup if after is None else cell.after(after))
    return found


def complete(cells: Sequence[Cell], strategies: Sequence[str]) -> list[Cell]:
    """Only tasks and seeds at which every strategy was run."""
    done = {(c.task, c.seed, c.strategy) for c in cells}
    return [c for c in cells if all((c.task, c.seed, s) in done for s in strategies)]


def duel(cells: Sequence[Cell], one: str, other: str) -> Duel:
    """Paired by task and seed."""
    rivals = {(c.task, c.seed): c.speedup for c in cells if c.strategy == other}
    ratios: dict[str, list[float]] = {}
    for cell in cells:
        if cell.strategy == one and (cell.task, cell.seed) in rivals:
            ratios.setdefault(cell.task, []).append(cell.speedup / rivals[cell.task, cell.seed])
    whole = [ratio for values in ratios.values() for ratio in values]
    wins, losses = (sum(sign * log(r) > _TIE for r in whole) for sign in (1, -1))
    return Duel(estimate(ratios), wins, len(whole) - wins - losses, losses)
