"""What checkers and counters are told while a launch runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask

Words = NDArray[np.int64]


class Observer:
    """Hears of every access and every synchronisation, and ignores it; a launch without checkers has no observer.

    `lanes` and `active` are masks (n, 32) of a front's lanes, None for all of them; `words` are indices of mbarrier
    objects in shared memory as 64-bit words, one for each lane that takes part. `batch.site` is the instruction.
    """

    @property
    def follows_values(self) -> bool:
        """Whether `operands` is wanted now."""
        return False

    def operands(self, front: Front, index: int, guard: Mask | None, predicate: Mask | None) -> None:
        """`front` is about to execute instruction `index`; `predicate`: what a `selp` chooses by.

        Told while `follows_values`, in programs that read tensor memory.
        """

    def block(self, front: Front, number: int) -> None:
        """`front` is about to run basic block `number`."""

    def guard(self, front: Front, index: int, guard: Mask) -> None:
        """`front` is about to execute instruction `index` where `guard` holds; told in programs translated to count."""

    def branch(self, front: Front, taken: Mask) -> None:
        """Lanes `taken` of `front` leave its block by the guarded branch at its end, the others go on."""

    def access(
        self, front: Front, space: str, flat: NDArray[np.int64], nbytes: int, active: Mask | None, kind: str,
        values: Sequence[NDArray[Any]] | None = None,
    ) -> None:  # fmt: skip
        """Lanes are about to `load`, `store` or update (`atomic`) `nbytes` at byte offsets `flat` of a space.

        `async-load` and `async-store` are the two sides of a `cp.async`. `values`: the elements of a store.
        """

    def barrier_arrive(self, front: Front, identifier: int, threads: Any, waits: bool) -> None:
        """Threads arrive at a named barrier, of which they expect `threads` (None: all of the CTA)."""

    def barrier(self, identifier: int, fronts: Sequence[Front], done: NDArray[np.bool_]) -> None:
        """Named barrier `identifier` completes in the CTAs `done`, releasing these fronts there."""

    def cluster_barrier(self, clusters: NDArray[np.bool_]) -> None:
        """All threads of these clusters of the batch have arrived; arrivals and waits are told as events."""

    def mbarrier(self, front: Front, event: str, words: Words, lanes: Mask) -> None:
        """Lanes `init`, `arrive` at, `wait` (successfully) for or `inval` mbarrier objects."""

    def bytes_complete(self, words: Words, nbytes: NDArray[np.int64]) -> None:
        """An asynchronous copy brings bytes to these mbarrier objects."""

    def phase_complete(self, words: Words) -> None:
        """The current phase of these mbarrier objects completes."""

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Anything else that orders memory: fences, commits and waits of asynchronous groups, `tcgen05` and `wgmma`."""

    def retire(self, front: Front) -> None:
        """Threads are about to end."""

    def finish(self) -> None:
        """Every thread of the batch has ended; what is in flight has not happened yet."""


class Observers(Observer):
    """Several observers in one."""

    def __init__(self, members: Sequence[Observer]) -> None:
        self.members = tuple(members)

    @property
    def follows_values(self) -> bool:
        """Whether any member does."""
        return any(member.follows_values for member in self.members)

    def operands(self, front: Front, index: int, guard: Mask | None, predicate: Mask | None) -> None:
        """Tell all members."""
        for member in self.members:
            member.operands(front, index, guard, predicate)

    def block(self, front: Front, number: int) -> None:
        """Tell all members."""
        for member in self.members:
            member.block(front, number)

    def guard(self, front: Front, index: int, guard: Mask) -> None:
        """Tell all members."""
        for member in self.members:
            member.guard(front, index, guard)

    def branch(self, front: Front, taken: Mask) -> None:
        """Tell all members."""
        for member in self.members:
            member.branch(front, taken)

    def access(
        self, front: Front, space: str, flat: NDArray[np.int64], nbytes: int, active: Mask | None, kind: str,
        values: Sequence[NDArray[Any]] | None = None,
    ) -> None:  # fmt: skip
        """Tell all members."""
        for member in self.members:
            member.access(front, space, flat, nbytes, active, kind, values)

    def barrier_arrive(self, front: Front, identifier: int, threads: Any, waits: bool) -> None:
        """Tell all members."""
        for member in self.members:
            member.barrier_arrive(front, identifier, threads, waits)

    def barrier(self, identifier: int, fronts: Sequence[Front], done: NDArray[np.bool_]) -> None:
        """Tell all members."""
        for member in self.members:
            member.barrier(identifier, fronts, done)

    def cluster_barrier(self, clusters: NDArray[np.bool_]) -> None:
        """Tell all members."""
        for member in self.members:
            member.cluster_barrier(clusters)

    def mbarrier(self, front: Front, event: str, words: Words, lanes: Mask) -> None:
        """Tell all members."""
        for member in self.members:
            member.mbarrier(front, event, words, lanes)

    def bytes_complete(self, words: Words, nbytes: NDArray[np.int64]) -> None:
        """Tell all members."""
        for member in self.members:
            member.bytes_complete(words, nbytes)

    def phase_complete(self, words: Words) -> None:
        """Tell all members."""
        for member in self.members:
            member.phase_complete(words)

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Tell all members."""
        for member in self.members:
            member.event(front, name, lanes, detail)

    def retire(self, front: Front) -> None:
        """Tell all members."""
        for member in self.members:
            member.retire(front)

    def finish(self) -> None:
        """Tell all members."""
        for member in self.members:
            member.finish()
