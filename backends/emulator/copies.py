"""`cp.async`: copies of 4, 8 or 16 bytes per lane from global to shared memory, which complete by groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import Flat, GlobalSpace, SharedSpace
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

KIND = "cp.async"


@dataclass(frozen=True, eq=False)
class _Transfer:
    """A copy in flight: flat offsets of target and source, bytes to write and to read, lanes that write and read."""

    to: Flat
    origin: Flat
    nbytes: int
    reads: Flat
    active: Mask
    reading: Mask


class Copies:
    """The non-bulk asynchronous copies of a batch."""

    def __init__(self, batch: Batch, memory: GlobalSpace, shared: SharedSpace) -> None:
        self.batch = batch
        self.memory = memory
        self.shared = shared

    def copy(
        self, front: Front, target: Any, target_offset: int, source: Any, source_offset: int, nbytes: int,
        read_bytes: Any, ignore: Any, guard: Mask | None,
    ) -> None:  # fmt: skip
        """Issue a copy of `nbytes`, of which `read_bytes` are read and the rest is zero; none where `ignore` holds."""
        active = front.full_mask(guard)
        if not active.any():
            return
        shape = (front.n, WARP_LANES)
        reads = np.full(shape, nbytes) if read_bytes is None else np.broadcast_to(read_bytes, shape).astype(np.int64)
        reads = np.where(np.broadcast_to(ignore, shape), 0, reads) if ignore is not None else reads
        self._check(front, reads, nbytes, active)
        to = self.shared.flat(front, np.asarray(target), target_offset, nbytes, front.active(guard))
        reading = active & (reads > 0)
        origin = to
        if reading.any():
            partial = None if reading.all() else reading
            origin = self.memory.flat(front, np.asarray(source), source_offset, nbytes, partial)
        if self.batch.observer is not None:
            self.batch.observer.access(front, "global", origin, nbytes, reading, "async-load")
            self.batch.observer.access(front, "shared", to, nbytes, active, "async-store")
        transfer = _Transfer(to, origin, nbytes, reads, active, reading)
        self.batch.agents.issue(KIND, self._move, transfer, front, guard)

    def commit(self, front: Front, guard: Mask | None) -> None:
        """`cp.async.commit_group`."""
        self.batch.agents.commit(KIND, front, guard)
        self._note(front, "cp.async.commit_group", guard)

    def wait(self, front: Front, newest: int, guard: Mask | None, everything: bool = False) -> None:
        """`cp.async.wait_group N`; with `everything`, `wait_all`: what was never committed too."""
        self.batch.agents.wait(KIND, front, -1 if everything else newest, guard)
        self._note(front, "cp.async.wait_all" if everything else "cp.async.wait_group", guard, newest)

    def arrive(self, front: Front, address: Any, offset: int, noinc: bool, guard: Mask | None) -> None:
        """`cp.async.mbarrier.arrive`: arrive when the lane's copies so far are complete."""
        active = front.full_mask(guard)
        if not active.any():
            return
        word = self.batch.mbarriers.words_of(front, address, offset, front.active(guard))[active]
        ones = np.ones(len(word), np.int64)
        if not noinc:
            # The arrival that will come is added to what the phase waits for.
            self.batch.mbarriers.change(word, -ones, np.zeros_like(ones))
        self._note(front, "cp.async.mbarrier.arrive", guard, word)
        self.batch.agents.issue(KIND, self._arrived, word, front, guard)

    def _arrived(self, words: list[Flat]) -> None:
        for word in words:
            self.batch.mbarriers.change(word, np.ones(len(word), np.int64), np.zeros(len(word), np.int64))

    def _move(self, transfers: list[_Transfer]) -> None:
        for t in transfers:
            shift = t.nbytes.bit_length() - 1
            whole = t.active & (t.reads == t.nbytes)
            if whole.all():
                self.shared.units[t.nbytes][t.to >> shift] = self.memory.units[t.nbytes].take(
                    t.origin >> shift, mode="clip"
                )
                continue
            self.shared.units[t.nbytes][t.to[whole] >> shift] = self.memory.units[t.nbytes][t.origin[whole] >> shift]
            self._fill(t, t.active & ~whole)

    def _fill(self, t: _Transfer, lanes: Mask) -> None:
        """Copies of which a part, or nothing, is read: the rest of each is zero."""
        nothing = lanes & ~t.reading
        self.shared.units[t.nbytes][t.to[nothing] >> (t.nbytes.bit_length() - 1)] = 0
        for warp, lane in zip(*np.nonzero(lanes & t.reading), strict=True):
            count, start, place = int(t.reads[warp, lane]), int(t.origin[warp, lane]), int(t.to[warp, lane])
            self.shared.units[1][place : place + t.nbytes] = 0
            self.shared.units[1][place : place + count] = self.memory.units[1][start : start + count]

    def _check(self, front: Front, reads: Flat, nbytes: int, active: Mask) -> None:
        bad = active & (reads > nbytes)
        if bad.any():
            lane = np.unravel_index(bad.argmax(), bad.shape)
            message = f"{int(reads[lane])} bytes to read in a copy of {nbytes}"
            raise self.batch.fault("bad-copy", message, front, lane, int(bad.sum()))

    def _note(self, front: Front, name: str, guard: Mask | None, detail: Any = None) -> None:
        if self.batch.observer is not None:
            self.batch.observer.event(front, name, front.active(guard), detail)
