"""What a store writes, as bytes: whether it changes what is in memory, and whether its lanes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.spaces import WARP_LANES

Array = NDArray[Any]


class Stored:
    """A store that is about to happen: `values` by element (n, 32) or scalars, at byte offsets `places` (lanes,).

    Units have `granule` bytes. The bytes are laid out only if somebody asks.
    """

    def __init__(
        self, memory: Array, places: Array, values: Sequence[Array], front: Front, active: Mask | None, granule: int
    ) -> None:
        self.memory = memory
        self.places = places
        self.values = values
        self.front = front
        self.active = active
        self.granule = granule

    def changes(self, access: Array, unit: Array) -> Array:
        """Whether units of accesses get another value than memory holds."""
        start = self.places[access] + unit * self.granule
        there = self.memory[start[:, None] + np.arange(self.granule)]
        differs: Array = (self._units()[access, unit] != there).any(axis=1)
        return differs

    def disagrees(self, access: Array, unit: Array, cells: Array) -> Array:
        """Whether units of accesses get another value than by the last access of this store to the same cells."""
        flat = cells.reshape(-1)
        units = self._units().reshape(len(flat), self.granule)
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        last = np.searchsorted(ordered, flat, "right") - 1
        index = access * cells.shape[1] + unit
        differs: Array = (units[index] != units[order[last[index]]]).any(axis=1)
        return differs

    def _units(self) -> Array:
        """Bytes of each access and unit, shape (lanes, units, granule)."""
        shape = (self.front.n, WARP_LANES)
        parts = [
            np.ascontiguousarray(np.broadcast_to(v, shape)).view(np.uint8).reshape(*shape, -1) for v in self.values
        ]
        raw = np.concatenate(parts, axis=2)
        lanes = raw.reshape(-1, raw.shape[2]) if self.active is None else raw[self.active]
        return lanes.reshape(len(lanes), -1, self.granule)
