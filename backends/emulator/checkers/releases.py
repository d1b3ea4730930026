"""Order through memory: what a release hands, by a place in memory, to the acquire that reads it.

A *snapshot* is what a releasing warp knew. Each unit of memory has the snapshot of the last release to it; an atomic
update keeps what the one before handed on (release sequence). A relaxed access counts with the fence before it
(release) or after it (acquire). A snapshot of CTA scope reaches only its own CTA.
Source: PTX ISA, memory consistency model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import Clocks, join
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
        self._fenced: dict[int, tuple[Array, int]] = {}
        self._pending: dict[int, Array] = {}

    def fence(self, instance: Array, scope: int, now: int) -> None:
        """Warps execute a fence: what relaxed reads found is acquired, what comes after hands on what is known."""
        for one in instance.tolist():
            pending = self._pending.pop(one, None)
            if pending is not None:
                self.clocks.acquire(np.array([one]), pending[None])
            self._fenced[one] = (self.clocks.released(np.array([one]), now)[0], scope)

    def access(
        self, places: Places, instance: Array, cells: Array, order: Order, reads: bool, writes: bool, now: int
    ) -> None:
        """Strong accesses of warps (n,) at units (n,): acquires first, then releases."""
        if reads:
            self._acquire(places, instance, cells, order)
        if writes and (order.releases or self._fenced):
            self._release(places, instance, cells, order, reads, now)

    def _acquire(self, places: Places, instance: Array, cells: Array, order: Order) -> None:
        found = places.of_cell[cells]
        if not found.any():
            return
        for one, index in np.unique(np.stack((instance, found), axis=1), axis=0).tolist():
            snapshot = places.snapshots[index]
            if snapshot is None or not self._reaches(snapshot, one):
                continue
            row = self._translated(snapshot)
            if order.acquires:
                self.clocks.acquire(np.array([one]), row[None])
                continue
            self._pending[one] = _joined(self._pending.get(one), row)

    def _reaches(self, snapshot: _Snapshot, instance: int) -> bool:
        return snapshot.scope >= GPU_SCOPE - 1 or snapshot.cta in (_ANY_CTA, instance % self.ctas)

    def _translated(self, snapshot: _Snapshot) -> Array:
        """A snapshot of an earlier batch tells of `past` alone."""
        if snapshot.start == self.clocks.start:
            return snapshot.row
        row = np.zeros((2, self.clocks.columns), np.int32)
        row[:, self.clocks.past] = snapshot.time
        return row

    def _release(self, places: Places, instance: Array, cells: Array, order: Order, keeps: bool, now: int) -> None:
        pairs = np.unique(np.stack((cells, instance), axis=1), axis=0)
        releasing = np.array([order.releases or i in self._fenced for i in pairs[:, 1].tolist()])
        pairs = pairs[releasing]
        if not len(pairs):
            return
        if len(pairs) > _MAX_EXACT_PLACES:
            self._release_together(places, pairs, order, now)
            return
        for cell, one in pairs.tolist():
            row, scope = self._row(one, order, now)
            before = places.snapshots[places.of_cell[cell]] if keeps else None
            if before is not None:
                row = _joined(row, self._translated(before))
                scope = max(scope, before.scope)
            places.of_cell[cell] = len(places.snapshots)
            places.snapshots.append(_Snapshot(row, self.clocks.start, now, one % self.ctas, scope))

    def _release_together(self, places: Places, pairs: Array, order: Order, now: int) -> None:
        rows = [self._row(one, order, now) for one in np.unique(pairs[:, 1]).tolist()]
        row = rows[0][0]
        for other, _ in rows[1:]:
            row = _joined(row, other)
        for index in np.unique(places.of_cell[pairs[:, 0]]).tolist():
            before = places.snapshots[index]
            if before is not None:
                row = _joined(row, self._translated(before))
        places.of_cell[pairs[:, 0]] = len(places.snapshots)
        places.snapshots.append(_Snapshot(row, self.clocks.start, now, _ANY_CTA, rows[0][1]))

    def _row(self, instance: int, order: Order, now: int) -> tuple[Array, int]:
        fenced, scope = self._fenced.get(instance, (None, 0))
        if order.releases:
            return self.clocks.released(np.array([instance]), now)[0], order.scope
        assert fenced is not None
        return fenced, min(scope, order.scope)


def _joined(first: Array | None, second: Array) -> Array:
    """A new row that is the join of two, as wide as the wider."""
    if first is None:
        return second.copy()
    wide, narrow = (first, second) if first.shape[-1] >= second.shape[-1] else (second, first)
    row = wide.copy()
    join(row, narrow)
    return row
