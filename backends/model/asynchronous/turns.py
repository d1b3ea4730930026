"""Counts executions of instructions by warps whose lanes may go apart: a lane's n-th execution is the warp's n-th."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Mask
from backends.emulator.spaces import WARP_LANES


class Turns:
    """log: warp -> (site, turn) of its executions, in order; what lanes execute one after the other is one of them."""

    def __init__(self) -> None:
        self.log: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._lanes: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._logged: dict[tuple[int, int], int] = {}

    def execute(self, warp: int, site: int, lanes: Mask) -> None:
        """Lanes of a warp are about to execute an instruction.

        >>> turns = Turns()
        >>> first = np.arange(32) < 1
        >>> for lanes in (first, ~first, ~first, first):
        ...     turns.execute(0, 7, lanes)
        >>> turns.log[0], turns.current(0, 7, first)
        ([(7, 0), (7, 1)], 1)
        """
        counts = self._lanes.setdefault((warp, site), np.zeros(WARP_LANES, np.int64))
        counts += lanes
        turn = self.current(warp, site, lanes)
        if turn >= self._logged.get((warp, site), 0):
            self.log[warp].append((site, turn))
            self._logged[warp, site] = turn + 1

    def current(self, warp: int, site: int, lanes: Mask) -> int:
        """The turn of what lanes execute now."""
        return int(self._lanes[warp, site][lanes].max()) - 1
