"""mbarrier objects in the clocks: what has arrived in the phase that runs, and what a completed phase hands on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import SEEN, Clocks, join, joined_by
from backends.emulator.checkers.lanes import bit_of

Array = NDArray[Any]


class Phases:
    """The objects of a batch, by their word index in shared memory; each is an agent: the copies that complete at it.

    `in_flight`: bytes of issued copies that have not come, per object.
    """

    def __init__(self, clocks: Clocks, stride_bytes: int) -> None:
        self.clocks = clocks
        self.stride_bytes = stride_bytes
        self.slots: dict[int, int] = {}
        self.words: list[int] = []
        self.columns = np.zeros(0, np.int64)
        self.in_flight = np.zeros(0, np.int64)
        self.pending = np.zeros((0, 2, 0), np.int32)
        self.done = np.zeros((0, 2, 0), np.int32)

    def slots_of(self, words: Array) -> Array:
        """Index of each object here; new ones are added."""
        distinct, inverse = np.unique(words, return_inverse=True)
        found = np.array([self._slot(int(word)) for word in distinct], np.int64)
        return found[inverse]

    def init(self, words: Array) -> None:
        """Objects are initialised: nothing has arrived."""
        slots = np.unique(self.slots_of(words))
        self.pending[slots] = 0
        self.done[slots] = 0
        self.in_flight[slots] = 0

    def arrive(self, words: Array, rows: Array) -> None:
        """`rows` (n, 2, columns) are added to what the running phases will hand on."""
        slots, joined = joined_by(self.slots_of(words), rows)
        target = self.pending[slots]
        join(target, joined)
        self.pending[slots] = target

    def issue(self, words: Array, nbytes: Array) -> Array:
        """Copies that will complete at the objects are issued; their agents."""
        slots = self.slots_of(words)
        np.add.at(self.in_flight, slots, nbytes)
        return self.columns[slots]

    def bytes_complete(self, words: Array, nbytes: Array) -> None:
        """Bytes of copies have come."""
        np.add.at(self.in_flight, self.slots_of(words), -nbytes)

    def complete(self, words: Array, now: int) -> Array:
        """The running phases are complete, and with them the copies so far. Objects with bytes still in flight."""
        slots = self.slots_of(words)
        done = self.done[slots]
        join(done, self.pending[slots])
        landed = self.in_flight[slots] <= 0
        done[landed, SEEN, self.columns[slots][landed]] = now
        self.done[slots] = done
        found: Array = words[~landed]
        return found

    def waited(self, instance: Array, words: Array, lane: Array) -> tuple[Array, Array, Array]:
        """What lanes of warps, arrays (n,), learn from the last completed phase of objects: warps, lanes, rows."""
        pairs, which = np.unique(np.stack((instance, self.slots_of(words)), axis=1), axis=0, return_inverse=True)
        lanes = np.zeros(len(pairs), np.int64)
        np.bitwise_or.at(lanes, which.reshape(-1), bit_of(lane))
        return pairs[:, 0], lanes, self.done[pairs[:, 1], :, : self.clocks.columns]

    def _slot(self, word: int) -> int:
        if word in self.slots:
            return self.slots[word]
        column = self.clocks.new_column()
        self.clocks.barriers[column] = word * 8 % self.stride_bytes
        slot = self.slots[word] = len(self.words)
        self.words.append(word)
        self._grow()
        self.columns[slot] = column
        return slot

    def _grow(self) -> None:
        """Room for as many objects as there are, and as many columns as the clocks have."""
        count, width = len(self.words), self.clocks.known.shape[2]
        if count <= len(self.columns) and width == self.pending.shape[2]:
            return
        room = max(2 * count, 16)
        for name in ("pending", "done"):
            old = getattr(self, name)
            new = np.zeros((room, 2, width), np.int32)
            new[: len(old), :, : old.shape[2]] = old
            setattr(self, name, new)
        for name in ("columns", "in_flight"):
            setattr(self, name, np.resize(np.r_[getattr(self, name), np.zeros(room, np.int64)], room))
