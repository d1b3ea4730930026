"""The state spaces of a batch: each turns addresses of a front into checked flat offsets of one backing array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from backends.emulator.arena import UNIT_TYPES, Allocation, Arena
from backends.emulator.fronts import Front, Mask
from backends.emulator.spaces import (
    CLUSTER_RANK_SHIFT,
    GLOBAL_BASE,
    LOCAL_BASE,
    SHARED_BASE,
    SHARED_OFFSET_MASK,
    WARP_LANES,
)

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Flat = NDArray[np.int64]
Units = dict[int, NDArray[np.generic]]


class Space(Protocol):
    """A state space. `units[k]` is all of it as k-byte elements; `base` is its window in the generic space."""

    name: str
    units: Units

    def flat(self, front: Front, address: NDArray[np.generic], offset: int, nbytes: int, active: Mask | None) -> Flat:
        """Byte offset in `units[1]` of each lane's access of `nbytes` at `address + offset`, shape (n, 32).

        Lanes that are not active get the offset of one that is. Raises LaunchFault for an access out of bounds or
        not aligned to `nbytes`.
        """


def _filled(flat: Flat, active: Mask | None) -> Flat:
    """Give lanes that take no part the address of one that does, so that they cannot fault."""
    if active is None:
        return flat
    return np.where(active, flat, flat[np.unravel_index(active.argmax(), active.shape)])


def _active(bad: Mask, active: Mask | None) -> Mask:
    """The lanes that take part and are bad: others have been given the address of one of them."""
    return bad if active is None else bad & active


def _widened(address: NDArray[np.generic]) -> Flat:
    return address.view(np.int64) if address.dtype.itemsize == 8 else address.astype(np.int64)


class GlobalSpace:
    """Global memory, constants and parameters: the arena."""

    name = "global"

    def __init__(self, batch: Batch, arena: Arena) -> None:
        self.batch = batch
        self.arena = arena
        self.units: Units = arena.units

    def flat(self, front: Front, address: NDArray[np.generic], offset: int, nbytes: int, active: Mask | None) -> Flat:
        """See `Space.flat`."""
        flat = _filled(_widened(np.broadcast_to(address, (front.n, WARP_LANES))) + (offset - GLOBAL_BASE), active)
        if not self.arena.within(int(flat.min()), int(flat.max()) + nbytes):
            outside = self.arena.outside(flat, nbytes)
            if outside.any():
                self._fault(front, flat, _active(outside, active), nbytes)
        if nbytes > 1 and (np.bitwise_or.reduce(flat, axis=None) & (nbytes - 1)):
            self.batch.fault_misaligned(front, self.name, flat + GLOBAL_BASE, nbytes, active)
        return flat

    def _fault(self, front: Front, flat: Flat, outside: Mask, nbytes: int) -> None:
        lane = np.unravel_index(outside.argmax(), outside.shape)
        address = int(flat[lane]) + GLOBAL_BASE
        message = f"{nbytes} bytes at {address:#x} are in no buffer{_nearest(self.arena.nearest(address), address)}"
        raise self.batch.fault("out-of-bounds", message, front, lane, int(outside.sum()))


def _nearest(allocation: Allocation | None, address: int) -> str:
    if allocation is None:
        return ""
    end = allocation.address + allocation.nbytes
    side = (
        f"{allocation.address - address} bytes before"
        if address < allocation.address
        else f"{address - end} bytes after"
    )
    side = side if address >= end or address < allocation.address else "across the end of"
    return f"; that is {side} `{allocation.label}` of {allocation.nbytes} bytes"


class SharedSpace:
    """Shared memory of the batch's CTAs, shape (CTAs, bytes); addresses may name another CTA of the cluster."""

    name = "shared"

    def __init__(self, batch: Batch, nbytes: int, stride_bytes: int) -> None:
        self.batch = batch
        self.nbytes = nbytes
        self.stride_bytes = stride_bytes
        self.has_windows = batch.geometry.cluster_ctas > 1 and batch.program.uses_clusters
        data = np.zeros(batch.ctas * stride_bytes, np.uint8)
        self.units: Units = {size: data.view(dtype) for size, dtype in UNIT_TYPES.items()}

    def of_cta(self, cta: int) -> NDArray[np.uint8]:
        """Shared memory of one CTA of the batch, shape (bytes,)."""
        start = cta * self.stride_bytes
        return self.units[1][start : start + self.nbytes]  # type: ignore[return-value]

    def flat(self, front: Front, address: NDArray[np.generic], offset: int, nbytes: int, active: Mask | None) -> Flat:
        """See `Space.flat`."""
        local = _widened(np.broadcast_to(address, (front.n, WARP_LANES))) + offset
        if address.dtype.itemsize == 8:
            local = np.where(local >= SHARED_BASE, local - SHARED_BASE, local)
        local = _filled(local, active)
        low, high = int(local.min()), int(local.max())
        start = self.batch.cta_of(front)[:, None] * self.stride_bytes
        if self.has_windows or (self.batch.program.uses_clusters and high >> CLUSTER_RANK_SHIFT):
            start = self.batch.cluster_start(front, local, self.stride_bytes)
            local = local & SHARED_OFFSET_MASK
            high = int(local.max())
        if low < 0 or high + nbytes > self.nbytes:
            outside = _active((local < 0) | (local > self.nbytes - nbytes), active)
            lane = np.unravel_index(outside.argmax(), outside.shape)
            message = f"{nbytes} bytes at shared address {int(local[lane]):#x}, the CTA has {self.nbytes} bytes"
            raise self.batch.fault("out-of-bounds", message, front, lane, int(outside.sum()))
        if nbytes > 1 and (np.bitwise_or.reduce(local, axis=None) & (nbytes - 1)):
            self.batch.fault_misaligned(front, self.name, local, nbytes, active)
        return local + start


class LocalSpace:
    """Each thread's own memory, shape (instances, 32, bytes)."""

    name = "local"

    def __init__(self, batch: Batch, nbytes: int) -> None:
        self.batch = batch
        self.nbytes = -(-nbytes // 16) * 16
        data = np.zeros(batch.instances * WARP_LANES * self.nbytes, np.uint8)
        self.units: Units = {size: data.view(dtype) for size, dtype in UNIT_TYPES.items()}

    def flat(self, front: Front, address: NDArray[np.generic], offset: int, nbytes: int, active: Mask | None) -> Flat:
        """See `Space.flat`."""
        local = _widened(np.broadcast_to(address, (front.n, WARP_LANES))) + offset
        local = _filled(np.where(local >= LOCAL_BASE, local - LOCAL_BASE, local), active)
        outside = _active((local < 0) | (local > self.nbytes - nbytes), active)
        if outside.any():
            lane = np.unravel_index(outside.argmax(), outside.shape)
            message = f"{nbytes} bytes at local address {int(local[lane]):#x}, a thread has {self.nbytes} bytes"
            raise self.batch.fault("out-of-bounds", message, front, lane, int(outside.sum()))
        if np.bitwise_or.reduce(local, axis=None) & (nbytes - 1):
            self.batch.fault_misaligned(front, self.name, local, nbytes, active)
        lane_index = front.indices()[:, None] * WARP_LANES + np.arange(WARP_LANES)
        return local + lane_index * self.nbytes
