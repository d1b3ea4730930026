"""The stream of accesses of the watched CTAs, put in the order of a wave and sent through the caches.

CTAs of a wave run in step: the k-th memory instruction of all of them comes before the (k+1)-th of any, warps and CTAs
in order within one. CTA i runs on SM i mod SMs. Both are approximations: real CTAs drift apart and SMs take the next
one when they are done with one. Loads look in their SM's L1; stores go through it and change a line that is there;
atomics, loads of other SMs' data (`.cg`, `volatile`, `relaxed`, `acquire`), `cp.async.cg` and bulk copies go past it.
All that misses goes to one L2, whose partitions are ignored, and what misses there to DRAM, sector by sector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import COUNT, SECTORS_PER_LINE, Cache
from backends.emulator.counters.sizes import CacheSizes

Array = NDArray[Any]
# Local memory lies beyond what global memory can have.
_LOCAL_SECTORS = 1 << 45
# So many sectors are kept before they are sent through the caches, wave or not.
_LIMIT_SECTORS = 1 << 22
_PAST_L1 = frozenset(["cg", "cv", "volatile", "relaxed", "acquire", "mmio"])
CACHE_COLUMNS = (
    "l1_sectors", "l1_load_hits", "l1_store_hits", "l2_read_sectors", "l2_read_hits", "l2_write_sectors",
    "l2_write_hits", "l2_atomic_sectors", "l2_atomic_hits", "dram_read_sectors",
)  # fmt: skip
_OPERATIONS = {"load": 0, "store": 1, "atomic": 2}
_NAMES = ("read", "write", "atomic")


@dataclass(frozen=True, eq=False)
class _Chunk:
    """One instruction of one front."""

    step: int
    site: int
    operation: int
    is_lsu: bool
    uses_l1: bool
    sectors: Array
    ctas: Array
    requests: Array


class Stream:
    """Collects accesses, and counts hits by instruction in `columns`, each (instructions,)."""

    def __init__(self, opcodes: Sequence[tuple[str, ...]], sizes: CacheSizes) -> None:
        self.past_l1 = [bool(_PAST_L1.intersection(parts)) for parts in opcodes]
        self.columns = {name: np.zeros(len(opcodes)) for name in CACHE_COLUMNS}
        self.sizes = sizes
        self.l1 = Cache(sizes.l1_bytes, sizes.sm_count, allocates_writes=False)
        self.l2 = Cache(sizes.l2_bytes, 1, allocates_writes=True)
        self._chunks: list[_Chunk] = []
        self._kept = 0
        self._ctas = 0

    def add(self, site: int, step: int, space: str, kind: str, sectors: Array, ctas: Array, requests: Array) -> None:
        """One instruction: sector numbers, the CTA and the request (any number) of each; `step` counts in its batch."""
        if not len(sectors):
            return
        operation = _OPERATIONS[kind]
        is_lsu = space != "tma" and operation != _OPERATIONS["atomic"]
        numbers = sectors + _LOCAL_SECTORS if space == "local" else sectors
        self._chunks.append(
            _Chunk(step, site, operation, is_lsu, is_lsu and not self.past_l1[site], numbers, ctas, requests)
        )
        self._kept += len(sectors)

    def end_batch(self, ctas: int) -> None:
        """A batch has ended; a full wave goes through the caches."""
        self._ctas += ctas
        if self._ctas >= self.sizes.wave_ctas or self._kept > _LIMIT_SECTORS:
            self.flush()

    def flush(self) -> None:
        """Send what was kept through the caches."""
        chunks = sorted(self._chunks, key=lambda chunk: chunk.step)
        self._chunks, self._kept, self._ctas = [], 0, 0
        if chunks:
            self._simulate(_Lines.of(chunks))

    def _simulate(self, a: _Lines) -> None:
        hits = np.zeros(len(a.lines), np.uint8)
        near = np.flatnonzero(a.uses_l1)
        hits[near] = self.l1.access(
            a.lines[near], a.sectors[near], a.operation[near] == 1, a.ctas[near] % self.sizes.sm_count
        )
        self._count("l1_sectors", a.sites, a.sectors, a.is_lsu)
        self._count("l1_load_hits", a.sites, hits, a.operation == 0)
        self._count("l1_store_hits", a.sites, hits, a.operation == 1)
        wanted = np.where(a.operation == 0, a.sectors & ~hits, a.sectors)
        onward = np.flatnonzero(wanted)
        sites, wanted, operation = a.sites[onward], wanted[onward], a.operation[onward]
        found = self.l2.access(a.lines[onward], wanted, operation > 0)
        for number, name in enumerate(_NAMES):
            self._count(f"l2_{name}_sectors", sites, wanted, operation == number)
            self._count(f"l2_{name}_hits", sites, found, operation == number)
        self._count("dram_read_sectors", sites, wanted & ~found, operation != 1)

    def _count(self, name: str, sites: Array, sectors: Array, chosen: Array) -> None:
        column = self.columns[name]
        column += np.bincount(sites[chosen], COUNT[sectors[chosen]], len(column))


@dataclass(frozen=True, eq=False)
class _Lines:
    """Accesses of one request to one line each, in order; all arrays (n,), `sectors` masks of four bits."""

    lines: Array
    sectors: Array
    sites: Array
    ctas: Array
    operation: Array
    is_lsu: Array
    uses_l1: Array

    @staticmethod
    def of(chunks: Sequence[_Chunk]) -> _Lines:
        numbers = np.concatenate([c.sectors for c in chunks])
        lengths = [len(c.sectors) for c in chunks]
        requests = np.concatenate([c.requests for c in chunks])
        chunk = np.repeat(np.arange(len(chunks)), lengths)
        lines = numbers // SECTORS_PER_LINE
        is_new = np.ones(len(lines), np.bool_)
        is_new[1:] = (lines[1:] != lines[:-1]) | (requests[1:] != requests[:-1]) | (chunk[1:] != chunk[:-1])
        first = np.flatnonzero(is_new)
        bits = np.left_shift(1, numbers % SECTORS_PER_LINE).astype(np.uint8)
        chunk = chunk[first]
        return _Lines(
            lines[first], np.bitwise_or.reduceat(bits, first), np.array([c.site for c in chunks])[chunk],
            np.concatenate([c.ctas for c in chunks])[first], np.array([c.operation for c in chunks])[chunk],
            np.array([c.is_lsu for c in chunks])[chunk], np.array([c.uses_l1 for c in chunks])[chunk],
        )  # fmt: skip
