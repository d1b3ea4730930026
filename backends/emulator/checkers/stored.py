"""What a store writes, as bytes: whether it changes what is in memory, and whether its lanes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.spaces import WARP_LANES

Array = NDArray[Any]
# Formats of an element of so many bytes, and how near, relative, is near: 128 roundings, of 16-bit formats 8.
_FORMATS: dict[int, tuple[tuple[str, float], ...]] = {
    1: (), 2: (("float16", 2.0**-8), ("bfloat16", 2.0**-5)), 4: (("float32", 2.0**-17),), 8: (("float64", 2.0**-46),),
    16: (),
}  # fmt: skip


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
        differs: Array = (self._units()[access, unit] != self._there(access, unit)).any(axis=1)
        return differs

    def changes_last_bits(self, access: Array, unit: Array) -> bool:
        """Whether accesses change no more than the last bits of floating-point numbers."""
        del unit
        lanes = self._units().reshape(len(self.places), -1)
        there = self.memory[self.places[access][:, None] + np.arange(lanes.shape[1])]
        return _differ_in_last_bits(lanes[access], there, self._element_bytes)

    def disagrees(self, access: Array, unit: Array, cells: Array) -> Array:
        """Whether units of accesses get another value than by the last access of this store to the same cells."""
        last = self._last(access, unit, cells)
        units = self._units().reshape(cells.size, self.granule)
        differs: Array = (units[access * cells.shape[1] + unit] != units[last]).any(axis=1)
        return differs

    def disagrees_in_last_bits(self, access: Array, unit: Array, cells: Array) -> bool:
        """Whether the values differ in no more than the last bits of floating-point numbers."""
        other = self._last(access, unit, cells) // cells.shape[1]
        lanes = self._units().reshape(len(self.places), -1)
        return _differ_in_last_bits(lanes[access], lanes[other], self._element_bytes)

    @property
    def _element_bytes(self) -> int:
        return int(np.asarray(self.values[0]).dtype.itemsize)

    def _there(self, access: Array, unit: Array) -> Array:
        start = self.places[access] + unit * self.granule
        there: Array = self.memory[start[:, None] + np.arange(self.granule)]
        return there

    def _last(self, access: Array, unit: Array, cells: Array) -> Array:
        """Index of the last unit of this store in the same cell, of units (access, unit)."""
        flat = cells.reshape(-1)
        order = np.argsort(flat, kind="stable")
        last = np.searchsorted(flat[order], flat, "right") - 1
        found: Array = order[last[access * cells.shape[1] + unit]]
        return found

    def _units(self) -> Array:
        """Bytes of each access and unit, shape (lanes, units, granule)."""
        shape = (self.front.n, WARP_LANES)
        parts = [
            np.ascontiguousarray(np.broadcast_to(v, shape)).view(np.uint8).reshape(*shape, -1) for v in self.values
        ]
        raw = np.concatenate(parts, axis=2)
        lanes = raw.reshape(-1, raw.shape[2]) if self.active is None else raw[self.active]
        return lanes.reshape(len(lanes), -1, self.granule)


def _differ_in_last_bits(first: Array, second: Array, element_bytes: int) -> bool:
    """Whether all numbers of two arrays of bytes (n, bytes) are nearly the same in a format of that width.

    >>> a, b = (np.array([x], np.float32).view(np.uint8)[None] for x in (1.0, 1.0000001))
    >>> _differ_in_last_bits(a, b, 4), _differ_in_last_bits(a, -b, 4)
    (True, False)
    """
    return any(
        _nearly_equal(*_as_numbers(first, second, kind), tolerance) for kind, tolerance in _FORMATS[element_bytes]
    )


def _as_numbers(first: Array, second: Array, kind: str) -> tuple[Array, Array]:
    if kind == "bfloat16":
        return tuple((x.view(np.uint16).astype(np.uint32) << 16).view(np.float32) for x in (first, second))  # type: ignore[return-value]
    return first.view(kind), second.view(kind)


def _nearly_equal(first: Array, second: Array, tolerance: float) -> bool:
    with np.errstate(all="ignore"):
        one, other = first.astype(np.float64), second.astype(np.float64)
        scale = np.maximum(np.abs(one), np.abs(other))
        return bool(((one == other) | (np.abs(one - other) <= tolerance * scale)).all())
