"""Tensor memory of a batch: its cells, and the allocation of columns that a CTA asks for and gives back.

An address has its lane in bits 16-31 and its column in bits 0-15. Each CTA of the batch has a tensor memory of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.arena import POISON
from backends.emulator.fronts import PARKED, Front, Mask, part_of
from backends.emulator.tensor.tensor_memory import COLUMNS, LANES
from backends.findings import Finding

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
# PTX ISA, tcgen05.alloc: columns are allocated in units of 32, their number is a power of two.
_UNIT_COLUMNS = 32
_SIZES = (32, 64, 128, 256, 512)


@dataclass(frozen=True, eq=False)
class _Request:
    """Warps that wait for columns; `place`: where the address goes, `wanted`: columns of each warp."""

    front: Front
    site: int
    space: str
    place: Array
    wanted: Array


class TensorMemory:
    """`owner[cta, column]`: number of the allocation that holds a column, 0 where it is free."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.owner = np.zeros((batch.ctas, COLUMNS), np.int64)
        self._relinquished = np.zeros(batch.ctas, np.bool_)
        self._waiting: list[_Request] = []
        self._sites: dict[int, int] = {}

    @cached_property
    def cells(self) -> NDArray[np.uint32]:
        """The memory itself, shape (CTAs, 128 lanes, 512 columns); made when it is first used, and poisoned."""
        return np.full((self.batch.ctas, LANES, COLUMNS), POISON * 0x01010101, np.uint32)

    def alloc(self, front: Front, space: str, address: Any, offset: int, columns: Any, guard: Mask | None) -> Any:
        """`tcgen05.alloc`: each warp waits for its columns and stores their address; returns what a block does."""
        active = front.full_mask(guard)
        rows = whole_warps(self.batch, front, guard)
        if not len(rows):
            return None
        wanted = self._sizes_of(front, columns, rows)
        self._require_permit(front, rows)
        part = part_of(front, active, front.block + 1)
        assert part is not None
        place = np.broadcast_to(np.asarray(address) + np.asarray(address).dtype.type(offset), active.shape)[rows]
        self._note(front, "tcgen05.alloc", active)
        self._serve(_Request(part, self.batch.site, space, place, wanted))
        rest = part_of(front, front.full_mask() & ~active, front.block + 1)
        if rest is not None:
            self.batch.scheduler.push(rest)
        return PARKED

    def dealloc(self, front: Front, address: Any, columns: Any, guard: Mask | None) -> None:
        """`tcgen05.dealloc`: columns must be given back as they were allocated."""
        rows = whole_warps(self.batch, front, guard)
        if not len(rows):
            return
        starts = uniform(self.batch, front, address, rows)
        ctas = self.batch.cta_of(front)[rows]
        for row, cta, start, count in zip(rows, ctas, starts, self._sizes_of(front, columns, rows), strict=True):
            self._free(front, int(row), int(cta), int(start), int(count))
        self._note(front, "tcgen05.dealloc", front.full_mask(guard))
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._serve(request)

    def relinquish(self, front: Front, guard: Mask | None) -> None:
        """`tcgen05.relinquish_alloc_permit`: the CTA will not allocate again."""
        rows = whole_warps(self.batch, front, guard)
        self._relinquished[self.batch.cta_of(front)[rows]] = True

    def require(self, front: Front, row: int, ctas: Array, address: int, lanes: int, columns: int) -> tuple[int, int]:
        """(lane, column) of an address whose `lanes` x `columns` must be there and be allocated in all of `ctas`."""
        lane, column = address >> 16, address & 0xFFFF
        if lane + lanes > LANES or column + columns > COLUMNS:
            message = f"lanes {lane} to {lane + lanes - 1}, columns {column} to {column + columns - 1} of tensor memory"
            raise self.batch.fault("out-of-bounds", f"{message}, which has {LANES} x {COLUMNS}", front, (row, 0))
        if not self.owner[ctas, column : column + columns].all():
            message = f"columns {column} to {column + columns - 1} of tensor memory are not all allocated"
            raise self.batch.fault("unallocated-tensor-memory", message, front, (row, 0))
        return lane, column

    def waiting(self) -> list[str]:
        """Who waits for columns, for the report of a deadlock."""
        return [
            f"warps {sorted({int(i) // self.batch.ctas for i in r.front.indices()})} wait for"
            f" {int(r.wanted[0])} columns of tensor memory at {self.batch.program.site(r.site)}"
            for r in self._waiting
        ]

    def leak(self) -> Finding | None:
        """What a CTA still holds when all its threads have ended; the ISA demands that it is given back."""
        cta, column = (int(x[0]) if len(x) else -1 for x in np.nonzero(self.owner))
        if cta < 0:
            return None
        held = int(np.count_nonzero(self.owner[cta]))
        position = self.batch.geometry.cta_position(int(self.batch.numbers[cta]))
        message = f"CTA {position} ended with {held} columns of tensor memory that were not deallocated"
        return Finding(
            "tensor-memory-leak", message, self.batch.program.site(self._sites[int(self.owner[cta, column])])
        )

    def _serve(self, request: _Request) -> None:
        """Give every warp its columns that can have them; the others wait."""
        front = request.front
        ctas = self.batch.cta_of(front)
        served = np.array([self._take(int(c), int(n)) for c, n in zip(ctas, request.wanted, strict=True)])
        got = served >= 0
        lanes = front.full_mask()
        if got.any():
            on = part_of(front, lanes & got[:, None], front.block)
            assert on is not None
            self._deliver(on, request, got, served)
            self.batch.scheduler.push(on)
        rest = part_of(front, lanes & ~got[:, None], front.block)
        if rest is not None:
            waits = _Request(rest, request.site, request.space, request.place[~got], request.wanted[~got])
            self._waiting.append(waits)

    def _deliver(self, front: Front, request: _Request, got: Mask, columns: Array) -> None:
        """Store the addresses; one lane of each warp does it."""
        self.batch.site = request.site
        value = np.broadcast_to(columns[got].astype(np.uint32)[:, None], (front.n, 32))
        one = front.full_mask() & (np.arange(32) == 0)
        self.batch.access.store(front, request.space, request.place[got], 0, 4, [value], one)

    def _take(self, cta: int, count: int) -> int:
        """First column of `count` free ones that follow one another, or -1."""
        free = self.owner[cta] == 0
        for start in range(0, COLUMNS - count + 1, _UNIT_COLUMNS):
            if free[start : start + count].all():
                number = len(self._sites) + 1
                self._sites[number] = self.batch.site
                self.owner[cta, start : start + count] = number
                return start
        return -1

    def _free(self, front: Front, row: int, cta: int, start: int, count: int) -> None:
        held = self.owner[cta, start : start + count] if start < COLUMNS else self.owner[cta, :0]
        if (
            len(held) != count
            or not held[0]
            or np.count_nonzero(self.owner[cta] == held[0]) != count
            or (held != held[0]).any()
        ):
            message = f"{count} columns from tensor memory address {start:#x} were not allocated together"
            raise self.batch.fault("bad-dealloc", message, front, (row, 0))
        held[:] = 0

    def _sizes_of(self, front: Front, columns: Any, rows: Array) -> Array:
        wanted = uniform(self.batch, front, columns, rows)
        bad = ~np.isin(wanted, _SIZES)
        if bad.any():
            message = f"{int(wanted[bad][0])} columns of tensor memory; it must be a power of two from 32 to {COLUMNS}"
            raise self.batch.fault("bad-alloc", message, front, (int(rows[bad.argmax()]), 0))
        return wanted

    def _require_permit(self, front: Front, rows: Array) -> None:
        late = self._relinquished[self.batch.cta_of(front)[rows]]
        if late.any():
            message = "an allocation of tensor memory after the CTA has relinquished its permit"
            raise self.batch.fault("bad-alloc", message, front, (int(rows[late.argmax()]), 0))

    def _note(self, front: Front, name: str, lanes: Mask) -> None:
        if self.batch.observer is not None:
            self.batch.observer.event(front, name, lanes)


def whole_warps(batch: Batch, front: Front, guard: Mask | None) -> Array:
    """Rows of the front whose warps execute an `.aligned` instruction; LaunchFault where only a part of one does."""
    active = front.active(guard)
    if active is None:
        return np.arange(front.n)
    some, alive = active.any(axis=1), batch.alive[front.warps]
    torn = some & (active != alive).any(axis=1)
    if torn.any():
        row = int(torn.argmax())
        message = f"{int(active[row].sum())} of the warp's {int(alive[row].sum())} threads execute this, all must"
        raise batch.fault("divergent-warp", message, front, (row, int(active[row].argmax())))
    return np.flatnonzero(some)


def uniform(batch: Batch, front: Front, value: Any, rows: Array) -> Array:
    """The value that all lanes of each warp hold, shape (rows,) int64; LaunchFault where they differ."""
    if np.ndim(value) < 2:
        return np.full(len(rows), int(value), np.int64)
    chosen = value[rows]
    differs = ((chosen != chosen[:, :1]) & batch.alive[front.warps][rows]).any(axis=1)
    if differs.any():
        message = "the threads of a warp give different values for an operand that must be the same in all of them"
        raise batch.fault("divergent-operand", message, front, (int(rows[differs.argmax()]), 0))
    first: Array = chosen[:, 0].astype(np.int64)
    return first
