"""Global memory: one range of virtual addresses, allocations with guard bands, and the bounds check of an access."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.spaces import GLOBAL_BASE

# Pages are committed when they are first touched, so a reservation costs nothing; a system that counts it against its
# memory all the same gets a smaller one.
RESERVATIONS_BYTES = (1 << 37, 1 << 34, 1 << 31)
# Python names it from 3.13 on; the value is that of Linux.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
GUARD_BYTES = 4096
# As those of cudaMalloc: large buffers begin at a page of 2 MiB, which says in what banks and sets their lines lie.
ALIGNMENT_BYTES, PAGE_BYTES, LARGE_BYTES = 512, 1 << 21, 1 << 20
# Memory starts as this byte: a NaN in every floating-point format, so that what was never written is seen in a result.
POISON = 0xFF
UNIT_TYPES = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64, 16: np.complex128}


@dataclass(frozen=True)
class Allocation:
    """`nbytes` of global memory from `address` on; `label` is what reports call it."""

    address: int
    nbytes: int
    label: str
    read_only: bool = False


def _reserved() -> mmap.mmap:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    for nbytes in RESERVATIONS_BYTES[:-1]:
        with suppress(OSError):
            return mmap.mmap(-1, nbytes, flags=flags)
    return mmap.mmap(-1, RESERVATIONS_BYTES[-1], flags=flags)


class Arena:
    """Allocates, finds and checks; `units[k]` is the whole range as an array of k-byte elements.

    Addresses are generic addresses (`GLOBAL_BASE` + offset). 16-byte elements are complex128: NumPy's only type of
    that width that `take` moves without an object loop.
    """

    def __init__(self, capacity_bytes: int = RESERVATIONS_BYTES[0]) -> None:
        self._map = _reserved()
        self.capacity_bytes = min(capacity_bytes, len(self._map))
        self.used_bytes = 0
        data = np.frombuffer(self._map, np.uint8)
        self.units: dict[int, NDArray[Any]] = {size: data.view(dtype) for size, dtype in UNIT_TYPES.items()}
        self._next = GUARD_BYTES
        self._allocations: list[Allocation] = []
        self._starts: list[int] = []
        self._ends: NDArray[np.int64] = np.zeros(0, np.int64)
        self._starts_array: NDArray[np.int64] = np.zeros(0, np.int64)

    def allocate(self, nbytes: int, label: str = "buffer", poison: bool = True, read_only: bool = False) -> Allocation:
        """Reserve `nbytes`, filled with the poison byte; raises MemoryError beyond the device's capacity."""
        if self.used_bytes + nbytes > self.capacity_bytes:
            raise MemoryError(
                f"{nbytes} bytes wanted, {self.capacity_bytes - self.used_bytes} of {self.capacity_bytes} free"
            )
        alignment_bytes = ALIGNMENT_BYTES if nbytes < LARGE_BYTES else PAGE_BYTES
        start = -(-self._next // alignment_bytes) * alignment_bytes
        if start + nbytes + GUARD_BYTES > len(self._map):
            raise MemoryError(f"{nbytes} bytes wanted, the device's {len(self._map)} bytes of addresses are used up")
        self._next = start + nbytes + GUARD_BYTES
        allocation = Allocation(GLOBAL_BASE + start, nbytes, label, read_only)
        self.used_bytes += nbytes
        self._allocations.append(allocation)
        self._index()
        if poison and nbytes:
            self.units[1][start : start + nbytes] = POISON
        return allocation

    def free(self, allocation: Allocation) -> None:
        """Give an allocation back; later accesses to it are out of bounds, for its addresses are never reused."""
        self._allocations.remove(allocation)
        self.used_bytes -= allocation.nbytes
        start = allocation.address - GLOBAL_BASE
        first, last = -(-start // mmap.PAGESIZE), (start + allocation.nbytes) // mmap.PAGESIZE
        if last > first:
            self._map.madvise(mmap.MADV_DONTNEED, first * mmap.PAGESIZE, (last - first) * mmap.PAGESIZE)
        self._index()

    def bytes(self, address: int, nbytes: int) -> NDArray[np.uint8]:
        """The memory itself, shape (nbytes,)."""
        start = address - GLOBAL_BASE
        return self.units[1][start : start + nbytes]

    def extent(self) -> tuple[int, int]:
        """First and end offset of all that is allocated; (0, 0) for nothing."""
        return (self._starts[0], int(self._ends[-1])) if self._starts else (0, 0)

    def find(self, address: int) -> Allocation | None:
        """The allocation that holds `address`, or None."""
        index = bisect_right(self._starts, address - GLOBAL_BASE) - 1
        if index < 0:
            return None
        allocation = self._allocations[index]
        return allocation if address < allocation.address + allocation.nbytes else None

    def nearest(self, address: int) -> Allocation | None:
        """The allocation whose ends are nearest to `address`."""

        def distance(a: Allocation) -> int:
            return max(a.address - address, address - (a.address + a.nbytes), 0)

        return min(self._allocations, key=distance, default=None)

    def within(self, low: int, high: int) -> bool:
        """Whether offsets low..high (exclusive) lie in one allocation: the fast path of the check."""
        index = bisect_right(self._starts, low) - 1
        return index >= 0 and high <= self._ends[index]

    def outside(self, offsets: NDArray[np.int64], nbytes: int) -> NDArray[np.bool_]:
        """Which accesses of `nbytes` at these offsets from `GLOBAL_BASE` lie in no allocation."""
        if not self._starts:
            return np.ones(offsets.shape, np.bool_)
        index = np.searchsorted(self._starts_array, offsets, "right") - 1
        return (index < 0) | (offsets > self._ends[np.maximum(index, 0)] - nbytes)

    def ranges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and end of every allocation, as offsets from `GLOBAL_BASE`, ascending."""
        return self._starts_array, self._ends

    def _index(self) -> None:
        self._starts = [a.address - GLOBAL_BASE for a in self._allocations]
        self._starts_array = np.array(self._starts, np.int64)
        self._ends = np.array([a.address - GLOBAL_BASE + a.nbytes for a in self._allocations], np.int64)
