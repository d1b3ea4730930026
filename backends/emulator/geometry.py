"""Grid, cluster and CTA: the values of the special registers, and positions for reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.spaces import CLUSTER_RANK_SHIFT, WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch
    from backends.emulator.fronts import Front

Extent = tuple[int, int, int]
# What `%nsmid` says. No machine's number: a kernel's result may not depend on where its CTAs run.
MULTIPROCESSORS = 128


@dataclass(frozen=True)
class Geometry:
    """A launch's grid in CTAs, CTA in threads, and cluster in CTAs, each along x, y, z.

    `workspace`: address of the memory by which the CTAs of a cooperative launch wait for each other, else 0.
    """

    grid: Extent
    block: Extent
    cluster: Extent = (1, 1, 1)
    shared_bytes: int = 0
    dynamic_shared_bytes: int = 0
    workspace: int = 0

    @property
    def threads(self) -> int:
        """Threads of a CTA."""
        return prod(self.block)

    @property
    def cluster_ctas(self) -> int:
        """CTAs of a cluster."""
        return prod(self.cluster)

    @property
    def ctas(self) -> int:
        """CTAs of the grid."""
        return prod(self.grid)

    def cta_position(self, number: int) -> Extent:
        """(x, y, z) of a CTA from its linear index."""
        return _position(number, self.grid)

    def thread_position(self, number: int) -> Extent:
        """(x, y, z) of a thread in its CTA."""
        return _position(number, self.block)

    def cluster_cta(self, batch: Batch, front: Front, address: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index in the batch of the CTA that each shared::cluster address names, shape (n, 32).

        A batch holds whole clusters whose CTAs follow one another in rank order.
        """
        own = batch.cta_of(front)[:, None]
        rank = address >> CLUSTER_RANK_SHIFT
        size = prod(self.cluster)
        bad = (rank < 0) | (rank >= size)
        if bad.any():
            lane = np.unravel_index(bad.argmax(), bad.shape)
            raise batch.fault("bad-cluster-address", f"rank {int(rank[lane])} in a cluster of {size}", front, lane)
        return own // size * size + rank

    def cluster_order(self) -> NDArray[np.int64]:
        """Linear indices of all CTAs, those of a cluster next to each other in rank order."""
        size, (nx, ny, _) = prod(self.cluster), self.grid
        if size == 1:
            return np.arange(self.ctas)
        number = np.arange(self.ctas)
        x, y, z = number % nx, number // nx % ny, number // (nx * ny)
        cx, cy, cz = self.cluster
        cluster = x // cx + nx // cx * (y // cy + ny // cy * (z // cz))
        rank = x % cx + cx * (y % cy + cy * (z % cz))
        return np.argsort(cluster * size + rank, kind="stable")

    def specials(self, batch: Batch, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """Values of the special registers that a kernel reads, each shape (instances, 32) or broadcastable to it."""
        return {name: self._special(batch, name) for name in names}

    def _special(self, batch: Batch, name: str) -> NDArray[Any]:
        base, _, axis = name.partition(".")
        thread = batch.thread_of
        cta = np.tile(batch.numbers, batch.warps_per_cta)[:, None]
        index = "xyz".find(axis) if axis else 0
        values: dict[str, Callable[[], Any]] = {
            "%tid": lambda: _coordinate(thread, self.block, index),
            "%ntid": lambda: self.block[index],
            "%ctaid": lambda: _coordinate(cta, self.grid, index),
            "%nctaid": lambda: self.grid[index],
            "%laneid": lambda: thread % WARP_LANES,
            "%warpid": lambda: thread // WARP_LANES,
            "%nwarpid": lambda: batch.warps_per_cta,
            "%smid": lambda: cta % MULTIPROCESSORS,
            "%nsmid": lambda: MULTIPROCESSORS,
            "%gridid": lambda: 0,
            "%lanemask_eq": lambda: 1 << (thread % WARP_LANES),
            "%lanemask_le": lambda: (2 << (thread % WARP_LANES)) - 1,
            "%lanemask_lt": lambda: (1 << (thread % WARP_LANES)) - 1,
            "%lanemask_ge": lambda: 0x1_0000_0000 - (1 << (thread % WARP_LANES)),
            "%lanemask_gt": lambda: 0x1_0000_0000 - (2 << (thread % WARP_LANES)),
            "%dynamic_smem_size": lambda: self.dynamic_shared_bytes,
            "%total_smem_size": lambda: self.shared_bytes,
            "%is_explicit_cluster": lambda: int(prod(self.cluster) > 1),
            "%clusterid": lambda: _coordinate(cta, self.grid, index) // self.cluster[index],
            "%nclusterid": lambda: self.grid[index] // self.cluster[index],
            "%cluster_ctaid": lambda: _coordinate(cta, self.grid, index) % self.cluster[index],
            "%cluster_nctaid": lambda: self.cluster[index],
            "%cluster_ctarank": lambda: np.arange(batch.instances)[:, None] % batch.ctas % prod(self.cluster),
            "%cluster_nctarank": lambda: prod(self.cluster),
            # Where cooperative_groups looks for the workspace: cooperative_groups/details/driver_abi.h of CUDA.
            "%envreg1": lambda: self.workspace >> 32,
            "%envreg2": lambda: self.workspace & 0xFFFF_FFFF,
        }
        reader = values.get(base)
        # Clocks are read anew by each instruction.
        return np.zeros(1, np.int64) if reader is None else np.asarray(reader(), np.int64)


def is_known(name: str) -> bool:
    """Whether the device has a special register: those of `Geometry`, and no performance counters (`%pm0`)."""
    return name.partition(".")[0] in _KNOWN


def _position(number: int, extent: Extent) -> Extent:
    x, y, _ = extent
    return number % x, number // x % y, number // (x * y)


def _coordinate(number: NDArray[Any], extent: Extent, axis: int) -> NDArray[Any]:
    return number // prod(extent[:axis]) % extent[axis]


_KNOWN = frozenset({
    "%tid", "%ntid", "%ctaid", "%nctaid", "%laneid", "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid",
    "%lanemask_eq", "%lanemask_le", "%lanemask_lt", "%lanemask_ge", "%lanemask_gt", "%dynamic_smem_size",
    "%total_smem_size", "%is_explicit_cluster", "%clusterid", "%nclusterid", "%cluster_ctaid", "%cluster_nctaid",
    "%cluster_ctarank", "%cluster_nctarank", "%envreg1", "%envreg2",
})  # fmt: skip
