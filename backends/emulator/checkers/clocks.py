"""Vector clocks: up to which moment each warp knows what every agent of its batch has done.

Time is the number of an event in the launch. An *agent* is a column: a warp itself, one of its asynchronous engines
(`cp.async`, `wgmma`, bulk copies...), all earlier batches (`past`), or an mbarrier, for the copies that complete there.
A warp's row has two planes: `SEEN`, what happened before its next instruction, and `FENCED`, the part that a proxy
fence has made visible to asynchronous engines. Synchronisation joins rows, both planes at once. What only some lanes
of a warp have acquired is kept apart, in `lanes`.
Source: Flanagan and Freund, FastTrack (PLDI 2009), for epochs; the PTX ISA's memory model for what orders what.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.lanes import LaneKnowledge, bits_of
from backends.emulator.fronts import Mask
from backends.emulator.spaces import WARP_LANES

SEEN, FENCED = 0, 1
FOREVER = np.iinfo(np.int32).max
KINDS = ("generic", "cp.async", "wgmma", "bulk-read", "bulk-write", "tcgen05", "tcgen05.ld", "tcgen05.st")
# Kinds whose accesses belong to the generic proxy: they need a proxy fence before an asynchronous engine sees them.
_GENERIC_PROXY = ("generic", "cp.async")
# Engines that do what one thread issues in order.
IN_ORDER = ("tcgen05", "tcgen05.ld", "tcgen05.st")
_SPARE_COLUMNS = 64

Array = NDArray[Any]


class Clocks:
    """The clocks of a batch of `instances` warps; `start`: the time when the batch began.

    `kinds`: those of KINDS that the kernel uses, in that order; `alive`: the threads that have not ended, as a mask
    (instances, 32). `barriers`: shared address of each mbarrier's column. `synced`: the moment, per lane, up to which
    it knows what the others of its warp did; `exchanged`: up to which it knows what they have read.
    """

    def __init__(self, instances: int, start: int, alive: Mask, kinds: tuple[str, ...] = KINDS) -> None:
        self.alive = alive
        self.lanes = LaneKnowledge()
        self.synced = np.zeros((instances, WARP_LANES), np.int32)
        self.exchanged = np.zeros((instances, WARP_LANES), np.int32)
        self.instances = instances
        self.start = start
        self.kinds = kinds
        self.generic_columns = instances * sum(kind in _GENERIC_PROXY for kind in kinds)
        self.in_order = np.array([kind in IN_ORDER for kind in kinds])
        self.past = instances * len(kinds)
        self.columns = self.past + 1
        self.known = np.zeros((instances, 2, self.columns + _SPARE_COLUMNS), np.int32)
        self.barriers: dict[int, int] = {}
        own = np.arange(instances)
        # A warp always knows what it did itself.
        self.known[own, SEEN, own] = FOREVER

    def column(self, kind: str, instance: Array) -> Array:
        """The agent of a kind of each warp."""
        return self.kinds.index(kind) * self.instances + instance

    def new_column(self) -> int:
        """A column for an mbarrier."""
        if self.columns == self.known.shape[2]:
            more = np.zeros((self.instances, 2, self.columns), np.int32)
            self.known = np.concatenate((self.known, more), axis=2)
        self.columns += 1
        return self.columns - 1

    def kind_of(self, agent: int) -> str:
        """A column's kind: one of KINDS, `past` or `mbarrier`."""
        if agent == self.past:
            return "past"
        return self.kinds[agent // self.instances] if agent < self.past else "mbarrier"

    def released(self, instance: Array, now: int, lanes: Array) -> Array:
        """What sets of lanes (n,) of each warp hand to those that synchronise with them, rows (n, 2, columns)."""
        rows: Array = self.known[instance]
        if self.lanes.rows:
            for index, (one, bits) in enumerate(zip(instance.tolist(), lanes.tolist(), strict=True)):
                for row in self.lanes.of_any(one, bits):
                    join(rows[index], row)
        rows[np.arange(len(instance)), SEEN, instance] = now
        return rows

    def acquire(self, instance: Array, rows: Array, lanes: Array) -> None:
        """Sets of lanes of each warp learn what its row, of at most as many columns, says."""
        if len(np.unique(instance)) < len(instance):
            for index in range(len(instance)):
                one = slice(index, index + 1)
                self.acquire(instance[one], rows[one], lanes[one])
            return
        own = rows[np.arange(len(instance)), SEEN, instance]
        self._sync(instance, lanes, own)
        whole = self._are_whole(instance, lanes)
        for index in np.flatnonzero(~whole).tolist():
            self._acquire_apart(int(instance[index]), rows[index], int(lanes[index]))
        if whole.any():
            self._acquire(instance[whole], rows[whole])

    def _acquire(self, instance: Array, rows: Array) -> None:
        width = rows.shape[-1]
        known = self.known[instance]
        np.maximum(known[..., :width], rows, out=known[..., :width])
        self.known[instance] = known

    def _acquire_apart(self, warp: int, row: Array, lanes: int) -> None:
        self.lanes.add(warp, lanes, row)
        self._settle(warp)

    def _settle(self, warp: int) -> None:
        common = self.lanes.settle(warp, int(bits_of(self.alive[warp : warp + 1])[0]))
        if common is not None:
            common[SEEN, warp] = 0
            self._acquire(np.array([warp]), common[None])

    def _are_whole(self, instance: Array, lanes: Array) -> NDArray[np.bool_]:
        return np.asarray(bits_of(self.alive[instance]) & ~lanes == 0)

    def _sync(self, instance: Array, lanes: Array, time: Array | int) -> None:
        """Lanes know what the others of their warp did up to a time."""
        mask = (lanes[:, None] >> np.arange(WARP_LANES) & 1).astype(np.bool_)
        times = np.where(mask, np.broadcast_to(time, len(instance))[:, None], 0)
        self.synced[instance] = np.maximum(self.synced[instance], times)

    def meet(self, instance: Array, lanes: Array, now: int) -> None:
        """Lanes of each (distinct) warp meet."""
        self._sync(instance, lanes, now)
        if self.lanes.rows:
            for one, bits in zip(instance.tolist(), lanes.tolist(), strict=True):
                self.lanes.meet(one, bits)
                self._settle(one)

    def exchange(self, instance: Array, lanes: Array, now: int) -> None:
        """Lanes exchange values (`shfl`, `vote`...). That orders no memory, but a warp's loads before are issued before
        its stores after, and do not see them."""
        mask = (lanes[:, None] >> np.arange(WARP_LANES) & 1).astype(np.bool_)
        self.exchanged[instance] = np.where(mask, now, self.exchanged[instance])

    def learn(self, instance: Array, lanes: Array, column: Array, time: Array | int) -> None:
        """Sets of lanes of each warp know an agent up to a time."""
        whole, times = self._are_whole(instance, lanes), np.broadcast_to(time, len(instance))
        at = instance[whole], SEEN, column[whole]
        self.known[at] = np.maximum(self.known[at], times[whole])
        for index in np.flatnonzero(~whole).tolist():
            row = np.zeros((2, self.columns), np.int32)
            row[SEEN, column[index]] = times[index]
            self._acquire_apart(int(instance[index]), row, int(lanes[index]))

    def fence_proxy(self, instance: Array, lanes: Array, now: int) -> None:
        """What each warp has seen so far becomes visible to asynchronous engines."""
        self.known[instance, FENCED] = self.known[instance, SEEN]
        self.known[instance, FENCED, instance] = now
        for one, bits in zip(instance.tolist(), lanes.tolist(), strict=True):
            for row in self.lanes.of_any(one, bits):
                row[FENCED] = row[SEEN]

    def fence_own(self, instance: Array, time: Array) -> None:
        """What each warp itself did up to a time becomes visible to asynchronous engines."""
        self.known[instance, FENCED, instance] = np.maximum(self.known[instance, FENCED, instance], time)

    def known_apart(self, warp: int, lanes: int, plane: int, agent: Array, time: Array) -> NDArray[np.bool_]:
        """Whether a set of lanes knows, beside its whole warp, agents up to times; all of one shape."""
        found = np.zeros(time.shape, np.bool_)
        for row in self.lanes.of_all(warp, lanes):
            inside = agent < row.shape[-1]
            found |= inside & (time <= row[plane, np.where(inside, agent, 0)])
        return found


def kinds_in(opcodes: Iterable[str]) -> tuple[str, ...]:
    """The kinds of agents that instructions make use of.

    >>> kinds_in(["ld.global.b32", "cp.async.ca.shared.global", "wgmma.fence.sync.aligned"])
    ('generic', 'cp.async', 'wgmma')
    """
    found = {"generic"}
    for opcode in opcodes:
        if opcode.startswith(("cp.async.bulk", "cp.reduce.async.bulk")):
            found |= {"bulk-read", "bulk-write"}
        elif opcode.startswith(("cp.async", "wgmma")):
            found.add("wgmma" if opcode[0] == "w" else "cp.async")
        elif opcode.startswith("tcgen05"):
            found |= set(IN_ORDER)
    return tuple(kind for kind in KINDS if kind in found)


def join(target: Array, rows: Array) -> None:
    """target = max(target, rows) where rows may have fewer or more columns; columns that do not fit are zero."""
    width = min(target.shape[-1], rows.shape[-1])
    np.maximum(target[..., :width], rows[..., :width], out=target[..., :width])


def joined_by(keys: Array, rows: Array) -> tuple[Array, Array]:
    """The distinct keys, and the join of the rows of each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    joined: Array = np.maximum.reduceat(rows[order], starts, axis=0)
    return ordered[starts], joined


def widened(rows: Array, columns: int) -> Array:
    """Rows with at least so many columns."""
    if rows.shape[-1] >= columns:
        return rows
    wide = np.zeros((*rows.shape[:-1], columns), rows.dtype)
    wide[..., : rows.shape[-1]] = rows
    return wide
