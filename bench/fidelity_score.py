"""How far predictions are from measurements: rank correlation, ratios of neighbours, absolute errors."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Measurements that are closer than this are not told apart.
MERGED = 0.03


@dataclass(frozen=True)
class Score:
    """Errors as shares. ratio_log2: median |log2| of how far ratios of neighbours are off; None with fewer than two."""

    count: int
    spearman: float | None
    ratio_log2: float | None
    mean: float
    p90: float
    worst: float


def score(predicted: Sequence[float], published: Sequence[float]) -> Score:
    """The score of a table or a ladder, in its order; all numbers are positive."""
    errors = [abs(p / m - 1) for p, m in zip(predicted, published, strict=True)]
    several = len(errors) > 1
    return Score(
        len(errors),
        spearman(predicted, published) if several else None,
        ratio_error(predicted, published) if several else None,
        statistics.fmean(errors),
        percentile(errors, 0.9),
        max(errors),
    )


def ratio_error(predicted: Sequence[float], published: Sequence[float]) -> float:
    """Median |log2| of (ratio of neighbours predicted / published).

    >>> ratio_error([1, 2, 8], [1, 2, 4])
    0.5
    """
    logs = [math.log2(p / m) for p, m in zip(predicted, published, strict=True)]
    return statistics.median(abs(b - a) for a, b in itertools.pairwise(logs))


def spearman(predicted: Sequence[float], published: Sequence[float]) -> float:
    """Rank correlation, where published values within 3 % of their neighbour share a rank and are not held against it.

    The values of such a group are put in the order of the published ones on both sides, by giving both the group's mean
    rank: predictions inside a group may stand in any order.

    >>> spearman([1, 2, 3], [10, 20, 30]), spearman([2, 1, 3], [10, 10.1, 30]), spearman([3, 2, 1], [1, 2, 3])
    (1.0, 1.0, -1.0)
    """
    groups = _groups(published)
    xs = _ranks([statistics.fmean(predicted[i] for i in group) for group in groups])
    ys = _ranks([statistics.fmean(published[i] for i in group) for group in groups])
    if len(groups) < 2:
        return 1.0
    return statistics.correlation(xs, ys) if len(set(xs)) > 1 else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed.

    >>> percentile([5, 1, 4, 2, 3], 0.9), percentile(range(1, 11), 0.9)
    (5, 9)
    """
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _groups(values: Sequence[float]) -> list[list[int]]:
    """Indices by value, neighbours within 3 % of the smallest of their group together."""
    groups: list[list[int]] = []
    for i in sorted(range(len(values)), key=lambda i: values[i]):
        if groups and values[i] <= values[groups[-1][0]] * (1 + MERGED):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [statistics.fmean(k for k, o in enumerate(ordered) if o == v) for v in values]
