"""Longest paths between chosen ops at one interval, and the few that imply the rest (max-plus closure and reduction).

Contracting an op without a limited unit onto the longest paths through it is exact: issued as early as these paths
allow, it asks nothing else of the ops that remain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twill.solve.modulo_system import WeightedArc

Matrix = NDArray[np.int64]
NONE = np.int64(-(2**40))  # "no path"; far below any sum of weights, far above overflow


def longest_paths(size: int, arcs: Sequence[WeightedArc], chosen: Sequence[int]) -> Matrix:
    """Entry (i, j): the longest path from chosen[i] to chosen[j], 0 from an op to itself, below NONE / 2 where none.

    `arcs` have no positive cycle.
    """
    reach = np.full((size, len(chosen)), NONE, dtype=np.int64)
    reach[list(chosen), range(len(chosen))] = 0
    changed = True
    while changed:
        changed = False
        for u, v, weight in arcs:
            longer = np.maximum(reach[v], reach[u] + weight)
            if (longer > reach[v]).any():
                reach[v], changed = longer, True
    return reach[list(chosen)].T.copy()


def necessary(paths: Matrix) -> list[WeightedArc]:
    """A smallest set of arcs between the chosen ops whose longest paths are `paths`.

    Ops at a fixed distance (paths both ways that sum to 0) are tied to one of them; among these, an arc goes where
    two others imply it.
    """
    n = len(paths)
    tied = paths + paths.T == 0
    leader = [int(np.argmax(tied[i])) for i in range(n)]
    arcs = [arc for i in range(n) if leader[i] != i for arc in _both_ways(paths, leader[i], i)]
    leaders = [i for i in range(n) if leader[i] == i]
    between = paths[np.ix_(leaders, leaders)].copy()
    np.fill_diagonal(between, NONE)
    for a, i in enumerate(leaders):
        via = (between[a][:, None] + between).max(axis=0)
        kept = np.flatnonzero((between[a] > via) & (between[a] > NONE // 2))
        arcs.extend((i, leaders[b], int(between[a, b])) for b in kept)
    return arcs


def _both_ways(paths: Matrix, i: int, j: int) -> tuple[WeightedArc, WeightedArc]:
    return (i, j, int(paths[i, j])), (j, i, int(paths[j, i]))
