"""Asynchronous agents: copies and multiplications that are issued, in flight, and complete at some later moment.

`early`: an operation happens when it is issued. `late`: when a wait demands it, or when nothing else can go on.
`random`: somewhere in between, by the launch's seed. A correct kernel gives the same result under all three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

_RANDOM_CHANCE = 0.5


Perform = Callable[[list[Any]], None]


@dataclass(frozen=True, eq=False)
class Operation:
    """One issued operation. `perform` does several of its sort, given their payloads, in order.

    `group`: number of the commit group of each lane, shape (n, 32). An operation that does not close waits for a later
    one of its kind that does, and happens with it.
    """

    kind: str
    perform: Perform
    payload: Any
    front: Front
    lanes: Mask
    group: NDArray[np.int64]
    site: int
    closes: bool = True


class Agents:
    """The operations in flight, in the order of issue, and the commit groups of each thread."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.pending: list[Operation] = []
        self._groups: dict[str, NDArray[np.int64]] = {}

    def issue(
        self, kind: str, perform: Perform, payload: Any, front: Front, guard: Mask | None, closes: bool = True
    ) -> None:
        """Start an operation of the lanes of `front`. Operations of one kind happen in order."""
        lanes = front.full_mask(guard)
        group = self._group(kind)[front.warps].copy()
        operation = Operation(kind, perform, payload, front, lanes, group, self.batch.site, closes)
        if self.batch.settings.completion == "early":
            self._do([operation])
            return
        self.pending.append(operation)

    def commit(self, kind: str, front: Front, guard: Mask | None) -> None:
        """Close each lane's group: what was issued since the last commit."""
        groups = self._group(kind)
        groups[front.warps] += front.full_mask(guard)

    def wait(self, kind: str, front: Front, newest: int, guard: Mask | None = None) -> None:
        """Complete all but the `newest` newest groups of each lane; `newest` -1: also what was never committed."""
        if not self.pending:
            return
        whole = np.full((self.batch.instances, WARP_LANES), -1, np.int64)
        lanes = front.full_mask(guard)
        limit = self._group(kind)[front.warps] - newest
        whole[front.warps] = np.where(lanes, limit, -1)
        due = [o for o in self.pending if o.kind == kind and (o.lanes & (o.group < whole[o.front.warps])).any()]
        self._complete(due)

    def advance(self) -> bool:
        """Nothing else can go on: complete something. False when nothing is in flight."""
        if not self.pending:
            return False
        if self.batch.settings.completion == "random":
            self._complete([self._random_choice()])
        else:
            self._complete(self._unit())
        return True

    def chance(self) -> None:
        """Now and then, under `random`, something completes."""
        if self.pending and self.batch.settings.completion == "random" and self.batch.random.random() < _RANDOM_CHANCE:
            self._complete([self._random_choice()])

    def finish(self) -> None:
        """Every thread has ended: what is still in flight happens."""
        self._complete(list(self.pending))

    def _group(self, kind: str) -> NDArray[np.int64]:
        if kind not in self._groups:
            self._groups[kind] = np.zeros((self.batch.instances, WARP_LANES), np.int64)
        return self._groups[kind]

    def _unit(self) -> list[Operation]:
        """The first operation in flight that closes, after those of its kind that were issued before it."""
        found: dict[str, list[Operation]] = {}
        for operation in self.pending:
            found.setdefault(operation.kind, []).append(operation)
            if operation.closes:
                return found[operation.kind]
        return found[self.pending[0].kind]

    def _random_choice(self) -> Operation:
        """The first operation in flight of a random kind and issuing front."""
        chosen = self.pending[int(self.batch.random.integers(len(self.pending)))]
        return next(o for o in self.pending if o.kind == chosen.kind)

    def _complete(self, operations: list[Operation]) -> None:
        chosen = set(map(id, operations))
        self.pending = [o for o in self.pending if id(o) not in chosen]
        for _, same in groupby(operations, key=lambda o: o.perform):
            self._do(list(same))

    def _do(self, operations: list[Operation]) -> None:
        site, self.batch.site = self.batch.site, operations[0].site
        operations[0].perform([o.payload for o in operations])
        self.batch.site = site
