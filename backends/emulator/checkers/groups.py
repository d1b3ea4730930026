"""Commit groups of asynchronous operations: up to which moment a wait has seen an engine's work."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import Clocks

Array = NDArray[Any]
_REMEMBERED = 64


class Groups:
    """When each warp committed its newest groups of one sort; `engines` are the agents whose work they hold."""

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks
        self.count = np.zeros(clocks.instances, np.int64)
        self.times = np.zeros((clocks.instances, _REMEMBERED), np.int32)

    def commit(self, instance: Array, now: int) -> None:
        """Warps close a group."""
        self.count[instance] += 1
        self.times[instance, self.count[instance] % _REMEMBERED] = now

    def wait(self, instance: Array, lanes: Array, newest: int, engines: tuple[str, ...]) -> None:
        """Sets of lanes of warps wait for all groups but the `newest` newest."""
        target = self.count[instance] - newest
        waits = target > 0
        times = self.times[instance, target % _REMEMBERED][waits]
        for engine in (e for e in engines if e in self.clocks.kinds):
            self.clocks.learn(instance[waits], lanes[waits], self.clocks.column(engine, instance[waits]), times)
