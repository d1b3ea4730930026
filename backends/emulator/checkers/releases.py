"""Order through memory: what a release hands, by a place in memory, to the acquire that reads it.

A *snapshot* is what a releasing warp knew. Each unit of memory has the snapshot of the last release to it; an atomic
update keeps what the one before handed on (release sequence). A relaxed access counts with the fence before it
(release) or after it (acquire). A snapshot of CTA scope reaches only its own CTA.
Source: PTX ISA, memory consistency model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import Clocks, join
from backends.emulator.checkers.lanes import LaneKnowledge, bit_of, joined
from backends.emulator.checkers.shadow import Shadow
from backends.emulator.checkers.sites import GPU_SCOPE, Order

Array = NDArray[Any]
_ANY_CTA = -1
# Beyond so many places at once, all warps of an instruction share a snapshot: that orders too much, never too little.
_MAX_EXACT_PLACES = 64


@dataclass(frozen=True)
class _Snapshot:
    """Row (2, columns) of a warp of `cta` in the batch that began at `start`, taken at `time`, with a scope."""

    row: Array
    start: int
    time: int
    cta: int
    scope: int


class Places:
    """The newest snapshot of each unit of a space, as indices into a list that lives as long as the space."""

    def __init__(self, shadow: Shadow) -> None:
        self.shadow = shadow
        self.of_cell = np.zeros(len(shadow.write), np.int32)
        self.snapshots: list[_Snapshot | None] = [None]


class Releases:
    """The releases and acquires of the warps of a batch."""

    def __init__(self, clocks: Clocks, ctas: int) -> None:
        self.clocks = clocks
        self.ctas = ctas
        self._fenced: dict[int, dict[int, tuple[Array, int]]] = {}
        self._pending = LaneKnowledge()

    def fence(self, instance: Array, lanes: Array, scope: int, now: int) -> None:
        """Sets of lanes execute a fence: what their relaxed reads found is acquired, what comes after hands it on."""
        for one, bits in zip(instance.tolist(), lanes.tolist(), strict=True):
            warp, chosen = np.array([one]), np.array([bits])
            for row in list(self._pending.of_any(one, bits)):
                self.clocks.acquire(warp, row[None], chosen)
            fences = self._fenced.setdefault(one, {})
            for covered in [b for b in fences if not b & ~bits]:
                del fences[covered]
            fences[bits] = self.clocks.released(warp, now, chosen)[0], scope

    def fence_init(self, instance: Array, lanes: Array, time: Array) -> None:
        """Warps execute `fence.mbarrier_init`: what they initialised up to a time is handed on."""
        for one, bits, when in zip(instance.tolist(), lanes.tolist(), time.tolist(), strict=True):
            row = np.zeros((2, self.clocks.columns), np.int32)
            row[:, one] = when
            fences = self._fenced.setdefault(one, {})
            known, scope = fences.get(bits, (row, GPU_SCOPE - 1))
            fences[bits] = joined(known, row), scope

    def handed(self, instance: Array, lanes: Array) -> Array:
        """What relaxed arrivals of sets of lanes hand on: what they knew at their last fence, rows (n, 2, columns)."""
        rows = np.zeros((len(instance), 2, self.clocks.columns), np.int32)
        for index, (one, bits) in enumerate(zip(instance.tolist(), lanes.tolist(), strict=True)):
            for held, (row, _) in self._fenced.get(one, {}).items():
                if held & bits:
                    join(rows[index], row)
        return rows

    def find(self, instance: Array, lanes: Array, rows: Array) -> None:
        """Relaxed waits of sets of lanes find rows, which their next fence acquires."""
        for one, bits, row in zip(instance.tolist(), lanes.tolist(), rows, strict=True):
            self._pending.add(one, bits, row)

    def access(
        self, places: Places, instance: Array, lane: Array, cells: Array, order: Order, reads: bool, writes: bool,
        now: int,
    ) -> None:  # fmt: skip
        """Strong accesses of lanes of warps (n,) at units (n,): each acquires first, then releases.

        Warps that update a unit take turns, and each finds what those before it have handed on.
        """
        hands_on = writes and bool(order.releases or self._fenced)
        for turn in _turns(instance, cells) if reads and hands_on else [slice(None)]:
            if reads:
                self._acquire(places, instance[turn], lane[turn], cells[turn], order)
            if hands_on:
                self._release(places, instance[turn], lane[turn], cells[turn], order, reads, now)

    def _acquire(self, places: Places, instance: Array, lane: Array, cells: Array, order: Order) -> None:
        found = places.of_cell[cells]
        some = found != 0
        if not some.any():
            return
        for one, index, bits in _by_lanes(instance[some], found[some], lane[some]):
            snapshot = places.snapshots[index]
            if snapshot is None or not self._reaches(snapshot, one):
                continue
            row = self._translated(snapshot)
            if order.acquires:
                self.clocks.acquire(np.array([one]), row[None], np.array([bits]))
            else:
                self._pending.add(one, bits, row)

    def _reaches(self, snapshot: _Snapshot, instance: int) -> bool:
        return snapshot.scope >= GPU_SCOPE - 1 or snapshot.cta in (_ANY_CTA, instance % self.ctas)

    def _translated(self, snapshot: _Snapshot) -> Array:
        """A snapshot of an earlier batch tells of `past` alone."""
        if snapshot.start == self.clocks.start:
            return snapshot.row
        row = np.zeros((2, self.clocks.columns), np.int32)
        row[:, self.clocks.past] = snapshot.time
        return row

    def _release(
        self, places: Places, instance: Array, lane: Array, cells: Array, order: Order, keeps: bool, now: int
    ) -> None:
        handed = [
            (cell, one, *found)
            for cell, one, bits in _by_lanes(cells, instance, lane)
            if (found := self._row(one, bits, order, now)) is not None
        ]
        if len(handed) > _MAX_EXACT_PLACES:
            self._release_together(places, handed, now)
            return
        for cell, one, row, scope in handed:
            before = places.snapshots[places.of_cell[cell]] if keeps else None
            if before is not None:
                row, scope = joined(row, self._translated(before)), max(scope, before.scope)
            places.of_cell[cell] = len(places.snapshots)
            places.snapshots.append(_Snapshot(row, self.clocks.start, now, one % self.ctas, scope))

    def _release_together(self, places: Places, handed: list[tuple[int, int, Array, int]], now: int) -> None:
        cells = np.array([cell for cell, *_ in handed])
        row = handed[0][2]
        for _, _, other, _ in handed[1:]:
            row = joined(row, other)
        for index in np.unique(places.of_cell[cells]).tolist():
            before = places.snapshots[index]
            if before is not None:
                row = joined(row, self._translated(before))
        places.of_cell[cells] = len(places.snapshots)
        places.snapshots.append(_Snapshot(row, self.clocks.start, now, _ANY_CTA, handed[0][3]))

    def _row(self, instance: int, lanes: int, order: Order, now: int) -> tuple[Array, int] | None:
        """What lanes hand on and its scope; None where they have neither released nor fenced."""
        if order.releases:
            return self.clocks.released(np.array([instance]), now, np.array([lanes]))[0], order.scope
        fences = [fence for bits, fence in self._fenced.get(instance, {}).items() if bits & lanes]
        if not fences:
            return None
        row, scope = fences[0]
        for other, its_scope in fences[1:]:
            row, scope = joined(row, other), max(scope, its_scope)
        return row, min(scope, order.scope)


def _turns(instance: Array, cells: Array) -> list[Array]:
    """Where those stand who are the first warps at their units, then the second ones...

    >>> [turn.tolist() for turn in _turns(np.array([4, 4, 9, 9]), np.array([0, 1, 1, 2]))]
    [[0, 1, 3], [2]]
    """
    pairs, first, which = np.unique(np.stack((cells, instance), axis=1), axis=0, return_index=True, return_inverse=True)
    order = np.lexsort((first, pairs[:, 0]))
    ordered = pairs[order, 0]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.empty(len(pairs), np.int64)
    rank[order] = np.arange(len(pairs)) - np.repeat(starts, np.diff(np.r_[starts, len(pairs)]))
    turn = rank[which.reshape(-1)]
    return np.split(np.argsort(turn, kind="stable"), np.cumsum(np.bincount(turn))[:-1])


def _by_lanes(first: Array, second: Array, lane: Array) -> Iterator[tuple[int, int, int]]:
    """The distinct pairs of two arrays (n,), with the set of lanes of each: (first, second, lanes)."""
    pairs, which = np.unique(np.stack((first, second), axis=1), axis=0, return_inverse=True)
    lanes = np.zeros(len(pairs), np.int64)
    np.bitwise_or.at(lanes, which.reshape(-1), bit_of(lane))
    for (one, other), bits in zip(pairs.tolist(), lanes.tolist(), strict=True):
        yield int(one), int(other), int(bits)
