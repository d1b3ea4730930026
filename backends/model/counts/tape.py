"""Tapes: what CTAs access in global and local memory, in their own order, in windows of their run.

A window is the same part of all executions of a block by a warp, around the middle of a long loop, so that the windows
of nested loops and of warps that work together lie at the same time. What comes in the first half of a window only
warms the caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import GROUPS, SECTORS_PER_LINE, group_of
from backends.emulator.counters.sectors import touched
from backends.emulator.counters.stream import KINDS, PAST_L1
from backends.emulator.counters.watch import Watch, Watched
from backends.emulator.fronts import Front, Mask
from backends.model.counts.loaded import Counts

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
# Blocks that a warp executes no more often than this are followed whole; windows are not shorter than the other.
WHOLE_EXECUTIONS = 32
_SHORTEST_WINDOW = 16
# Local memory lies beyond what global memory can have.
_LOCAL_SECTORS = 1 << 45
_LINE_SHIFT = SECTORS_PER_LINE.bit_length() - 1


@dataclass(frozen=True, eq=False)
class Tape:
    """Sectors in order, all arrays (n,): the CTA's linear index, its request (any number), the step of the batch, the
    instruction, its kind (LOAD, STORE, ATOMIC), whether it looks in the L1, whether it counts or only warms the caches,
    and the sector.
    """

    cta: Array
    request: Array
    event: Array
    site: Array
    kind: Array
    uses_l1: Array
    counts: Array
    sector: Array

    def where(self, chosen: Array) -> Tape:
        """Some of its entries."""
        return Tape(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def of(self, cta: int) -> Tape:
        """The part of one CTA; a tape is sorted by CTA."""
        low, high = np.searchsorted(self.cta, [cta, cta + 1])
        return self.where(np.arange(low, high))

    @staticmethod
    def joined(parts: Sequence[Tape]) -> Tape:
        """One after the other."""
        return Tape(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Tape)))

    def in_lines(self) -> tuple[Tape, Array]:
        """One entry for each line of each request, and masks of its sectors; `sector` is the line's number then."""
        lines = self.sector >> _LINE_SHIFT
        is_new = np.ones(len(lines), np.bool_)
        is_new[1:] = (
            (lines[1:] != lines[:-1]) | (self.request[1:] != self.request[:-1]) | (self.cta[1:] != self.cta[:-1])
        )
        first = np.flatnonzero(is_new)
        bits = np.left_shift(np.uint8(1), (self.sector & (SECTORS_PER_LINE - 1)).astype(np.uint8))
        masks = np.bitwise_or.reduceat(bits, first) if len(first) else bits
        chosen = self.where(first)
        return Tape(*(lines[first] if f.name == "sector" else getattr(chosen, f.name) for f in fields(Tape))), masks


class Recorder:
    """Takes the accesses of batches, to lines in the first so many of the caches' groups."""

    def __init__(self, opcodes: Sequence[tuple[str, ...]], groups: int = GROUPS) -> None:
        self.groups = groups
        self.past_l1 = [bool(PAST_L1.intersection(parts)) for parts in opcodes]
        self.counts = True
        self._parts: list[tuple[Array, ...]] = []
        self._requests = 0

    def add(self, site: int, step: int, space: str, kind: str, sectors: Array, ctas: Array, requests: Array) -> None:
        """One instruction; see `Sink`."""
        uses_l1 = space != "tma" and kind != "atomic" and not self.past_l1[site]
        numbers = sectors + _LOCAL_SECTORS if space == "local" else sectors
        if self.groups < GROUPS:
            chosen = np.flatnonzero(group_of(numbers >> _LINE_SHIFT) < self.groups)
            numbers, ctas, requests = numbers[chosen], ctas[chosen], requests[chosen]
        count = len(numbers)
        if not count:
            return
        constant = [np.full(count, v) for v in (step, site, KINDS[kind], uses_l1, self.counts)]
        self._parts.append((ctas, requests + self._requests, *constant, numbers))
        self._requests += int(requests.max()) + 1

    def tape(self) -> Tape:
        """All of it, by CTA."""
        if not self._parts:
            nothing = np.zeros(0, np.int64)
            return Tape(*[nothing] * len(fields(Tape)))
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        cta, request, step, site, kind, uses_l1, counts, sector = (column[order] for column in columns)
        return Tape(cta, request, step, site, kind, uses_l1, counts, sector)


class Windows:
    """Watches the windows of CTAs whose counts are known. share: of the executions of a long loop."""

    def __init__(
        self, counts: Mapping[int, Counts], share: float, opcodes: Sequence[tuple[str, ...]], groups: int = GROUPS
    ) -> None:
        self.counts = counts
        self.share = share
        self.recorder = Recorder(opcodes, groups)
        self.watched = Watched(opcodes, self.recorder)
        self._batch: Batch | None = None
        self._bounds: tuple[Array, ...] = ()

    def watches(self, batch: Batch, front: Front, block: int) -> bool:
        """See `Plan.watches`."""
        if self._batch is not batch:
            self._batch = batch
            self._bounds = self._of(batch)
            batch.observer = _TapeWatch(batch, self.watched)
        executed = batch.scheduler.warp_counts
        assert executed is not None, "warps are counted while a plan decides"
        first = front.warps.start if isinstance(front.warps, slice) else front.warps[0]
        number = executed[block, first] - 1
        start, middle, stop = (bound[block, first] for bound in self._bounds)
        self.recorder.counts = bool(number >= middle)
        return bool(start <= number < stop)

    def _of(self, batch: Batch) -> tuple[Array, Array, Array]:
        """First execution, first that counts, and end of the window: (blocks, instances) each."""
        counts = np.stack([self.counts[n] for n in batch.numbers.tolist()])
        executed = counts.transpose(2, 1, 0).reshape(counts.shape[2], -1)
        length = np.maximum(np.rint(self.share * executed), _SHORTEST_WINDOW).astype(np.int64)
        is_whole = (executed <= WHOLE_EXECUTIONS) | (length >= executed)
        start = np.where(is_whole, 0, (executed - length) // 2)
        return start, np.where(is_whole, 0, start + length // 2), np.where(is_whole, executed, start + length)


class Firsts(Windows):
    """Watches the first execution of each block by each warp."""

    def __init__(self, opcodes: Sequence[tuple[str, ...]]) -> None:
        super().__init__({}, 1.0, opcodes)

    def _of(self, batch: Batch) -> tuple[Array, Array, Array]:
        shape = (len(batch.program.blocks), batch.instances)
        return np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.ones(shape, np.int64)


class _TapeWatch(Watch):
    """Hears of global and local memory and of bulk copies alone."""

    def guard(self, front: Front, index: int, guard: Mask) -> None:
        """Nothing."""

    def branch(self, front: Front, taken: Mask) -> None:
        """Nothing."""

    def _global(self, front: Front, flat: Array, nbytes: int, active: Mask | None, kind: str) -> None:
        """The sectors alone."""
        self._note("global", front, touched(flat, nbytes, active), kind)

    def _shared(self, front: Front, flat: Array, nbytes: int, active: Mask | None, kind: str) -> None:
        """Nothing."""
