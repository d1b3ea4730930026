"""From times at several lengths to the cost of one step, and from costs to a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x by least squares; `residual` is the largest distance from it over the largest y."""

    intercept: float
    slope: float
    residual: float


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """The line through (x, y) points, of which two at least have different x.

    >>> fit_line([(1, 23.0), (2, 25.0), (8, 37.0)])
    Line(intercept=21.0, slope=2.0, residual=0.0)
    """
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    assert spread > 0, "a line needs points with different x"
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    intercept = mean_y - slope * mean_x
    largest = max(abs(y) for _, y in points) or 1.0
    residual = max(abs(y - intercept - slope * x) for x, y in points) / largest
    return Line(round(intercept, 9), round(slope, 9), round(residual, 9))


def step_cost(times: Mapping[tuple[int, int], float]) -> float:
    """Time of one step, from {(steps in the loop, runs of the loop): time} at two of each.

    What comes before and after the loop goes out in the difference over runs; the loop's own overhead (counter, branch)
    in the difference over steps.

    >>> time = lambda steps, runs: 900 + runs * (17 + 4 * steps)
    >>> step_cost({(s, r): time(s, r) for s in (32, 64) for r in (8, 24)})
    4.0
    """
    few, many = sorted({steps for steps, _ in times})
    return (run_cost(times, many) - run_cost(times, few)) / (many - few)


def run_cost(times: Mapping[tuple[int, int], float], steps: int) -> float:
    """Time of one run of the loop with so many steps, from times at two numbers of runs.

    >>> run_cost({(16, 2): 130.0, (16, 6): 190.0}, 16)
    15.0
    """
    few, many = sorted(runs for one, runs in times if one == steps)
    return (times[steps, many] - times[steps, few]) / (many - few)
