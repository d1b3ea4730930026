"""Shadow memory: who wrote each unit of memory last, and who has read it since.

An *epoch* is one 64-bit word: time (event number), agent (column of the clocks), lane. Zero: never.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_LANE_BITS, _AGENT_BITS = 8, 18
TIME_SHIFT = _LANE_BITS + _AGENT_BITS
AGENT_MASK = (1 << _AGENT_BITS) - 1
LANE_MASK = (1 << _LANE_BITS) - 1
ALL_LANES = LANE_MASK


def epochs_of(time: int, agent: Array, lane: Array) -> Array:
    """Pack epochs.

    >>> e = epochs_of(7, np.array([3]), np.array([31]))
    >>> int(e[0]) >> TIME_SHIFT, int(agent_of(e)[0]), int(lane_of(e)[0])
    (7, 3, 31)
    """
    packed: Array = (time << TIME_SHIFT) | (agent.astype(np.int64) << _LANE_BITS) | lane
    return packed


def agent_of(epochs: Array) -> Array:
    """The agents of epochs."""
    return (epochs >> _LANE_BITS) & AGENT_MASK


def lane_of(epochs: Array) -> Array:
    """The lanes of epochs."""
    return epochs & LANE_MASK


class Shadow:
    """Shadow of `cells` units of `1 << shift` bytes. Arrays are committed by the system when they are first touched.

    `written_before`: units that held something before the launch; None for none. `write`: epoch of the last write.
    `recent`, `before`: epochs of the last read, and of the last by another agent.
    """

    def __init__(self, name: str, base: int, nbytes: int, granule: int) -> None:
        self.name = name
        self.base = base
        self.shift = granule.bit_length() - 1
        cells = (nbytes >> self.shift) + 1
        self.write = np.zeros(cells, np.int64)
        self.written_before: NDArray[np.bool_] | None = None
        self.recent = np.zeros(cells, np.int64)
        self.before = np.zeros(cells, np.int64)

    @property
    def granule(self) -> int:
        """Bytes of a unit."""
        return 1 << self.shift

    def cells(self, flat: Array, nbytes: int) -> Array:
        """Units of accesses of `nbytes` at byte offsets (n,), shape (n, units)."""
        first: Array = ((flat - self.base) >> self.shift)[:, None]
        return first if nbytes <= self.granule else first + np.arange(nbytes >> self.shift)

    def offset(self, cell: int) -> int:
        """Byte offset of a unit."""
        return self.base + (cell << self.shift)

    def note_write(self, cells: Array, epochs: Array) -> None:
        """`epochs` (n, 1) wrote `cells` (n, units); the reads before are forgotten."""
        self.write[cells] = epochs
        self.recent[cells] = 0
        self.before[cells] = 0

    def note_read(self, cells: Array, epochs: Array) -> None:
        """`epochs` (n, 1) read `cells` (n, units)."""
        old = self.recent[cells]
        moves = (old != 0) & (agent_of(old) != agent_of(epochs))
        if moves.any():
            self.before[cells[moves]] = old[moves]
        self.recent[cells] = epochs
        lost = self.recent[cells] != epochs
        if lost.any():
            self._share(cells[lost], np.broadcast_to(epochs, cells.shape)[lost])

    def _share(self, cells: Array, epochs: Array) -> None:
        """Several lanes read a unit at once: the second slot keeps one of another warp, or several lanes are marked."""
        winner = self.recent[cells]
        same = agent_of(winner) == agent_of(epochs)
        self.recent[cells[same]] = winner[same] | ALL_LANES
        self.before[cells[~same]] = epochs[~same]

    def readers(self, cells: Array) -> tuple[Array, ...]:
        """Epochs of reads that a write of `cells` may conflict with."""
        return self.recent[cells], self.before[cells]


class SharedShadow(Shadow):
    """Shadow of shared memory, which remembers the last read of every agent of the CTA's cluster.

    `columns` (CTAs of the batch, readers): the agents that may read the shared memory of each CTA. `undefined`: units
    that were written with what nobody has defined; None for none.
    """

    def __init__(self, name: str, nbytes: int, granule: int, stride_bytes: int, columns: Array) -> None:
        super().__init__(name, 0, nbytes, granule)
        self.columns = columns
        self.undefined: NDArray[np.bool_] | None = None
        self.stride_cells = stride_bytes >> self.shift
        self.reads = np.zeros((len(self.write), columns.shape[1]), np.int32)

    def note_write(self, cells: Array, epochs: Array) -> None:
        """As above; all readers are forgotten."""
        super().note_write(cells, epochs)
        self.reads[cells] = 0
        if self.undefined is not None:
            self.undefined[cells] = False

    def note_reads(self, cells: Array, reader: Array, time: int) -> None:
        """`reader` (n,): index in the columns of the agent that reads."""
        self.reads[cells, reader[:, None]] = time
