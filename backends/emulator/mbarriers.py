"""mbarrier objects: phases that complete when all arrivals and all announced bytes have come.

An object is its 64-bit word in shared memory: pending arrivals (bits 0-19), expected arrivals (20-39), bytes announced
and not yet come (40-61, signed), phase parity (bit 63). The layout is this device's own; the ISA leaves it open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import PARKED, Front, Mask, part_of
from backends.emulator.memory import Flat, SharedSpace
from backends.emulator.program import Row

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

COUNT_MASK = (1 << 20) - 1
_BYTES_MASK = (1 << 22) - 1
# PTX ISA: the range of the transaction count.
_MAX_BYTES = (1 << 20) - 1


@dataclass
class _Waiting:
    """Threads at a `try_wait`: `word` is each lane's index of the object, `parity` the phase that it waits for."""

    front: Front
    site: int
    word: Flat
    parity: NDArray[np.bool_]
    target: Row


class MBarriers:
    """Operations on the mbarrier objects of a batch."""

    def __init__(self, batch: Batch, shared: SharedSpace) -> None:
        self.batch = batch
        self.shared = shared
        self.words: NDArray[np.uint64] = shared.units[8]  # type: ignore[assignment]
        self._waiting: list[_Waiting] = []
        self._changed = False

    def words_of(self, front: Front, address: Any, offset: int, active: Mask | None) -> Flat:
        """Index of each lane's object in `words`, shape (n, 32)."""
        return self.shared.flat(front, np.asarray(address), offset, 8, active) >> 3

    # What threads do

    def init(self, front: Front, address: Any, offset: int, count: Any, guard: Mask | None) -> None:
        """`mbarrier.init`: phase 0, `count` arrivals expected."""
        active = front.full_mask(guard)
        if not active.any():
            return
        word = self.words_of(front, address, offset, front.active(guard))[active]
        counts = np.broadcast_to(count, active.shape)[active].astype(np.uint64)
        if (counts == 0).any() or (counts > COUNT_MASK).any():
            lane = np.unravel_index(active.argmax(), active.shape)
            raise self.batch.fault(
                "bad-mbarrier", f"count {int(counts[0])}, allowed are 1 to {COUNT_MASK}", front, lane
            )
        self.words[word] = counts | (counts << np.uint64(20))
        self._note(front, "init", word, active)

    def invalidate(self, front: Front, address: Any, offset: int, guard: Mask | None) -> None:
        """`mbarrier.inval`: the memory may be used for something else."""
        active = front.full_mask(guard)
        if active.any():
            word = self.words_of(front, address, offset, front.active(guard))[active]
            self._note(front, "inval", word, active)
            self.words[word] = 0

    def arrive(
        self, front: Front, address: Any, offset: int, count: Any, nbytes: Any, drop: bool, guard: Mask | None
    ) -> NDArray[np.uint64]:
        """Announce `nbytes`, then arrive `count` times; `drop` lowers the expected arrivals too.

        Returns the state token of each lane, shape (n, 32): the word before.
        """
        active = front.full_mask(guard)
        token = np.zeros(active.shape, np.uint64)
        if not active.any():
            return token
        word = self.words_of(front, address, offset, front.active(guard))
        token[active] = self.words[word[active]]
        self._note(front, "arrive", word[active], active)
        counts = np.broadcast_to(count, active.shape)[active].astype(np.int64)
        announced = np.broadcast_to(nbytes, active.shape)[active].astype(np.int64)
        self.change(word[active], counts, announced, counts if drop else None)
        return token

    def expect(self, front: Front, address: Any, offset: int, nbytes: Any, guard: Mask | None) -> None:
        """`mbarrier.expect_tx`: announce bytes and do not arrive. A negative number completes them."""
        active = front.full_mask(guard)
        if not active.any():
            return
        word = self.words_of(front, address, offset, front.active(guard))[active]
        announced = np.broadcast_to(nbytes, active.shape)[active].astype(np.int64)
        self.change(word, np.zeros_like(announced), announced)

    def try_wait(
        self, front: Front, address: Any, offset: int, state: Any, is_parity: bool, satisfied: NDArray[np.bool_],
        target: Row, guard: Mask | None,
    ) -> Any:  # fmt: skip
        """Park the lanes whose phase is not complete; `satisfied` is the predicate's register, set where it is.

        Returns what a block's function returns.
        """
        active = front.full_mask(guard)
        if not active.any():
            return None
        word = self.words_of(front, address, offset, front.active(guard))
        parity = _parity_of(state, is_parity, active.shape)
        done = self._complete(front, word, parity, active)
        satisfied[done] = True
        if done.sum() == active.sum():
            self._note(front, "wait", word[done], done)
            return None
        stay = active & ~done
        rows = stay.any(axis=1)
        waiting = part_of(front, stay, front.block + 1)
        assert waiting is not None
        self._waiting.append(_Waiting(waiting, self.batch.site, word[rows], parity[rows], target))
        on = part_of(front, front.full_mask() & ~stay, front.block + 1)
        if on is not None:
            self._note(front, "wait", word[done], done)
            self.batch.scheduler.push(on)
        return PARKED

    def test_wait(
        self, front: Front, address: Any, offset: int, state: Any, is_parity: bool, guard: Mask | None
    ) -> NDArray[np.bool_]:
        """Whether the phase is complete, per lane, without waiting."""
        active = front.full_mask(guard)
        if not active.any():
            return active
        word = self.words_of(front, address, offset, front.active(guard))
        done = self._complete(front, word, _parity_of(state, is_parity, active.shape), active)
        self._note(front, "wait", word[done], done)
        return done

    # What asynchronous agents do

    def complete_bytes(self, word: Flat, nbytes: NDArray[np.int64]) -> None:
        """Bytes have come at these objects."""
        if self.batch.observer is not None:
            self.batch.observer.bytes_complete(word, nbytes)
        self.change(word, np.zeros_like(nbytes), -nbytes)

    def change(
        self, word: Flat, arrivals: NDArray[np.int64], announced: NDArray[np.int64],
        dropped: NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        """Add announced bytes and subtract arrivals, once for each element of `word`; then complete phases."""
        objects, inverse = np.unique(word, return_inverse=True)
        arrived = np.bincount(inverse, arrivals, len(objects)).astype(np.int64)
        nbytes = np.bincount(inverse, announced, len(objects)).astype(np.int64)
        lost = np.zeros_like(arrived)
        if dropped is not None:
            lost = np.bincount(inverse, dropped, len(objects)).astype(np.int64)
        pending, expected, due, phase = _decoded(self.words[objects])
        self._check_initialised(objects, expected)
        expected = expected - lost
        due = due + nbytes
        pending = pending - arrived
        while True:
            done = (pending <= 0) & (due == 0) & (expected > 0)
            # Arrivals beyond the count belong to the next phase, whose own count they then lower.
            if not done.any():
                break
            pending = np.where(done, pending + expected, pending)
            phase = phase ^ done
            self._changed = True
            if self.batch.observer is not None:
                self.batch.observer.phase_complete(objects[done])
            if (pending > 0).all() or not arrived.any():
                break
        self._check_range(objects, pending, due)
        self.words[objects] = _encoded(pending, expected, due, phase)

    # Waking

    def wake(self) -> bool:
        """Let threads go on whose phase has completed since the last call; True if any could."""
        if not self._changed:
            return False
        self._changed = False
        waiting, self._waiting = self._waiting, []
        woken = False
        for entry in waiting:
            woken |= self._try(entry)
        return woken

    def is_waited_for(self, word: int) -> bool:
        """Whether threads are parked at an object."""
        return any((entry.word[entry.front.full_mask()] == word).any() for entry in self._waiting)

    def bytes_due(self, words: list[int]) -> list[int]:
        """Bytes announced and not yet come at each object, negative for more than announced."""
        due = _decoded(self.words[np.array(words, np.int64)])[2]
        return [int(d) for d in due]

    def waiting(self) -> list[str]:
        """Who waits where, for the report of a deadlock."""
        return [self._describe(entry) for entry in self._waiting]

    def _try(self, entry: _Waiting) -> bool:
        front = entry.front
        mask = front.full_mask()
        done = self._complete(front, entry.word, entry.parity, mask)
        if not done.any():
            self._waiting.append(entry)
            return False
        warp, lane = np.nonzero(done)
        self.batch.registers[entry.target.width][entry.target.index][front.indices()[warp], lane] = True
        self.batch.site = entry.site
        self._note(front, "wait", entry.word[done], done)
        on = part_of(front, done, front.block)
        assert on is not None
        self.batch.scheduler.push(on)
        stay = mask & ~done
        rows = stay.any(axis=1)
        rest = part_of(front, stay, front.block)
        if rest is not None:
            self._waiting.append(_Waiting(rest, entry.site, entry.word[rows], entry.parity[rows], entry.target))
        return True

    def _complete(self, front: Front, word: Flat, parity: NDArray[np.bool_], active: Mask) -> NDArray[np.bool_]:
        """Lanes whose object is in another phase than the one that they wait for, shape (n, 32)."""
        values = self.words[word]
        phase = values >> np.uint64(63) != 0
        if (((values >> np.uint64(20)) & np.uint64(COUNT_MASK)) == 0)[active].any():
            lane = np.unravel_index(active.argmax(), active.shape)
            raise self.batch.fault(
                "uninitialised-mbarrier", "a wait on an mbarrier that was never initialised", front, lane
            )
        done: NDArray[np.bool_] = active & (phase != parity)
        return done

    def _check_initialised(self, objects: Flat, expected: NDArray[np.int64]) -> None:
        if (expected <= 0).any():
            address = int(objects[expected <= 0][0]) * 8 % self.shared.stride_bytes
            raise self.batch.fault_here(
                "uninitialised-mbarrier", f"the mbarrier at shared address {address:#x} was never initialised"
            )

    def _check_range(self, objects: Flat, pending: NDArray[np.int64], due: NDArray[np.int64]) -> None:
        bad = (np.abs(due) > _MAX_BYTES) | (pending < 0)
        if bad.any():
            index = int(bad.argmax())
            address = int(objects[index]) * 8 % self.shared.stride_bytes
            raise self.batch.fault_here(
                "mbarrier-overflow",
                f"mbarrier at shared address {address:#x}: {int(due[index])} bytes outstanding,"
                f" {int(pending[index])} arrivals pending; a phase gets more than it was set up for",
            )  # fmt: skip

    def _describe(self, entry: _Waiting) -> str:
        front = entry.front
        mask = front.full_mask()
        warps = sorted({int(i) // self.batch.ctas for i in front.indices()})
        word = int(entry.word[mask][0])
        pending, expected, due, phase = (int(x[0]) for x in _decoded(self.words[word : word + 1]))
        address = word * 8 % self.shared.stride_bytes
        site = self.batch.program.site(entry.site)
        return (
            f"warps {warps} wait for phase {int(entry.parity[mask][0])} of the mbarrier at shared address {address:#x}"
            f" (phase {phase}, {pending} of {expected} arrivals and {due} bytes to come) at {site}"
        )

    def _note(self, front: Front, event: str, words: Flat, lanes: Mask) -> None:
        if self.batch.observer is not None:
            self.batch.observer.mbarrier(front, event, words, lanes)


def _parity_of(state: Any, is_parity: bool, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The phase that a wait names: a parity, or the top bit of a state token."""
    value = np.broadcast_to(state, shape)
    odd: NDArray[np.bool_] = (value & 1) != 0 if is_parity else (value >> np.uint64(63)) != 0
    return odd


def _decoded(words: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(pending arrivals, expected arrivals, bytes outstanding, phase parity) of each word."""
    signed = words.view(np.int64)
    due = (signed >> 40) & _BYTES_MASK
    due = np.where(due > _BYTES_MASK >> 1, due - _BYTES_MASK - 1, due)
    return signed & COUNT_MASK, (signed >> 20) & COUNT_MASK, due, words >> np.uint64(63) != 0


def _encoded(
    pending: NDArray[np.int64], expected: NDArray[np.int64], due: NDArray[np.int64], phase: NDArray[Any]
) -> NDArray[np.uint64]:
    low = (pending & COUNT_MASK) | ((expected & COUNT_MASK) << 20) | ((due & _BYTES_MASK) << 40)
    return low.view(np.uint64) | (phase.astype(np.uint64) << np.uint64(63))
