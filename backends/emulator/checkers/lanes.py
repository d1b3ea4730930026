"""What some lanes of a warp know and others do not: what a lane acquires is its own until the warp's lanes meet.

Sets of lanes are masks of 32 bits. Rows are as in `clocks`: (planes, columns).
Source: PTX ISA, memory consistency model: an acquire orders what the thread that executes it does next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Mask
from backends.emulator.spaces import WARP_LANES

Array = NDArray[Any]
_WEIGHTS = np.int64(1) << np.arange(WARP_LANES)


def bits_of(lanes: Mask) -> Array:
    """The sets (n,) of masks (n, 32).

    >>> bits_of(np.eye(2, 32, dtype=bool)).tolist()
    [1, 2]
    """
    found: Array = lanes @ _WEIGHTS
    return found


def bit_of(lane: Array) -> Array:
    """The sets of one lane each, of lane numbers (n,)."""
    return _WEIGHTS[lane]


class LaneKnowledge:
    """Rows by warp and set of lanes: each lane of the set knows the row, beside what its whole warp knows."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[int, Array]] = {}

    def add(self, warp: int, lanes: int, row: Array) -> None:
        """`lanes` of a warp learn a row."""
        known = self.rows.setdefault(warp, {})
        known[lanes] = joined(known[lanes], row) if lanes in known else row.copy()

    def of_any(self, warp: int, lanes: int) -> Iterator[Array]:
        """What some lane of a set knows, and so what the set hands on."""
        return (row for known, row in self.rows.get(warp, {}).items() if known & lanes)

    def of_all(self, warp: int, lanes: int) -> Iterator[Array]:
        """What every lane of a set knows."""
        return (row for known, row in self.rows.get(warp, {}).items() if not lanes & ~known)

    def meet(self, warp: int, lanes: int) -> None:
        """Lanes of a warp tell each other what they know."""
        known = self.rows.pop(warp, {})
        for held, row in known.items():
            self.add(warp, held | lanes if held & lanes else held, row)

    def settle(self, warp: int, alive: int) -> Array | None:
        """Take out what all living lanes know; None for nothing."""
        known = self.rows.get(warp)
        if not known or alive & ~_union(known):
            return None
        common = _common(known, alive)
        for held in [h for h in known if not alive & ~h]:
            del known[held]
        if not known:
            del self.rows[warp]
        return common


def joined(first: Array, second: Array) -> Array:
    """A new row that is the join of two, as wide as the wider."""
    wide, narrow = (first, second) if first.shape[-1] >= second.shape[-1] else (second, first)
    row: Array = wide.copy()
    width = narrow.shape[-1]
    np.maximum(row[..., :width], narrow, out=row[..., :width])
    return row


def _union(known: dict[int, Array]) -> int:
    found = 0
    for held in known:
        found |= held
    return found


def _common(known: dict[int, Array], alive: int) -> Array:
    """What each of the lanes knows, by one set or another: the least of their joins."""
    width = max(row.shape[-1] for row in known.values())
    lanes = [lane for lane in range(WARP_LANES) if alive >> lane & 1]
    shares = {tuple(held for held in known if held >> lane & 1) for lane in lanes}
    least: Array | None = None
    for share in shares:
        row = np.zeros((next(iter(known.values())).shape[0], width), np.int32)
        for held in share:
            row = joined(row, known[held])
        least = row if least is None else np.minimum(least, row)
    assert least is not None
    return least
