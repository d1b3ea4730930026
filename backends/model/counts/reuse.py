"""What a wave finds in the caches: hits in the L1 and the L2 by instruction, and what goes to DRAM.

A wave in the middle of the grid goes through empty caches. What it then fetches may have been fetched by a wave before
it: that is still in the L2 where all that the waves from then on have touched fits in it (the reuse distance of an
access with period one wave is what one wave touches; Mattson et al., 1970). The first wave finds nothing.

Where the L2 has partitions, each keeps what the SMs next to it read ("NVIDIA A100 Tensor Core GPU Architecture", 2020):
what is found in it is near, what only another one has is far. SMs are taken to be next to them in turns. What one SM
reads is kept next to it and where its address belongs, which is the same partition for one line of as many as there are
partitions: so much less the L2 holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import COUNT, SECTORS_PER_LINE, Cache
from backends.emulator.counters.sectors import SECTOR_BYTES
from backends.emulator.counters.sizes import CacheSizes
from backends.emulator.counters.stream import LOAD, STORE
from backends.model.counts.wave import Lines

Array = NDArray[Any]
Column = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reuse:
    """Shares by instruction, each (instructions,), nan where an instruction was not seen: of its sectors that look in
    the L1, those found there; of its sectors that go on, those found in the L2 (over all waves), those read from DRAM,
    and those written to DRAM; of its sectors, those that no earlier wave touched and no earlier access of this one.
    onward: of all its sectors, those that go on to the L2. near: of those found in the L2, those of the SM's partition.
    """

    l1_hits: Column
    onward: Column
    l2_hits: Column
    reads: Column
    writes: Column
    unique: Column
    near: Column


def follow(wave: Lines, before: Sequence[Lines], waves: float, scale: float, sizes: CacheSizes, width: int) -> Reuse:
    """Shares for a wave; `before`: the waves right before it, the nearest first, in the same groups of lines.

    waves: of the grid. scale: sectors that one wave really touches over those that are followed here.
    """
    hits = np.zeros(len(wave.line), np.uint8)
    cached = np.flatnonzero(wave.uses_l1)
    l1 = Cache(sizes.l1_bytes, sizes.sm_count, allocates_writes=False)
    hits[cached] = l1.access(wave.line[cached], wave.sectors[cached], wave.kind[cached] == STORE, wave.sm[cached])
    onward = np.where(wave.kind == LOAD, wave.sectors & ~hits, wave.sectors).astype(np.uint8)
    held_bytes = sizes.l2_bytes * sizes.l2_partitions // (2 * sizes.l2_partitions - 1)
    l2 = Cache(held_bytes, 1, allocates_writes=True)
    found = np.zeros(len(wave.line), np.uint8)
    sent = np.flatnonzero(onward)
    found[sent] = l2.access(wave.line[sent], onward[sent], wave.kind[sent] != LOAD)
    missing = onward & ~found
    distinct = _Distinct.of(wave.line)
    kept, seen = _earlier(wave, distinct, before, scale, held_bytes)
    near = _near(wave, onward, found, before, scale, sizes)
    later = max(waves - 1.0, 0.0) / max(waves, 1.0)
    writes = wave.kind != LOAD
    first_write = np.where(writes, onward & ~_before(wave, distinct, writes), 0).astype(np.uint8)

    def total(masks: Array) -> Column:
        chosen = np.flatnonzero(wave.counts.astype(bool))
        return np.bincount(wave.site[chosen], COUNT[masks[chosen]], width).astype(float)

    every, sent_on = total(wave.sectors), total(onward)
    looked = total(np.where(wave.uses_l1, wave.sectors, 0))
    fetched = total(missing) - later * total(missing & kept)
    reads = np.where(wave.kind == STORE, 0, missing)
    fresh = wave.sectors & ~_before(wave, distinct, np.ones(len(wave.line), np.bool_))
    return Reuse(
        l1_hits=_share(total(hits), looked),
        onward=_share(sent_on, every),
        l2_hits=_share(sent_on - fetched, sent_on),
        reads=_share(total(reads) - later * total(reads & kept), sent_on),
        writes=_share(total(first_write) - later * total(first_write & kept), sent_on),
        unique=_share(total(fresh) - later * total(fresh & seen), every),
        near=_share(total(found & near) + later * total(missing & kept & near), sent_on - fetched),
    )


def _near(wave: Lines, onward: Array, found: Array, before: Sequence[Lines], scale: float, sizes: CacheSizes) -> Array:
    """Of each access, the sectors that its SM's own partition of the L2 has, by this wave, or by the last one where
    this one has not brought them (which are `found`)."""
    if sizes.l2_partitions == 1:
        return np.full(len(wave.line), (1 << SECTORS_PER_LINE) - 1, np.uint8)
    part_bytes = sizes.l2_bytes // sizes.l2_partitions
    own = wave.sm % sizes.l2_partitions
    near = np.zeros(len(wave.line), np.uint8)
    sent = np.flatnonzero(onward)
    partitions = Cache(part_bytes, sizes.l2_partitions, allocates_writes=True)
    near[sent] = partitions.access(wave.line[sent], onward[sent], wave.kind[sent] != LOAD, own[sent])
    for partition in range(sizes.l2_partitions) if before else ():
        mine = np.flatnonzero(own == partition)
        last = before[0].where(np.flatnonzero(before[0].sm % sizes.l2_partitions == partition))
        if float(COUNT[_Distinct.of(last.line).masks(last.sectors)].sum()) * scale * SECTOR_BYTES <= part_bytes:
            near[mine] |= _touched(last, wave.line[mine]) & ~found[mine]
    return near


@dataclass(frozen=True, eq=False)
class _Distinct:
    """The different ones of some lines, in order, and at which of them each line is."""

    numbers: Array
    at: Array

    @staticmethod
    def of(lines: Array) -> _Distinct:
        return _Distinct(*np.unique(lines, return_inverse=True))

    def masks(self, sectors: Array) -> Array:
        """Of each different line, the sectors that any of its accesses touches."""
        found = np.zeros(len(self.numbers), np.uint8)
        np.bitwise_or.at(found, self.at, sectors)
        return found


def _earlier(
    wave: Lines, distinct: _Distinct, before: Sequence[Lines], scale: float, l2_bytes: int
) -> tuple[Array, Array]:
    """Of each access, the sectors that an earlier wave has left in the L2, and those that one has touched."""
    kept = np.zeros(len(wave.line), np.uint8)
    seen = kept.copy()
    own = float(COUNT[distinct.masks(wave.sectors)].sum()) * scale * SECTOR_BYTES
    for distance, other in enumerate(before, 1):
        touched = _touched(other, distinct.numbers)[distinct.at]
        seen |= touched
        if distance * own <= l2_bytes:
            kept |= touched
    return kept, seen


def _touched(other: Lines, lines: Array) -> Array:
    """Masks of the sectors of `lines` that another wave touches."""
    there = _Distinct.of(other.line)
    masks = np.append(there.masks(other.sectors), np.uint8(0))
    at = np.minimum(np.searchsorted(there.numbers, lines), max(len(there.numbers) - 1, 0))
    is_there = there.numbers[at] == lines if len(there.numbers) else np.zeros(len(lines), np.bool_)
    found: Array = np.where(is_there, masks[at], 0).astype(np.uint8)
    return found


def _before(wave: Lines, distinct: _Distinct, chosen: Array) -> Array:
    """Masks of the sectors that earlier ones of the chosen accesses have touched, at each access."""
    found = np.zeros(len(wave.line), np.uint8)
    first = np.empty(len(distinct.numbers), np.int64)
    for bit in range(SECTORS_PER_LINE):
        has = np.flatnonzero(chosen & (wave.sectors >> bit & 1).astype(bool))
        lines = distinct.at[has]
        # Of assignments to one place the last one stays.
        first[lines[::-1]] = has[::-1]
        found[has[first[lines] < has]] |= np.uint8(1 << bit)
    return found


def _share(part: Column, whole: Column) -> Column:
    found: Column = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return found
