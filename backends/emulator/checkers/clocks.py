"""Vector clocks: up to which moment each warp knows what every agent of its batch has done.

Time is the number of an event in the launch. An *agent* is a column: a warp itself, one of its asynchronous engines
(`cp.async`, `wgmma`, bulk copies...), all earlier batches (`past`), or an mbarrier, for the copies that complete there.
A warp's row has two planes: `SEEN`, what happened before its next instruction, and `FENCED`, the part that a proxy
fence has made visible to asynchronous engines. Synchronisation joins rows, both planes at once.
Source: Flanagan and Freund, FastTrack (PLDI 2009), for epochs; the PTX ISA's memory model for what orders what.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    `kinds`: those of KINDS that the kernel uses, in that order.

    `barriers`: shared address of each mbarrier's column.
    """

    def __init__(self, instances: int, start: int, kinds: tuple[str, ...] = KINDS) -> None:
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

    def released(self, instance: Array, now: int) -> Array:
        """What each warp hands to those that synchronise with it, rows (n, 2, columns)."""
        rows: Array = self.known[instance]
        rows[np.arange(len(instance)), SEEN, instance] = now
        return rows

    def acquire(self, instance: Array, rows: Array) -> None:
        """Each (distinct) warp learns what its row, of at most as many columns, says."""
        width = rows.shape[-1]
        known = self.known[instance]
        np.maximum(known[..., :width], rows, out=known[..., :width])
        self.known[instance] = known

    def learn(self, instance: Array, column: Array, time: Array | int) -> None:
        """Each warp knows an agent up to a time."""
        self.known[instance, SEEN, column] = np.maximum(self.known[instance, SEEN, column], time)

    def fence_proxy(self, instance: Array, now: int) -> None:
        """What each warp has seen so far becomes visible to asynchronous engines."""
        self.known[instance, FENCED] = self.released(instance, now)[:, SEEN]


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
