"""Fronts: sets of threads that stand at the same basic block and go on together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.spaces import WARP_LANES

Mask = NDArray[np.bool_]


class Parked:
    """What a block's function returns when its threads wait, or have been handed to the scheduler."""


PARKED = Parked()


class Front:
    """Warp instances `warps` (a slice, or ascending indices) whose threads in `mask` (None: all) stand at `block`.

    An instance is one warp of one CTA of the batch, numbered (warp in its CTA) * CTAs + CTA, so that the same warps
    of all CTAs are a slice. Arrays over a front have the shape (n, 32).
    """

    __slots__ = ("block", "cache", "mask", "n", "warps")

    def __init__(self, warps: slice | NDArray[np.int64], mask: Mask | None, block: int) -> None:
        self.warps = warps
        self.mask = mask
        self.block = block
        self.n: int = warps.stop - warps.start if isinstance(warps, slice) else len(warps)
        self.cache: dict[Any, Any] = {}

    @property
    def is_plain(self) -> bool:
        """Whether every lane of a slice of instances takes part, so that registers are views and not copies."""
        return self.mask is None and isinstance(self.warps, slice)

    def indices(self) -> NDArray[np.int64]:
        """The instances, shape (n,)."""
        return np.arange(self.warps.start, self.warps.stop) if isinstance(self.warps, slice) else self.warps

    def active(self, guard: Mask | None) -> Mask | None:
        """The lanes for which a guarded instruction runs; None for all of them."""
        if guard is None:
            return self.mask
        mask = guard if self.mask is None else guard & self.mask
        return None if mask.all() else mask

    def full_mask(self, guard: Mask | None = None) -> Mask:
        """`active`, as an array in any case."""
        mask = self.active(guard)
        return np.ones((self.n, WARP_LANES), np.bool_) if mask is None else mask

    def lanes(self) -> int:
        """How many threads take part."""
        return self.n * WARP_LANES if self.mask is None else int(np.count_nonzero(self.mask))

    def at(self, block: int) -> Front:
        """The same threads at another block."""
        front = Front(self.warps, self.mask, block)
        front.cache = self.cache
        return front


def front_of(active: Mask, block: int) -> Front | None:
    """The front of the threads in `active`, shape (instances, 32); None when there are none."""
    some = active.any(axis=1)
    warps = np.flatnonzero(some)
    if not len(warps):
        return None
    first, last = int(warps[0]), int(warps[-1]) + 1
    whole = slice(first, last) if len(warps) == last - first else warps
    mask = active[whole]
    return Front(whole, None if mask.all() else mask, block)


def part_of(front: Front, chosen: Mask, block: int) -> Front | None:
    """The threads of `front` in `chosen`, shape (n, 32), at `block`; None when there are none."""
    if chosen.all():
        return front.at(block) if front.mask is None else Front(front.warps, None, block)
    some = chosen.any(axis=1)
    if not some.any():
        return None
    rows = np.flatnonzero(some)
    warps = front.indices()[rows]
    first, last = int(warps[0]), int(warps[-1]) + 1
    whole = slice(first, last) if len(warps) == last - first else warps
    mask = chosen[rows]
    return Front(whole, None if mask.all() else mask, block)


def merged(fronts: Iterable[Front], instances: int, block: int) -> Front:
    """One front of all the threads of several."""
    active = np.zeros((instances, WARP_LANES), np.bool_)
    for front in fronts:
        active[front.warps] |= True if front.mask is None else front.mask
    whole = front_of(active, block)
    assert whole is not None
    return whole
