"""What the text of an instruction does not say: what its accesses cost, its barrier, its matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SECTOR_BYTES = 32


@dataclass(frozen=True)
class MemoryCost:
    """One execution of a memory instruction by a warp, on average.

    wavefronts: passes through the data stage, one a cycle (128 bytes of shared memory or of an L1 line).
    sectors: distinct 32-byte ones of a global access. tag_passes: of its lines through the tags of the L1; None is
    estimated from the sectors. l1_hit_share, l2_hit_share: share of the sectors that L1 has, and of the others that
    L2 has; l2_near_share: of those, the share that the SM's own partition of the L2 has.
    bytes: what lanes ask for, or a bulk copy moves. executed_share: share of the executions in which any lane takes
    part; the averages are over all executions.
    """

    space: str
    kind: str
    bytes_per_lane: int = 4
    wavefronts: float = 1.0
    sectors: float = 0.0
    l1_hit_share: float = 0.0
    l2_hit_share: float = 1.0
    bytes: float = 0.0
    tag_passes: float | None = None
    executed_share: float = 1.0
    l2_near_share: float = 1.0

    @property
    def partial_sectors(self) -> float:
        """Sectors of which an execution accesses a part, as far as `bytes` (that its lanes ask for) tells.

        None where the bytes fill the sectors, all where they fill half of them or less, and between the two as where
        whole sectors lie between two halves.

        >>> [round(MemoryCost("global", "store", sectors=n, bytes=128).partial_sectors, 9) for n in (4, 5, 8, 32)]
        [0.0, 2.0, 8.0, 32.0]
        """
        if not (self.bytes and self.sectors):
            return 0.0
        empty = max(0.0, 1.0 - self.bytes / (SECTOR_BYTES * self.sectors))
        return self.sectors * min(1.0, 2.0 * empty)


@dataclass(frozen=True)
class BarrierUse:
    """The mbarrier that an instruction arrives at, completes or waits for, as the place of a sequence.

    The i-th execution by a warp concerns completion number i + offset of the barriers called `name`, whatever ring of
    slots they are kept in: a producer that waits for a free slot of a ring of n has an offset of -n. A completion needs
    `arrivals`: every execution of an arrival by a warp counts, whether or not a lane takes part, and so does every bulk
    copy and commit that names the barrier. Completions of a negative number are there from the start.

    site: instructions of the same site count their executions together, others each for itself. order, jump: the i-th
    execution concerns completion offset + order[i % len(order)] + jump * (i // len(order)). offsets: of the warps that
    take part, in place of `offset`; others execute it in vain. None for all. retries: the instruction asks again what
    another of its site has asked, and counts for nothing.
    """

    name: str
    arrivals: int = 1
    offset: int = 0
    site: str = ""
    order: tuple[int, ...] = (0,)
    jump: int = 1
    offsets: Mapping[int, int] | None = None
    retries: bool = False

    def takes_part(self, warp: int) -> bool:
        """Whether executions by a warp, by its number in the CTA, count."""
        return not self.retries and (self.offsets is None or warp in self.offsets)

    def completion(self, warp: int, use: int) -> int:
        """The completion that concerns a warp that takes part in its execution number `use`, from 0.

        >>> two_copies = BarrierUse("full", 3, order=(0, 0), offsets={4: 1})
        >>> [two_copies.completion(4, use) for use in range(4)]
        [1, 1, 2, 2]
        """
        turns, place = divmod(use, len(self.order))
        offset = self.offset if self.offsets is None else self.offsets[warp]
        return offset + self.order[place] + self.jump * turns


@dataclass(frozen=True)
class TensorShape:
    """Size of a matrix instruction whose text does not say it. cta_group: CTAs that work on it together."""

    m: int
    n: int
    cta_group: int = 1
