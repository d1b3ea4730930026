"""The accesses of watched executions, by instruction: sectors and lines of global memory, passes of shared memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.watch import Watch, Watched
from backends.emulator.fronts import Front
from backends.model.counts.tags import tag_passes

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
# Executions of a block by a warp that are watched, at most; all of them where there are fewer.
WATCHED_EXECUTIONS = 12
_LINE_SHIFT = 2


class Lines:
    """Takes the place of the stream through the caches: counts lines by request, and their passes through the tags.

    Columns of shape (instructions,); tag_banks: lines that the L1 looks up in a pass, at most.
    """

    def __init__(self, instructions: int, tag_banks: int) -> None:
        self.tag_banks = tag_banks
        self.lines = np.zeros(instructions)
        self.tag_passes = np.zeros(instructions)
        self.copied = np.zeros(instructions)

    def add(self, site: int, step: int, space: str, kind: str, sectors: Array, ctas: Array, requests: Array) -> None:
        """One instruction: sector numbers, and the request of each."""
        del step, kind, ctas
        if not len(sectors):
            return
        lines = sectors >> _LINE_SHIFT
        is_new = np.r_[True, (lines[1:] != lines[:-1]) | (requests[1:] != requests[:-1])]
        self.lines[site] += np.count_nonzero(is_new)
        self.tag_passes[site] += tag_passes(lines[is_new], requests[is_new], self.tag_banks)
        if space == "tma":
            self.copied[site] += len(sectors)


class Strata:
    """Watches at most so many executions of each block by each warp, one at a random place of each equal part.

    executed (blocks,): the most that any warp executes each block. `seen` (blocks,): executions that were watched.
    """

    def __init__(self, executed: Sequence[int], random: np.random.Generator, watch: Watched) -> None:
        self.chosen = [_strata(int(n), random) for n in executed]
        self.seen = np.zeros(len(executed))
        self.watched = watch

    def watches(self, batch: Batch, front: Front, block: int) -> bool:
        """See `Plan.watches`."""
        counts = batch.scheduler.warp_counts
        assert counts is not None, "warps are counted while a plan decides"
        first = front.warps.start if isinstance(front.warps, slice) else front.warps[0]
        chosen = self.chosen[block]
        number = counts[block, first] - 1
        if number >= len(chosen) or not chosen[number]:
            return False
        self.seen[block] += front.n
        if batch.observer is None:
            batch.observer = Watch(batch, self.watched)
        return True


def _strata(executed: int, random: np.random.Generator) -> NDArray[np.bool_]:
    chosen = np.ones(executed, np.bool_)
    if executed > WATCHED_EXECUTIONS:
        edges = np.linspace(0, executed, WATCHED_EXECUTIONS + 1).astype(int)
        chosen[:] = False
        chosen[[random.integers(a, b) for a, b in pairwise(edges.tolist())]] = True
    return chosen
