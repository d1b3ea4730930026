"""A translated basic block: its function, and how the registers of a front are handed to it and written back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front
from backends.emulator.program import Row

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Next = Any
"""What a block's function returns: None (the next block), a block number, (mask, block) or PARKED."""


@dataclass(frozen=True)
class View:
    """A register as a block's function sees it: row `row` as elements of `dtype`."""

    row: Row
    dtype: str


@dataclass(frozen=True)
class Block:
    """`function(batch, front, *views)` runs the block for a front; `source` is its text.

    A front of whole warps in a slice gets views of the registers themselves. Any other gets copies, and `written`
    rows are copied back for the lanes that take part. `live_in`: rows that are read before the block has written them;
    `killed`: rows that it writes in every lane that runs.
    """

    number: int
    function: Callable[..., Next]
    source: str
    views: tuple[View, ...]
    written: frozenset[Row]
    length: int
    live_in: frozenset[Row] = frozenset()
    killed: frozenset[Row] = frozenset()

    @property
    def numpy(self) -> Block:
        """Itself: what a native block falls back on."""
        return self

    def run(self, batch: Batch, front: Front) -> Next:
        """Execute for all threads of `front`."""
        if front.is_plain:
            return self.function(batch, front, *self._views(batch, front))
        copies = self._copies(batch, front)
        following = self.function(batch, front, *(copies[v.row].view(v.dtype) for v in self.views))
        for row in self.written:
            _write_back(batch.registers[row.width][row.index], front, copies[row])
        return following

    def _views(self, batch: Batch, front: Front) -> tuple[NDArray[Any], ...]:
        assert isinstance(front.warps, slice)
        key = (self.number, front.warps.start, front.warps.stop)
        views = batch.views.get(key)
        if views is None:
            registers = batch.registers
            views = tuple(registers[v.row.width][v.row.index, front.warps].view(v.dtype) for v in self.views)
            batch.views[key] = views
        return views

    def _copies(self, batch: Batch, front: Front) -> dict[Row, NDArray[Any]]:
        return {
            row: np.array(batch.registers[row.width][row.index][front.warps], copy=True)
            for row in dict.fromkeys(v.row for v in self.views)
        }


def _write_back(register: NDArray[Any], front: Front, value: NDArray[Any]) -> None:
    if front.mask is None:
        register[front.warps] = value
        return
    if isinstance(front.warps, slice):
        np.copyto(register[front.warps], value, where=front.mask)
        return
    warp, lane = np.nonzero(front.mask)
    register[front.warps[warp], lane] = value[warp, lane]
