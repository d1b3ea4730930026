"""Barriers of clusters in the clocks: what has arrived in the phase that runs, and what the last one hands on.

`barrier.cluster.arrive.relaxed` hands on what a fence before it released.
Source: PTX ISA, barrier.cluster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import Clocks, join, joined_by, widened

Array = NDArray[Any]


class ClusterPhases:
    """The barrier of each cluster of a batch of `ctas` CTAs, `size` CTAs each."""

    def __init__(self, clocks: Clocks, ctas: int, size: int) -> None:
        self.clocks = clocks
        self.ctas = ctas
        self.size = size
        self.pending = np.zeros((ctas // size, 2, clocks.columns), np.int32)
        self.done = np.zeros_like(self.pending)

    def arrive(self, instance: Array, rows: Array) -> None:
        """Warps (n,) arrive with what they hand on, rows (n, 2, columns)."""
        clusters, rows = joined_by(self._cluster(instance), rows)
        self.pending = widened(self.pending, rows.shape[-1])
        target = self.pending[clusters]
        join(target, rows)
        self.pending[clusters] = target

    def complete(self, clusters: NDArray[np.bool_]) -> None:
        """All threads of these clusters have arrived."""
        self.done = widened(self.done, self.pending.shape[-1])
        self.done[clusters] = self.pending[clusters]
        self.pending[clusters] = 0

    def wait(self, instance: Array, lanes: Array) -> None:
        """Sets of lanes of (distinct) warps have waited."""
        self.clocks.acquire(instance, self.done[self._cluster(instance)], lanes)

    def _cluster(self, instance: Array) -> Array:
        found: Array = instance % self.ctas // self.size
        return found
