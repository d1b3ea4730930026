"""What is known of a launch after counting: executions by warp, what accesses cost, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.findings import Site

Column = NDArray[np.float64]
_WORD_BYTES = 4
Extent = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class CtaClass:
    """CTAs of which each warp executes the same.

    weight: how many CTAs of the grid. example: the linear index of one of them. members: those that have run, at most
    a few hundred. block_counts: (warps, basic blocks of PTX); warps: the same by instruction, (warps, instructions).
    """

    weight: float
    example: int
    members: NDArray[np.int64]
    block_counts: NDArray[np.int64]
    warps: NDArray[np.int64]

    @property
    def warp_instructions(self) -> int:
        """Warp instructions that one of its CTAs executes."""
        return int(self.warps.sum())


@dataclass(frozen=True, eq=False)
class MemoryCounts:
    """Accesses of the whole grid by PTX instruction, each column of shape (instructions,).

    executions: by warps. requests: of them, those in which a lane took part. sectors: of 32 bytes, global and local
    memory and bulk copies. lines: the same sectors by request and 128-byte line. tag_passes: of these lines through
    the tags of the L1, which look up one line of each bank at once. global_wavefronts: passes of global accesses
    through the banks of the L1, which are those of shared memory. shared_requests, shared_wavefronts: the same of
    shared memory. bytes: that threads asked for, or that a bulk copy moved. copies: bulk copies. l1_hit_share: of
    the sectors that looked in the L1. l2_hit_share: of those that went on to the L2; l2_near_share: of those found
    there, in the SM's own partition. l2_sectors: sectors that reached the L2. busiest_line: of `lines`, for an atomic
    instruction, those that are one and the same line.
    """

    executions: Column
    requests: Column
    sectors: Column
    lines: Column
    tag_passes: Column
    global_wavefronts: Column
    shared_requests: Column
    shared_wavefronts: Column
    bytes: Column
    copies: Column
    l1_hit_share: Column
    l2_hit_share: Column
    l2_near_share: Column
    l2_sectors: Column
    busiest_line: Column

    def meetings(self) -> list[tuple[float, float]]:
        """Of each instruction of atomics, requests for its busiest line, and words of 4 bytes in each."""
        sites = np.flatnonzero(self.busiest_line > 0)
        return [(float(self.busiest_line[i]), float(self.bytes[i] / self.lines[i] / _WORD_BYTES)) for i in sites]

    def each(self, name: str, per: str = "executions") -> Column:
        """One column over another, 0 where that is 0: `each("sectors", "requests")`."""
        over: Column = getattr(self, per)
        found: Column = np.divide(getattr(self, name), over, out=np.zeros(len(over)), where=over > 0)
        return found


@dataclass(frozen=True, eq=False)
class KernelCounts:
    """Counts of one launch.

    grid in CTAs, block in threads, cluster in CTAs. block_starts: first PTX instruction of each basic block; sites: the
    instructions. classes: CTAs that behave alike, the largest first. memory: see there. dram_read_bytes,
    dram_write_bytes: of the whole grid. unique_bytes: of global memory that the grid touches. ran_ctas: how many CTAs
    were run. is_regular: the class of every CTA is known, by running it or by a rule that held for all CTAs on which
    it was tried. checks: what was tried, in words. assumed: PTX instructions that are branches of which only the data
    tells whether they are taken, and which are taken to be so.
    """

    grid: Extent
    ctas: int
    block: Extent
    cluster: Extent
    block_starts: tuple[int, ...]
    sites: tuple[Site, ...]
    classes: tuple[CtaClass, ...]
    memory: MemoryCounts
    dram_read_bytes: float
    dram_write_bytes: float
    unique_bytes: float
    wave_ctas: int
    ran_ctas: int
    is_regular: bool
    checks: tuple[str, ...] = ()
    assumed: tuple[int, ...] = ()

    @property
    def warp_instructions(self) -> float:
        """PTX warp instructions of the whole grid."""
        return sum(c.weight * c.warp_instructions for c in self.classes)

    @property
    def executions(self) -> Column:
        """Warps that execute each instruction, over the whole grid, (instructions,)."""
        total: Column = np.sum([c.weight * c.warps.sum(axis=0) for c in self.classes], axis=0, dtype=np.float64)
        return total
