"""What asynchronous engines touch: wgmma reads tiles of shared memory, bulk copies and remote stores move bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.bulk import RunCopy, TensorCopy
from backends.emulator.checkers.conflicts import Actors, Conflicts
from backends.emulator.checkers.phases import Phases
from backends.emulator.checkers.shadow import ALL_LANES, Shadow, SharedShadow
from backends.emulator.checkers.undefined import UndefinedValues
from backends.emulator.cluster import RemoteStore
from backends.emulator.fronts import Front, Mask
from backends.emulator.spaces import GLOBAL_BASE
from backends.emulator.tensor import boxes
from backends.emulator.tensor.descriptors import decode_wgmma
from backends.emulator.tensor.swizzle import UNIT_BYTES, matrix_units

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
_M = 64


class Engines:
    """Hands the accesses of wgmma, bulk copies and remote stores, when they are issued, to the conflict checks."""

    def __init__(
        self, batch: Batch, conflicts: Conflicts, phases: Phases, shared: SharedShadow, memory: Shadow,
        undefined: UndefinedValues,
    ) -> None:  # fmt: skip
        self.undefined = undefined
        self.batch = batch
        self.conflicts = conflicts
        self.clocks = conflicts.clocks
        self.phases = phases
        self.shared = shared
        self.memory = memory

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any) -> None:
        """`wgmma.mma_async` and the bulk copies; other events touch no memory."""
        handlers: dict[str, Any] = {
            "wgmma.mma_async": self._multiply, "bulk.tensor_load": self._load, "bulk.tensor_store": self._store,
            "bulk.run_load": self._load, "bulk.run_store": self._store, "bulk.run_to_cluster": self._load,
            "st.async": self._store_remotely, "red.async": self._store_remotely,
        }  # fmt: skip
        if name in handlers:
            handlers[name](front, front.full_mask() if lanes is None else lanes, detail)

    # wgmma

    def _multiply(self, front: Front, lanes: Mask, issued: Any) -> None:
        del front, lanes
        spec = issued.multiply
        time = self.conflicts.log.add(self.batch.site)
        if issued.a is not None:
            self._read_tiles(issued, issued.a, _M, spec.a_k_major, time)
        self._read_tiles(issued, issued.b, spec.n, spec.b_k_major, time)

    def _read_tiles(self, issued: Any, descriptors: Array, rows: int, k_major: bool, time: int) -> None:
        """All four warps of a warpgroup read the whole tile: each may be the one that runs behind."""
        spec = issued.multiply
        for word in np.unique(descriptors):
            chosen = descriptors == word
            try:
                units = matrix_units(
                    decode_wgmma(int(word)), rows, spec.k * spec.element_bytes, spec.element_bytes, k_major
                )
            except ValueError:
                # The multiplication itself reports a descriptor that it cannot read.
                continue
            instance = issued.groups[chosen].reshape(-1)
            cells = self._shared_cells(np.unique(units) * UNIT_BYTES, instance % self.batch.ctas)
            agent = self.clocks.column("wgmma", instance)
            who = Actors(instance, agent, np.full(len(instance), ALL_LANES), is_async=True)
            self.conflicts.read(self.shared, who, cells, time)
            self.undefined.engine_reads(instance, cells)

    def _shared_cells(self, units: Array, ctas: Array) -> Array:
        """Cells (n, units) of 16-byte units at byte addresses of the shared memory of each of n CTAs."""
        flat = (ctas * self.batch.shared.stride_bytes)[:, None] + units
        return self._cells(self.shared, flat)

    def _cells(self, shadow: Shadow, flat: Array) -> Array:
        """Cells (n, all) of the 16-byte units that start at byte offsets (n, units)."""
        first = (flat - shadow.base) >> shadow.shift
        steps = np.arange(UNIT_BYTES >> shadow.shift)
        cells: Array = (first[:, :, None] + steps).reshape(len(flat), -1)
        return cells

    # Bulk copies

    def _load(self, front: Front, lanes: Mask, copy: TensorCopy | RunCopy) -> None:
        """Into shared memory: the copy is complete when the phase of its mbarrier is."""
        assert copy.word is not None
        instance, lane = _issuers(front, lanes, len(copy.word))
        places = self._shared_places(copy)
        objects = Actors(instance, self.clocks.column("bulk-read", instance), lane, is_async=True)
        self.conflicts.complete_at(self.shared, objects, self.shared.cells(copy.word * 8, 8))
        agent = self.phases.issue(copy.word, np.array([len(p) * UNIT_BYTES for p in places], np.int64))
        time = self.conflicts.log.add(self.batch.site)
        sources = self._sources(copy)
        for index, place in enumerate(places):
            who = _one(instance, agent, lane, index)
            if sources is not None:
                self.conflicts.read(self.memory, who, sources[index], time)
            self.conflicts.write(self.shared, who, self._cells(self.shared, place[None]), time)

    def _store_remotely(self, front: Front, lanes: Mask, detail: tuple[RemoteStore, Array, int]) -> None:
        """`st.async` and `red.async` within a cluster: complete when the phase of their mbarrier is."""
        store, flat, nbytes = detail
        instance, lane = _issuers(front, lanes, len(store.words))
        agent = self.phases.issue(store.words, np.full(len(store.words), nbytes, np.int64))
        time = self.conflicts.log.add(self.batch.site)
        cells = self.shared.cells(flat[lanes], nbytes)
        self.conflicts.write(self.shared, Actors(instance, agent, lane), cells, time, store.update is not None)

    def _store(self, front: Front, lanes: Mask, copy: TensorCopy | RunCopy) -> None:
        """Out of shared memory: complete when a wait for its bulk group is."""
        places = self._shared_places(copy)
        instance, lane = _issuers(front, lanes, len(places))
        time = self.conflicts.log.add(self.batch.site)
        targets = self._targets(copy)
        reads, writes = (self.clocks.column(kind, instance) for kind in ("bulk-read", "bulk-write"))
        for index, place in enumerate(places):
            cells = self._cells(self.shared, place[None])
            self.conflicts.read(self.shared, _one(instance, reads, lane, index), cells, time)
            self.undefined.engine_reads(instance, cells)
            # Reductions are atomic element by element.
            ordered = copy.reduction is not None
            self.conflicts.write(self.memory, _one(instance, writes, lane, index), targets[index], time, ordered)

    def _shared_places(self, copy: TensorCopy | RunCopy) -> list[Array]:
        """Byte offsets of the 16-byte units in shared memory, for each copy."""
        if isinstance(copy, RunCopy):
            starts = copy.target if copy.word is not None else copy.source
            runs = zip(starts.tolist(), copy.nbytes.tolist(), strict=True)
            return [np.arange(start, start + count, UNIT_BYTES) for start, count in runs]
        box = self.batch.bulk.box_of(copy)
        nbytes = box.row_bytes * box.starts.shape[1]
        units = [self.batch.bulk.units_of(copy.map, place, nbytes) for place in copy.shared.tolist()]
        return [(np.arange(u.start, u.stop) if isinstance(u, slice) else u) * UNIT_BYTES for u in units]

    def _sources(self, copy: TensorCopy | RunCopy) -> list[Array] | None:
        """Cells (1, any) of global memory that loads read; None for a copy from shared memory."""
        if isinstance(copy, TensorCopy):
            return self._box_cells(copy)
        if self.batch.program.instructions[self.batch.site].opcode.count("shared") > 1:
            return None
        return [self._run_cells(s, n) for s, n in zip(copy.source.tolist(), copy.nbytes.tolist(), strict=True)]

    def _targets(self, copy: TensorCopy | RunCopy) -> list[Array]:
        if isinstance(copy, TensorCopy):
            return self._box_cells(copy)
        return [self._run_cells(s, n) for s, n in zip(copy.target.tolist(), copy.nbytes.tolist(), strict=True)]

    def _run_cells(self, start: int, nbytes: int) -> Array:
        first, end = (
            (start - self.memory.base) >> self.memory.shift,
            -(-(start + nbytes - self.memory.base) >> self.memory.shift),
        )
        return np.arange(first, end)[None]

    def _box_cells(self, copy: TensorCopy) -> list[Array]:
        """Cells that lie wholly in the part of each box that is inside the tensor."""
        box = self.batch.bulk.box_of(copy)
        origin = copy.map.address - GLOBAL_BASE - self.memory.base
        return [_rows_cells(box, index, origin, self.memory) for index in range(len(box.starts))]


def _rows_cells(box: boxes.Box, index: int, origin: int, memory: Shadow) -> Array:
    starts = box.starts[index][box.valid[index]] + origin
    if not len(starts):
        return np.zeros((1, 0), np.int64)
    low, high = int(box.first_byte[index]), int(box.end_byte[index])
    first = -(-(starts + low) >> memory.shift)
    count = (high - low) >> memory.shift
    cells: Array = (first[:, None] + np.arange(count)).reshape(1, -1)
    return cells


def _issuers(front: Front, lanes: Mask, copies: int) -> tuple[Array, Array]:
    """Instance and lane that issued each copy; a multicast is as many copies as it has targets."""
    warp, lane = np.nonzero(lanes)
    repeats = max(copies // max(len(warp), 1), 1)
    return np.repeat(front.indices()[warp], repeats), np.repeat(lane, repeats)


def _one(instance: Array, agent: Array, lane: Array, index: int) -> Actors:
    one = slice(index, index + 1)
    return Actors(instance[one], agent[one], lane[one], is_async=True)
