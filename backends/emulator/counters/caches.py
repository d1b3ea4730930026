"""A sectored cache with least-recently-used replacement, simulated for all its sets at once.

Lines of 128 bytes have four sectors, each valid and dirty by itself; a miss brings the sectors that were asked for.
Lines fall in 64 groups, each with its own sets, so that any number of groups can be simulated without the others.
Within both, a line's place is its number plus a hash of the bits above: consecutive lines spread evenly and power of
two strides do not collide. The real index function, associativity and replacement are not published.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LINE_BYTES = 128
SECTORS_PER_LINE = 4
GROUPS = 64
COUNT = np.array([bin(bits).count("1") for bits in range(16)], np.int64)
"""How many sectors a mask of four bits has."""
_WAYS = 16
_GROUP_BITS = 6
_HASH = np.uint64(0x9E37_79B9_7F4A_7C15)


def group_of(lines: Array) -> Array:
    """The group of each line, 0 to 63."""
    above = (lines >> _GROUP_BITS).view(np.uint64) * _HASH >> np.uint64(40)
    chosen: Array = (lines + above.view(np.int64)) & (GROUPS - 1)
    return chosen


def _spread(numbers: Array, places: int) -> Array:
    above = (numbers // places).astype(np.uint64) * _HASH >> np.uint64(40)
    chosen: Array = (numbers + above.astype(np.int64)) % places
    return chosen


class Cache:
    """`caches` equal caches of `nbytes` each, empty. `allocates_writes`: a write that misses takes a line."""

    def __init__(self, nbytes: int, caches: int, allocates_writes: bool) -> None:
        self.sets_per_group = max(nbytes // (LINE_BYTES * _WAYS * GROUPS), 1)
        self.allocates_writes = allocates_writes
        sets = self.sets_per_group * GROUPS
        shape = (sets * caches, max(nbytes // (LINE_BYTES * sets), 1))
        self.lines = np.full(shape, -1, np.int64)
        self.valid = np.zeros(shape, np.uint8)
        self.dirty = np.zeros(shape, np.uint8)
        self.used = np.zeros(shape, np.int32)
        self.clock = 0
        self.written_back = 0

    def access(self, lines: Array, sectors: Array, writes: Array, cache: Array | None = None) -> Array:
        """Access in order; returns the masks of sectors that were there. All arrays (n,), masks have four bits.

        cache: which of the caches, None where there is one. Sectors written back are added to `written_back`.
        """
        sets = group_of(lines) * self.sets_per_group + _spread(lines // GROUPS, self.sets_per_group)
        if cache is not None:
            sets += cache * (self.sets_per_group * GROUPS)
        order = np.argsort(sets, kind="stable")
        found = np.empty(len(lines), np.uint8)
        found[order] = self._in_sets(sets[order], lines[order], sectors[order].astype(np.uint8), writes[order])
        return found

    def dirty_sectors(self, groups: int) -> int:
        """Sectors that still have to be written back, of the first so many groups."""
        by_group = self.dirty.reshape(-1, GROUPS, self.sets_per_group, self.dirty.shape[1])
        return int(COUNT[by_group[:, :groups]].sum())

    def _in_sets(self, sets: Array, lines: Array, sectors: Array, writes: Array) -> Array:
        """The same for accesses grouped by set: repeated ones to a line are one, then sets take turns side by side."""
        is_new = np.ones(len(sets), np.bool_)
        is_new[1:] = (sets[1:] != sets[:-1]) | (lines[1:] != lines[:-1]) | (writes[1:] != writes[:-1])
        starts = np.flatnonzero(is_new)
        if len(starts) == len(sets):
            return sectors & self._take_turns(sets, lines, sectors, writes)[0]
        run = np.cumsum(is_new, dtype=np.int32) - 1
        together = np.bitwise_or.reduceat(sectors, starts)
        before, is_kept = self._take_turns(sets[starts], lines[starts], together, writes[starts])
        # A write that takes no line leaves nothing behind for those that follow it.
        earlier = np.where(is_kept[run], _seen_in_run(sectors, starts, run), np.uint8(0))
        there: Array = before[run] | earlier
        return sectors & there

    def _take_turns(self, sets: Array, lines: Array, sectors: Array, writes: Array) -> tuple[Array, Array]:
        """One access after the other in each set, of all sets at once; see `_turn`."""
        before, kept = np.empty(len(sets), np.uint8), np.empty(len(sets), np.bool_)
        if not len(sets):
            return before, kept
        starts = np.flatnonzero(np.r_[True, sets[1:] != sets[:-1]])
        rank = np.arange(len(sets)) - np.repeat(starts, np.diff(np.r_[starts, len(sets)]))
        by_rank = np.argsort(rank, kind="stable")
        for turn in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
            before[turn], kept[turn] = self._turn(sets[turn], lines[turn], sectors[turn], writes[turn])
        return before, kept

    def _turn(self, sets: Array, lines: Array, sectors: Array, writes: Array) -> tuple[Array, Array]:
        """One access to each of distinct sets: (valid sectors of its line before, whether the line is there after)."""
        self.clock += 1
        matches = self.lines[sets] == lines[:, None]
        hit = matches.any(axis=1)
        way = np.where(hit, matches.argmax(axis=1), self.used[sets].argmin(axis=1))
        before = np.where(hit, self.valid[sets, way], np.uint8(0))
        kept = np.ones(len(sets), np.bool_) if self.allocates_writes else hit | ~writes
        self.written_back += int(COUNT[self.dirty[sets, way][~hit & kept]].sum())
        at, way = sets[kept], way[kept]
        self.lines[at, way] = lines[kept]
        self.valid[at, way] = before[kept] | sectors[kept]
        if self.allocates_writes:
            self.dirty[at, way] = np.where(hit, self.dirty[at, way], 0) | np.where(writes, sectors, 0)
        self.used[at, way] = self.clock
        return before, kept


def _seen_in_run(sectors: Array, starts: Array, run: Array) -> Array:
    """Sectors that earlier accesses of the same run have touched."""
    seen = np.zeros(len(sectors), np.uint8)
    for bit in range(SECTORS_PER_LINE):
        has = sectors >> bit & 1
        before = np.cumsum(has, dtype=np.int32) - has
        seen |= (before > before[starts][run]).astype(np.uint8) << np.uint8(bit)
    return seen
