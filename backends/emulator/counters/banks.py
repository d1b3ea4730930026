"""Wavefronts of shared memory: how many passes a warp's access takes through 32 banks of 4 bytes.

An access of at most 4 bytes a lane is one pass when no two lanes want different words of one bank; lanes that want the
same word get it together. 8 bytes a lane are done in halves of the warp and 16 in quarters, each by the same rule; a
load in which each lane and its neighbour (lane ^ 1, or lane ^ 2) have one address does two of these parts at once
(NVIDIA developer forum, "Unexpected shared memory bank conflict", for compute capability 7.x; assumed later too). The
eight rows of each matrix of `ldmatrix` and `stmatrix` are a quarter. Lanes whose atomics meet in one bank take turns.

Lines of the L1 lie in the same banks, but loads of them never do two parts at once: 8 bytes a lane take two cycles from
a single address too, on A100 and H200 (RRZE gpu-benches gpu-strides).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Mask
from backends.emulator.spaces import WARP_LANES

Array = NDArray[Any]
BANKS = 32
_BANK_BYTES = 4
_ROW_BYTES = BANKS * _BANK_BYTES
_IDLE = -1
# Any odd numbers: the sum of their products with a pattern tells patterns apart.
_WEIGHTS = np.random.default_rng(1).integers(1 << 62, size=WARP_LANES, dtype=np.int64) | 1


class Wavefronts:
    """Counts wavefronts; patterns that it has seen are looked up."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, int], tuple[int, int]] = {}

    def count(self, flat: Array, nbytes: int, active: Mask | None, kind: str) -> tuple[Array, Array]:
        """(wavefronts, those beyond what the width needs) of each warp, from byte offsets (n, 32).

        kind: `load`, `line load` (from the L1), `store` or `atomic`.
        """
        patterns = _patterns(flat, active)
        keys, first, inverse = np.unique(patterns @ _WEIGHTS, return_index=True, return_inverse=True)
        pairs = np.array([self._of(int(key), patterns[at], nbytes, kind) for key, at in zip(keys, first, strict=True)])
        found = pairs.reshape(-1, 2)[inverse.reshape(-1)]
        return found[:, 0], found[:, 1]

    def _of(self, key: int, pattern: Array, nbytes: int, kind: str) -> tuple[int, int]:
        place = (nbytes, kind, key)
        if place not in self._known:
            self._known[place] = wavefronts(pattern, nbytes, kind)
        return self._known[place]


def wavefronts(addresses: Array, nbytes: int, kind: str = "load") -> tuple[int, int]:
    """(wavefronts, those beyond what the width needs) of one warp; `addresses` (32,) in bytes, -1 for idle lanes.

    >>> lanes = np.arange(32)
    >>> [wavefronts(lanes * 4 * stride, 4)[0] for stride in (0, 1, 2, 3, 32, 33)]
    [1, 1, 2, 1, 32, 1]
    >>> wavefronts(lanes * 16, 16), wavefronts(lanes * 8, 8)
    ((4, 0), (2, 0))
    >>> wavefronts(lanes * 0, 8)[0], wavefronts(lanes * 0, 8, "line load")[0]
    (1, 2)
    """
    lanes = min(WARP_LANES, _ROW_BYTES // max(nbytes, _BANK_BYTES))
    if kind == "load" and lanes < WARP_LANES and _is_paired(addresses):
        lanes *= 2
    parts = [part[part != _IDLE] for part in addresses.reshape(-1, lanes)]
    degrees = [_degree(part, nbytes, kind) for part in parts if len(part)]
    return sum(degrees), sum(degrees) - len(degrees)


def _degree(addresses: Array, nbytes: int, kind: str) -> int:
    """How often the busiest bank is needed."""
    words = (addresses[:, None] // _BANK_BYTES + np.arange(max(nbytes // _BANK_BYTES, 1))).reshape(-1)
    if kind != "atomic":
        words = np.unique(words)
    return int(np.bincount(words % BANKS).max())


def _is_paired(addresses: Array) -> bool:
    """Whether each lane has the address of lane ^ 1, or each that of lane ^ 2, as far as both take part."""
    lanes = np.arange(WARP_LANES)
    return any(_agree(addresses, addresses[lanes ^ step]) for step in (1, 2))


def _agree(one: Array, other: Array) -> bool:
    return bool(((one == other) | (one == _IDLE) | (other == _IDLE)).all())


def _patterns(flat: Array, active: Mask | None) -> Array:
    """Addresses (n, 32) relative to the row of banks of each warp's lowest, -1 for idle lanes."""
    if active is None:
        return np.asarray(flat - (flat.min(axis=1, keepdims=True) & -_ROW_BYTES))
    lowest = np.where(active, flat, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
    return np.where(active, flat - (lowest & -_ROW_BYTES), _IDLE)
