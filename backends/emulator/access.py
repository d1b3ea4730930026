"""Loads and stores of a front, in every state space: vector widths, guards, generic addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import Space
from backends.emulator.spaces import GLOBAL_BASE, LOCAL_BASE, SHARED_BASE, WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[np.generic]
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64, 16: np.complex128}
# The widest element that NumPy moves at once; wider vectors are several accesses.
_MAX_UNIT_BYTES = 16


class Access:
    """Moves data between registers and memory, and tells the batch's observer of each access."""

    def __init__(self, batch: Batch, spaces: dict[str, Space]) -> None:
        self.batch = batch
        self.spaces = spaces

    def load(
        self, front: Front, space: str, address: Array, offset: int, size: int, count: int, guard: Mask | None
    ) -> list[Array]:
        """`count` elements of `size` bytes from `address + offset`: arrays (n, 32) of unsigned integers.

        Lanes that take no part read something; the caller must not write it to their registers.
        """
        active = front.active(guard)
        if active is not None and not active.any():
            return [np.zeros((front.n, WARP_LANES), _BITS[size])] * count
        if space == "generic":
            return self._load_generic(front, address, offset, size, count, active)
        return self._load(front, self.spaces[space], address, offset, size, count, active)

    def _load(
        self, front: Front, space: Space, address: Array, offset: int, size: int, count: int, active: Mask | None
    ) -> list[Array]:
        flat = space.flat(front, address, offset, size * count, active)
        if self.batch.observer is not None:
            self.batch.observer.access(front, space.name, flat, size * count, active, "load")
        unit = min(size * count, _MAX_UNIT_BYTES)
        if unit == size and count == 1:
            return [space.units[size].take(flat >> _shift(size), mode="clip")]
        parts: list[Array] = []
        for start in range(0, size * count, unit):
            wide = space.units[unit].take((flat + start) >> _shift(unit), mode="clip")
            narrow: Array = wide.view(_BITS[size]).reshape(front.n, WARP_LANES, unit // size)
            parts += [narrow[..., k] for k in range(unit // size)]
        return parts

    def store(
        self, front: Front, space: str, address: Array, offset: int, size: int, values: list[Array], guard: Mask | None
    ) -> None:
        """Store each lane's `values`, arrays (n, 32) or scalars of `size` bytes; later lanes win where they collide."""
        active = front.active(guard)
        if active is not None and not active.any():
            return
        if space == "generic":
            for name, part in self._by_space(front, address, active):
                self._store(front, self.spaces[name], address, offset, size, values, part)
            return
        self._store(front, self.spaces[space], address, offset, size, values, active)

    def _store(
        self, front: Front, space: Space, address: Array, offset: int, size: int, values: list[Array],
        active: Mask | None,
    ) -> None:  # fmt: skip
        nbytes = size * len(values)
        flat = space.flat(front, address, offset, nbytes, active)
        if self.batch.observer is not None:
            self.batch.observer.access(front, space.name, flat, nbytes, active, "store", values)
        lanes = flat if active is None else flat[active]
        unit = min(nbytes, _MAX_UNIT_BYTES)
        per_unit = unit // size
        for k in range(0, len(values), per_unit):
            data = _joined(values[k : k + per_unit], size, unit, front, active)
            space.units[unit][(lanes + k * size) >> _shift(unit)] = data

    def _load_generic(
        self, front: Front, address: Array, offset: int, size: int, count: int, active: Mask | None
    ) -> list[Array]:
        parts = list(self._by_space(front, address, active))
        if len(parts) == 1:
            name, mask = parts[0]
            return self._load(front, self.spaces[name], address, offset, size, count, mask)
        result: list[Array] = [np.zeros((front.n, WARP_LANES), _BITS[size]) for _ in range(count)]
        for name, mask in parts:
            for target, value in zip(
                result, self._load(front, self.spaces[name], address, offset, size, count, mask), strict=True
            ):
                np.copyto(target, value, where=True if mask is None else mask)
        return list(result)

    def _by_space(self, front: Front, address: Array, active: Mask | None) -> list[tuple[str, Mask | None]]:
        """The state spaces that generic addresses lie in, each with the lanes that go there."""
        wide = np.broadcast_to(address, (front.n, WARP_LANES)).view(np.int64)
        used = wide if active is None else wide[active]
        low, high = int(used.min()), int(used.max())
        for name, start, end in _WINDOWS:
            if start <= low and high < end:
                return [(name, active)]
        masks = [(name, (wide >= start) & (wide < end)) for name, start, end in _WINDOWS]
        masks = [(name, mask if active is None else mask & active) for name, mask in masks]
        return [(name, mask) for name, mask in masks if mask.any()]


_WINDOWS = (
    ("global", GLOBAL_BASE, 1 << 63),
    ("shared", SHARED_BASE, GLOBAL_BASE),
    ("local", LOCAL_BASE, SHARED_BASE),
    # An address below every window is a fault; the check of global memory words it.
    ("global", -(1 << 63), LOCAL_BASE),
)


def window_of(address: int) -> str:
    """The state space that a generic address lies in."""
    return next((name for name, start, end in _WINDOWS if start <= address < end), "global")


def _shift(size: int) -> int:
    return size.bit_length() - 1


def _joined(values: list[Array], size: int, unit: int, front: Front, active: Mask | None) -> Array:
    """The lanes' values side by side as elements of `unit` bytes, active lanes alone."""
    if len(values) == 1:
        value = np.broadcast_to(values[0], (front.n, WARP_LANES))
        return value if active is None else value[active]
    data: Array = np.empty((front.n, WARP_LANES, len(values)), _BITS[size])
    for k, value in enumerate(values):
        data[..., k] = value
    wide: Array = data.view(np.complex128 if unit == 16 else _BITS[unit])[..., 0]
    return wide if active is None else wide[active]
