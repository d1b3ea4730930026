"""The stream of accesses of the watched CTAs, put in the order of a wave and sent through the caches.

CTAs of a wave run in step: the k-th memory instruction of all of them comes before the (k+1)-th of any, warps and CTAs
in order within one. CTA i runs on SM i mod SMs. Both are approximations: real CTAs drift apart and SMs take the next
one when they are done with one. Loads look in their SM's L1; stores go through it and change a line that is there;
atomics, loads of other SMs' data (`.cg`, `volatile`, `relaxed`, `acquire`), `cp.async.cg` and bulk copies go past it.
All that misses goes to one L2, whose partitions are ignored, and what misses there to DRAM, sector by sector.

Long streams are sampled: the lines of fewer and fewer of the caches' groups are followed, and what they do is scaled to
all sectors of the same instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import COUNT, GROUPS, SECTORS_PER_LINE, Cache, group_of
from backends.emulator.counters.sizes import CacheSizes

Array = NDArray[Any]
# Local memory lies beyond what global memory can have.
_LOCAL_SECTORS = 1 << 45
LIMIT_LINES = 1 << 18
"""Accesses to lines that are kept of one wave."""
PAST_L1 = frozenset(["cg", "cv", "volatile", "relaxed", "acquire", "mmio"])
CACHE_COLUMNS = (
    "l1_sectors", "l1_load_hits", "l1_store_hits", "l2_read_sectors", "l2_read_hits", "l2_write_sectors",
    "l2_write_hits", "l2_atomic_sectors", "l2_atomic_hits", "dram_read_sectors",
)  # fmt: skip
LOAD, STORE, ATOMIC = range(3)
KINDS = {"load": LOAD, "store": STORE, "atomic": ATOMIC}
_LINE_SHIFT = SECTORS_PER_LINE.bit_length() - 1
_NAMES = ("read", "write", "atomic")


@dataclass(frozen=True, eq=False)
class _Chunk:
    """One instruction of one front: accesses of its requests to one line each. `sectors` are masks of four bits."""

    step: int
    site: int
    kind: int
    uses_l1: bool
    lines: Array
    sectors: Array
    ctas: Array

    def of_groups(self, groups: int) -> _Chunk:
        """The part in the first so many groups."""
        chosen = np.flatnonzero(group_of(self.lines) < groups)
        return replace(self, lines=self.lines[chosen], sectors=self.sectors[chosen], ctas=self.ctas[chosen])


class Stream:
    """Collects accesses, and counts hits by instruction in `columns`, each (instructions,)."""

    def __init__(self, opcodes: Sequence[tuple[str, ...]], sizes: CacheSizes, limit: int = LIMIT_LINES) -> None:
        self.past_l1 = [bool(PAST_L1.intersection(parts)) for parts in opcodes]
        self.columns = {name: np.zeros(len(opcodes)) for name in CACHE_COLUMNS}
        self.sizes = sizes
        self.limit = limit
        self.groups = GROUPS
        self.written_back = 0.0
        self._l1 = Cache(sizes.l1_bytes, sizes.sm_count, allocates_writes=False)
        self._l2 = Cache(sizes.l2_bytes, 1, allocates_writes=True)
        self._chunks: list[_Chunk] = []
        self._kept = 0
        self._ctas = 0
        self._sectors = np.zeros((len(KINDS), len(opcodes)))

    @property
    def is_sampled(self) -> bool:
        """Whether some lines were left out."""
        return self.groups < GROUPS

    @property
    def dirty_sectors(self) -> float:
        """Sectors that the L2 still has to write back."""
        return self._l2.dirty_sectors(self.groups) * GROUPS / self.groups

    def add(self, site: int, step: int, space: str, kind: str, sectors: Array, ctas: Array, requests: Array) -> None:
        """One instruction: sector numbers, the CTA and the request (any number) of each; `step` counts in its batch."""
        if not len(sectors):
            return
        is_lsu = space != "tma" and kind != "atomic"
        self._sectors[KINDS[kind], site] += len(sectors)
        self.columns["l1_sectors"][site] += len(sectors) * is_lsu
        numbers = sectors + _LOCAL_SECTORS if space == "local" else sectors
        if self.is_sampled:
            chosen = np.flatnonzero(group_of(numbers >> _LINE_SHIFT) < self.groups)
            numbers, ctas, requests = numbers[chosen], ctas[chosen], requests[chosen]
        if len(numbers):
            lines, masks, first = _by_line(numbers, requests)
            uses_l1 = is_lsu and not self.past_l1[site]
            self._keep(_Chunk(step, site, KINDS[kind], uses_l1, lines, masks, ctas[first]))

    def _keep(self, chunk: _Chunk) -> None:
        self._chunks.append(chunk)
        self._kept += len(chunk.lines)
        while self._kept > self.limit and self.groups > 1:
            self.groups //= 2
            self._chunks = [chunk.of_groups(self.groups) for chunk in self._chunks]
            self._kept = sum(len(chunk.lines) for chunk in self._chunks)
        if self._kept > self.limit:
            self.flush()

    def end_batch(self, ctas: int) -> None:
        """A batch has ended; a full wave goes through the caches."""
        self._ctas += ctas
        if self._ctas >= self.sizes.wave_ctas:
            self.flush()

    def flush(self) -> None:
        """Send what was kept through the caches."""
        chunks = sorted(self._chunks, key=lambda chunk: chunk.step)
        sectors = self._sectors
        self._chunks, self._kept, self._ctas, self._sectors = [], 0, 0, np.zeros_like(sectors)
        if chunks:
            self._simulate(_Lines.of(chunks), sectors)

    def _simulate(self, a: _Lines, sectors: Array) -> None:
        """`sectors` (kinds, instructions): all of this wave, of which `a` may be a sample."""
        scale = self._scale(a, sectors)
        hits = np.zeros(len(a.lines), np.uint8)
        near = np.flatnonzero(a.uses_l1)
        sm = a.ctas[near] % self.sizes.sm_count
        hits[near] = self._l1.access(a.lines[near], a.sectors[near], a.kind[near] == STORE, sm)
        self._count("l1_load_hits", a.sites, hits, a.kind == LOAD, scale[LOAD])
        self._count("l1_store_hits", a.sites, hits, a.kind == STORE, scale[STORE])
        wanted = np.where(a.kind == LOAD, a.sectors & ~hits, a.sectors)
        onward = np.flatnonzero(wanted)
        sites, wanted, kind = a.sites[onward], wanted[onward], a.kind[onward]
        before = self._l2.written_back
        found = self._l2.access(a.lines[onward], wanted, kind != LOAD)
        self.written_back += (self._l2.written_back - before) * GROUPS / self.groups
        for number, name in enumerate(_NAMES):
            self._count(f"l2_{name}_sectors", sites, wanted, kind == number, scale[number])
            self._count(f"l2_{name}_hits", sites, found, kind == number, scale[number])
            if number != STORE:
                self._count("dram_read_sectors", sites, wanted & ~found, kind == number, scale[number])

    def _scale(self, a: _Lines, sectors: Array) -> Array:
        """All sectors over those in the sample, (kinds, instructions); what has none there is taken to miss always."""
        width = sectors.shape[1]
        taken = np.bincount(a.kind * width + a.sites, COUNT[a.sectors], sectors.size).reshape(sectors.shape)
        lost = np.where(taken == 0, sectors, 0)
        for number, name in enumerate(_NAMES):
            self.columns[f"l2_{name}_sectors"] += lost[number]
            self.columns["dram_read_sectors"] += lost[number] * (number != STORE)
        scale: Array = np.divide(sectors, taken, out=np.zeros_like(sectors), where=taken > 0)
        return scale

    def _count(self, name: str, sites: Array, sectors: Array, chosen: Array, scale: Array) -> None:
        column = self.columns[name]
        column += scale * np.bincount(sites[chosen], COUNT[sectors[chosen]], len(column))


def _by_line(sectors: Array, requests: Array) -> tuple[Array, Array, Array]:
    """Sectors, those of a request together, by line: (lines, masks of sectors, index of the first sector of each)."""
    lines = sectors >> _LINE_SHIFT
    is_new = np.ones(len(lines), np.bool_)
    is_new[1:] = (lines[1:] != lines[:-1]) | (requests[1:] != requests[:-1])
    first = np.flatnonzero(is_new)
    bits = np.left_shift(np.uint8(1), (sectors & (SECTORS_PER_LINE - 1)).astype(np.uint8))
    return lines[first], np.bitwise_or.reduceat(bits, first), first


@dataclass(frozen=True, eq=False)
class _Lines:
    """Accesses in order; all arrays (n,)."""

    lines: Array
    sectors: Array
    ctas: Array
    sites: Array
    kind: Array
    uses_l1: Array

    @staticmethod
    def of(chunks: Sequence[_Chunk]) -> _Lines:
        lengths = [len(c.lines) for c in chunks]

        def spread(values: list[Any]) -> Array:
            return np.repeat(np.array(values), lengths)

        return _Lines(
            np.concatenate([c.lines for c in chunks]), np.concatenate([c.sectors for c in chunks]),
            np.concatenate([c.ctas for c in chunks]), spread([c.site for c in chunks]),
            spread([c.kind for c in chunks]), spread([c.uses_l1 for c in chunks]),
        )  # fmt: skip
