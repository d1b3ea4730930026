"""What checkers and counters are told while a launch runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask


class Observer(Protocol):
    """Hears of every access and every synchronisation; a launch without checkers has none."""

    def block(self, front: Front, number: int) -> None:
        """`front` is about to run basic block `number`."""

    def access(
        self, front: Front, space: str, flat: NDArray[np.int64], nbytes: int, active: Mask | None, kind: str
    ) -> None:
        """Lanes load, store or update atomically (`kind`) `nbytes` at byte offsets `flat` of a space."""

    def barrier(self, identifier: int, fronts: Sequence[Front], done: NDArray[np.bool_]) -> None:
        """Named barrier `identifier` completes in the CTAs `done`, releasing these fronts there."""

    def mbarrier(self, front: Front, event: str, words: NDArray[np.int64], lanes: Mask) -> None:
        """Lanes `init`, `arrive` at, `wait` (successfully) for or `inval` mbarrier objects."""

    def phase_complete(self, words: NDArray[np.int64]) -> None:
        """The current phase of these mbarrier objects completes."""

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Anything else that orders memory: fences, commits and waits of asynchronous groups, `tcgen05` and `wgmma`."""
