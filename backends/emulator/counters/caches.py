"""A sectored cache with least-recently-used replacement, simulated for all its sets at once.

Lines of 128 bytes have four sectors, each valid and dirty by itself; a miss brings the sectors that were asked for. The
set of a line is its number plus a hash of the bits above, modulo the sets: consecutive lines spread evenly and power of
two strides do not collide. The real index function, associativity and replacement are not published.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LINE_BYTES = 128
SECTORS_PER_LINE = 4
WAYS = 16
COUNT = np.array([bin(bits).count("1") for bits in range(16)], np.int64)
"""How many sectors a mask of four bits has."""
_HASH = np.uint64(0x9E37_79B9_7F4A_7C15)


class Cache:
    """`caches` equal caches of `nbytes` each, empty. `allocates_writes`: a write that misses takes a line."""

    def __init__(self, nbytes: int, caches: int, allocates_writes: bool) -> None:
        self.sets = max(nbytes // (LINE_BYTES * WAYS), 1)
        self.allocates_writes = allocates_writes
        shape = (self.sets * caches, WAYS)
        self.lines = np.full(shape, -1, np.int64)
        self.valid = np.zeros(shape, np.uint8)
        self.dirty = np.zeros(shape, np.uint8)
        self.used = np.zeros(shape, np.int64)
        self.clock = 0
        self.written_back = 0

    def access(self, lines: Array, sectors: Array, writes: Array, cache: Array | None = None) -> Array:
        """Access in order; returns the masks of sectors that were there. All arrays (n,), masks have four bits.

        cache: which of the caches, None where there is one. Sectors written back are added to `written_back`.
        """
        sets = self._set_of(lines) if cache is None else self._set_of(lines) + cache * self.sets
        order = np.argsort(sets, kind="stable")
        found = np.empty(len(lines), np.uint8)
        found[order] = self._in_sets(sets[order], lines[order], sectors[order].astype(np.uint8), writes[order])
        return found

    def _set_of(self, lines: Array) -> Array:
        above = (lines // self.sets).astype(np.uint64) * _HASH >> np.uint64(40)
        chosen: Array = (lines + above.astype(np.int64)) % self.sets
        return chosen

    def _in_sets(self, sets: Array, lines: Array, sectors: Array, writes: Array) -> Array:
        """The same for accesses grouped by set: repeated ones to a line are one, then sets take turns side by side."""
        is_new = np.ones(len(sets), np.bool_)
        is_new[1:] = (sets[1:] != sets[:-1]) | (lines[1:] != lines[:-1]) | (writes[1:] != writes[:-1])
        starts = np.flatnonzero(is_new)
        if not len(starts):
            return sectors
        run = np.cumsum(is_new) - 1
        # A write that takes no line leaves nothing behind for those that follow it.
        earlier = _seen_in_run(sectors, starts, run)
        together = np.bitwise_or.reduceat(sectors, starts)
        before, is_kept = self._take_turns(sets[starts], lines[starts], together, writes[starts])
        there: Array = before[run] | np.where(is_kept[run], earlier, 0).astype(np.uint8)
        return sectors & there

    def _take_turns(self, sets: Array, lines: Array, sectors: Array, writes: Array) -> tuple[Array, Array]:
        starts = np.flatnonzero(np.r_[True, sets[1:] != sets[:-1]])
        rank = np.arange(len(sets)) - np.repeat(starts, np.diff(np.r_[starts, len(sets)]))
        by_rank = np.argsort(rank, kind="stable")
        before, kept = np.empty(len(sets), np.uint8), np.empty(len(sets), np.bool_)
        for turn in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
            before[turn], kept[turn] = self._turn(sets[turn], lines[turn], sectors[turn], writes[turn])
        return before, kept

    def _turn(self, sets: Array, lines: Array, sectors: Array, writes: Array) -> tuple[Array, Array]:
        """One access to each of distinct sets: (valid sectors of its line before, whether the line is there after)."""
        self.clock += 1
        matches = self.lines[sets] == lines[:, None]
        hit = matches.any(axis=1)
        way = np.where(hit, matches.argmax(axis=1), self.used[sets].argmin(axis=1))
        before = np.where(hit, self.valid[sets, way], 0).astype(np.uint8)
        kept = hit | (True if self.allocates_writes else ~writes)
        self.written_back += int(COUNT[self.dirty[sets, way][~hit & kept]].sum())
        at, way, hit_kept = sets[kept], way[kept], hit[kept]
        self.lines[at, way] = lines[kept]
        self.valid[at, way] = before[kept] | sectors[kept]
        dirt = np.where(hit_kept, self.dirty[at, way], 0)
        self.dirty[at, way] = dirt | np.where(writes[kept], sectors[kept], 0) if self.allocates_writes else 0
        self.used[at, way] = self.clock
        return before, kept

    def dirty_sectors(self) -> int:
        """Sectors that still have to be written back."""
        return int(COUNT[self.dirty].sum())


def _seen_in_run(sectors: Array, starts: Array, run: Array) -> Array:
    """Sectors that earlier accesses of the same run have touched."""
    seen = np.zeros(len(sectors), np.uint8)
    for bit in range(SECTORS_PER_LINE):
        has = sectors >> bit & 1
        before = np.cumsum(has, dtype=np.int64) - has
        seen |= ((before > before[starts][run]).astype(np.uint8)) << np.uint8(bit)
    return seen
