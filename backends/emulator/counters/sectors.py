"""Which 32-byte sectors each warp's access touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Mask
from backends.emulator.spaces import WARP_LANES

Array = NDArray[Any]
SECTOR_BYTES = 32
_SHIFT = 5
_WORD_BYTES = 4
# Words of 8 lanes that follow one another in local memory fill a sector.
_LANES_PER_SECTOR = SECTOR_BYTES // _WORD_BYTES


@dataclass(frozen=True, eq=False)
class Touched:
    """`sectors` (any,): sector numbers, those of one warp together and each once; `rows` (any,): the warp of each.

    `requests`: warps of which any lane takes part.
    """

    sectors: Array
    rows: Array
    requests: int


def touched(flat: Array, nbytes: int, active: Mask | None) -> Touched:
    """Sectors of an access of `nbytes` at offsets `flat` (n, 32), which are aligned to `nbytes`.

    >>> lanes = np.arange(32)[None]
    >>> [len(touched(lanes * stride * 4, 4, None).sectors) for stride in (1, 2, 4, 8, 32)]
    [4, 8, 16, 32, 32]
    """
    numbers, rows = _settled(flat >> _SHIFT, active)
    if not len(rows):
        return Touched(rows, rows, 0)
    found = _distinct(numbers, rows)
    if nbytes <= SECTOR_BYTES:
        return found
    more = np.arange(nbytes // SECTOR_BYTES)
    return Touched((found.sectors[:, None] + more).reshape(-1), np.repeat(found.rows, len(more)), found.requests)


def touched_local(offset: Array, nbytes: int, active: Mask | None, warps: Array, thread_bytes: int) -> Touched:
    """The same for local memory, where word w of lane l is the word 32 w + l of the warp's own memory.

    offset (n, 32): in the thread's memory of `thread_bytes`; warps (n,): a number for each warp of the launch.
    """
    lanes = np.arange(WARP_LANES) // _LANES_PER_SECTOR
    per_word = WARP_LANES // _LANES_PER_SECTOR
    first = (warps[:, None] * (thread_bytes // _WORD_BYTES) + offset // _WORD_BYTES) * per_word + lanes
    numbers, rows = _settled(first, active)
    if not len(rows):
        return Touched(rows, rows, 0)
    found = _distinct(numbers, rows)
    words = np.arange(max(nbytes // _WORD_BYTES, 1)) * per_word
    return Touched((found.sectors[:, None] + words).reshape(-1), np.repeat(found.rows, len(words)), found.requests)


def _settled(numbers: Array, active: Mask | None) -> tuple[Array, Array]:
    """Rows with any active lane, their idle lanes given the number of one that is not; and which rows these are."""
    if active is None:
        return numbers, np.arange(len(numbers))
    rows = np.flatnonzero(active.any(axis=1))
    chosen, numbers = active[rows], numbers[rows]
    first = np.take_along_axis(numbers, chosen.argmax(axis=1)[:, None], axis=1)
    return np.where(chosen, numbers, first), rows


def _distinct(numbers: Array, rows: Array) -> Touched:
    if (numbers[:, 1:] < numbers[:, :-1]).any():
        numbers = np.sort(numbers, axis=1)
    is_new = np.ones(numbers.shape, np.bool_)
    np.not_equal(numbers[:, 1:], numbers[:, :-1], out=is_new[:, 1:])
    return Touched(numbers[is_new], np.repeat(rows, is_new.sum(axis=1)), len(rows))
