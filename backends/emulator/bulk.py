"""Bulk asynchronous copies (TMA): boxes of tensors and plain runs of bytes, between global and shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.atomics import Update, update_of
from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import GlobalSpace, SharedSpace
from backends.emulator.semantics.table import storage
from backends.emulator.spaces import GLOBAL_BASE
from backends.emulator.tensor import boxes
from backends.emulator.tensor.swizzle import UNIT_BYTES
from backends.emulator.tensor.tensor_map import TensorMap, TensorMapError
from backends.emulator.tensor.tensor_map_bytes import decode

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
LOAD = "bulk-load"
GROUP = "bulk-group"
MAP_BYTES = 128
# CUDA driver API, CUtensorMap: the object is aligned to 64 bytes.
_MAP_ALIGNMENT_BYTES = 64
_UNIT = UNIT_BYTES


@dataclass(frozen=True)
class Reduction:
    """What a reducing store does with memory of type `kind`."""

    kind: str
    update: Update


@dataclass(frozen=True, eq=False)
class TensorCopy:
    """Copies in flight, one per lane that issued one. `shared`: flat byte offsets of the boxes, shape (lanes,).

    `word`: the mbarrier objects of a load.
    """

    map: TensorMap
    coordinates: Array
    shared: Array
    word: Array | None
    reduction: Reduction | None
    is_gather: bool


@dataclass(frozen=True, eq=False)
class RunCopy:
    """Copies of runs of bytes: flat offsets of targets and sources, and lengths, each of shape (lanes,)."""

    target: Array
    source: Array
    nbytes: Array
    word: Array | None
    reduction: Reduction | None


# The type in which a reducing store computes, by the map's element type.
_KINDS = {
    "UINT8": "u8", "UINT16": "u16", "UINT32": "u32", "INT32": "s32", "UINT64": "u64", "INT64": "s64",
    "FLOAT16": "f16", "FLOAT32": "f32", "FLOAT64": "f64", "BFLOAT16": "bf16", "FLOAT32_FTZ": "f32",
}  # fmt: skip


@lru_cache(maxsize=1024)
def _decoded(data: bytes) -> TensorMap:
    return decode(data)


class BulkCopies:
    """The bulk copies of a batch. Without `moves_data` they complete, and say where they go, but move nothing."""

    def __init__(self, batch: Batch, memory: GlobalSpace, shared: SharedSpace) -> None:
        self.batch = batch
        self.moves_data = True
        self.memory = memory
        self.shared = shared

    # Tensors

    def tensor_load(
        self, front: Front, target: tuple[Any, int], tensor_map: tuple[Any, int], coordinates: list[Any],
        barrier: tuple[Any, int], multicast: Any, is_gather: bool, guard: Mask | None,
    ) -> None:  # fmt: skip
        """Each lane loads a box of its tensor to shared memory; the bytes complete at its mbarrier."""
        active = front.full_mask(guard)
        for chosen, decoded in self._maps(front, tensor_map, active):
            to = self._shared_places(front, target, _UNIT, chosen)
            words = self._shared_places(front, barrier, 8, chosen) >> 3
            places = _lanes(coordinates, chosen)
            to, words, places = self._multicast(multicast, chosen, to, words, places)
            copy = TensorCopy(decoded, places, to, words, None, is_gather)
            self._note(front, "bulk.tensor_load", chosen, copy)
            self.batch.agents.issue(LOAD, self._load_boxes, copy, front, chosen)

    def tensor_store(
        self, front: Front, source: tuple[Any, int], tensor_map: tuple[Any, int], coordinates: list[Any],
        operation: str | None, is_gather: bool, guard: Mask | None,
    ) -> None:  # fmt: skip
        """Each lane stores, or reduces, a box from shared memory, as part of its bulk group."""
        active = front.full_mask(guard)
        for chosen, decoded in self._maps(front, tensor_map, active):
            origin = self._shared_places(front, source, _UNIT, chosen)
            reduction = self._reduction(decoded, operation) if operation else None
            copy = TensorCopy(decoded, _lanes(coordinates, chosen), origin, None, reduction, is_gather)
            self._note(front, "bulk.tensor_store", chosen, copy)
            self.batch.agents.issue(GROUP, self._store_boxes, copy, front, chosen)

    # Runs of bytes

    def run_load(
        self, front: Front, target: tuple[Any, int], source: tuple[Any, int], nbytes: Any, barrier: tuple[Any, int],
        multicast: Any, guard: Mask | None,
    ) -> None:  # fmt: skip
        """Copy bytes from global memory, or from this CTA's shared memory, to shared memory."""
        active = front.full_mask(guard)
        if not active.any():
            return
        count = self._lengths(nbytes, active)
        to = self._shared_runs(front, target, count, active)
        words = self._shared_places(front, barrier, 8, active) >> 3
        origin = self._global_places(front, source, active)
        self._check_runs(origin, count)
        columns = np.stack((origin, count), axis=1)
        to, words, columns = self._multicast(multicast, active, to, words, columns)
        copy = RunCopy(to, columns[:, 0], columns[:, 1], words, None)
        self._note(front, "bulk.run_load", active, copy)
        self.batch.agents.issue(LOAD, self._load_runs, copy, front, active)

    def run_store(
        self, front: Front, target: tuple[Any, int], source: tuple[Any, int], nbytes: Any,
        reduction: Reduction | None, guard: Mask | None,
    ) -> None:  # fmt: skip
        """Copy, or reduce, bytes from shared to global memory, as part of the lane's bulk group."""
        active = front.full_mask(guard)
        if not active.any():
            return
        count = self._lengths(nbytes, active)
        to = self._global_places(front, target, active)
        self._check_runs(to, count)
        copy = RunCopy(to, self._shared_runs(front, source, count, active), count, None, reduction)
        self._note(front, "bulk.run_store", active, copy)
        self.batch.agents.issue(GROUP, self._store_runs, copy, front, active)

    def run_to_cluster(
        self, front: Front, target: tuple[Any, int], source: tuple[Any, int], nbytes: Any, barrier: tuple[Any, int],
        guard: Mask | None,
    ) -> None:  # fmt: skip
        """Copy bytes from this CTA's shared memory to another CTA's of the cluster."""
        active = front.full_mask(guard)
        if not active.any():
            return
        count = self._lengths(nbytes, active)
        words = self._shared_places(front, barrier, 8, active) >> 3
        to, origin = (self._shared_runs(front, place, count, active) for place in (target, source))
        copy = RunCopy(to, origin, count, words, None)
        self._note(front, "bulk.run_to_cluster", active, copy)
        self.batch.agents.issue(LOAD, self._copy_shared, copy, front, active)

    # Groups

    def commit(self, front: Front, guard: Mask | None) -> None:
        """`cp.async.bulk.commit_group`."""
        self.batch.agents.commit(GROUP, front, guard)
        self._note(front, "bulk.commit_group", front.full_mask(guard))

    def wait(self, front: Front, newest: int, reads_only: bool, guard: Mask | None) -> None:
        """`cp.async.bulk.wait_group{.read} N`."""
        self.batch.agents.wait(GROUP, front, newest, guard)
        name = "bulk.wait_group.read" if reads_only else "bulk.wait_group"
        self._note(front, name, front.full_mask(guard), newest)

    # What happens when they complete

    def _load_boxes(self, copies: list[TensorCopy]) -> None:
        memory = self.memory.units[1]
        units = self.shared.units[_UNIT]
        for copy in copies:
            box = self.box_of(copy)
            nbytes = box.row_bytes * box.starts.shape[1]
            if self.moves_data:
                data = np.ascontiguousarray(boxes.load(memory, copy.map.address - GLOBAL_BASE, copy.map, box))
                for place, row in zip(copy.shared.tolist(), data.view(np.complex128), strict=True):
                    units[self.units_of(copy.map, place, nbytes)] = row
            assert copy.word is not None
            self.batch.mbarriers.complete_bytes(copy.word, np.full(len(copy.word), nbytes, np.int64))

    def _store_boxes(self, copies: list[TensorCopy]) -> None:
        units = self.shared.units[_UNIT]
        for copy in copies if self.moves_data else ():
            box = self.box_of(copy)
            nbytes = box.row_bytes * box.starts.shape[1]
            rows = [units[self.units_of(copy.map, place, nbytes)] for place in copy.shared.tolist()]
            data = np.stack(rows).view(np.uint8)
            if copy.reduction is not None:
                data = self._reduced(copy, box, data)
            boxes.store(self.memory.units[1], copy.map.address - GLOBAL_BASE, box, data)

    def _reduced(self, copy: TensorCopy, box: boxes.Box, data: Array) -> Array:
        """What a reducing store writes; boxes are done one by one, for they may overlap."""
        assert copy.reduction is not None
        origin = copy.map.address - GLOBAL_BASE
        memory = self.memory.units[1]
        if len(data) > 1:
            for index in range(len(data)):
                one = TensorCopy(
                    copy.map, copy.coordinates[index : index + 1], copy.shared[index : index + 1], None, copy.reduction,
                    copy.is_gather,
                )  # fmt: skip
                self._store_boxes([one])
            return boxes.load(memory, origin, copy.map, box)
        old = boxes.load(memory, origin, copy.map, box)
        dtype = storage(copy.reduction.kind)
        updated = copy.reduction.update(old.view(dtype), data.view(dtype), None)
        return np.ascontiguousarray(updated).view(np.uint8).reshape(old.shape)

    def _reduction(self, tensor_map: TensorMap, operation: str) -> Reduction:
        kind = _KINDS.get(tensor_map.dtype.name, "")
        update = update_of(operation, kind) if kind else None
        if update is None:
            raise self.batch.fault_here(
                "bad-tensor-map", f"no reduction `{operation}` of elements {tensor_map.dtype.name}"
            )
        return Reduction(kind, update)

    def _load_runs(self, copies: list[RunCopy]) -> None:
        self._copy_runs(copies, self.memory.units[1], self.shared.units[1])

    def _copy_shared(self, copies: list[RunCopy]) -> None:
        self._copy_runs(copies, self.shared.units[1], self.shared.units[1])

    def _copy_runs(self, copies: list[RunCopy], origin: Array, target: Array) -> None:
        for copy in copies:
            runs = zip(copy.target.tolist(), copy.source.tolist(), copy.nbytes.tolist(), strict=True)
            for to, start, count in runs if self.moves_data else ():
                target[to : to + count] = origin[start : start + count]
            assert copy.word is not None
            self.batch.mbarriers.complete_bytes(copy.word, copy.nbytes)

    def _store_runs(self, copies: list[RunCopy]) -> None:
        memory, shared = self.memory.units[1], self.shared.units[1]
        for copy in copies if self.moves_data else ():
            for to, start, count in zip(copy.target.tolist(), copy.source.tolist(), copy.nbytes.tolist(), strict=True):
                data = shared[start : start + count]
                if copy.reduction is not None:
                    dtype = storage(copy.reduction.kind)
                    data = copy.reduction.update(memory[to : to + count].view(dtype), data.view(dtype), None).view(
                        np.uint8
                    )
                memory[to : to + count] = data

    # Places

    def _maps(self, front: Front, tensor_map: tuple[Any, int], active: Mask) -> list[tuple[Mask, TensorMap]]:
        """The tensor maps that lanes use, each with its lanes."""
        if not active.any():
            return []
        address, offset = tensor_map
        places = np.broadcast_to(address, active.shape)
        found = []
        for place in np.unique(places[active]):
            chosen = active & (places == place)
            flat = self.memory.flat(front, places, offset, _MAP_ALIGNMENT_BYTES, chosen)
            self.memory.flat(front, places, offset + MAP_BYTES - _MAP_ALIGNMENT_BYTES, _MAP_ALIGNMENT_BYTES, chosen)
            start = int(flat[chosen][0])
            try:
                found.append((chosen, _decoded(self.memory.units[1][start : start + MAP_BYTES].tobytes())))
            except TensorMapError as error:
                lane = np.unravel_index(chosen.argmax(), chosen.shape)
                raise self.batch.fault("bad-tensor-map", f"at {int(place):#x}: {error}", front, lane) from error
        return found

    def box_of(self, copy: TensorCopy) -> boxes.Box:
        """The rows in global memory that the copies of all lanes move."""
        try:
            box = (boxes.gather_rows if copy.is_gather else boxes.tile_box)(copy.map, copy.coordinates)
        except TensorMapError as error:
            raise self.batch.fault_here("bad-tensor-map", str(error)) from error
        low, high = boxes.extent(box)
        origin = copy.map.address - GLOBAL_BASE
        if high > low and not self.memory.arena.within(origin + low, origin + high):
            raise self.batch.fault_here(
                "out-of-bounds",
                f"a tensor's box takes bytes {low} to {high} from {copy.map.address:#x}, which are in no buffer",
            )
        return box

    def units_of(self, tensor_map: TensorMap, place: int, nbytes: int) -> Any:
        """The 16-byte units of all shared memory where a box at flat offset `place` lies, in order."""
        start, inside = place - place % self.shared.stride_bytes, place % self.shared.stride_bytes
        if inside + nbytes > self.shared.nbytes:
            message = f"a box of {nbytes} bytes at shared address {inside:#x}, the CTA has {self.shared.nbytes} bytes"
            raise self.batch.fault_here("out-of-bounds", message)
        try:
            units = boxes.shared_units(tensor_map, inside, nbytes)
        except TensorMapError as error:
            raise self.batch.fault_here("bad-tensor-map", str(error)) from error
        shift = start // _UNIT
        return slice(units.start + shift, units.stop + shift) if isinstance(units, slice) else units + shift

    def _shared_places(self, front: Front, place: tuple[Any, int], nbytes: int, chosen: Mask) -> Array:
        flat = self.shared.flat(front, np.asarray(place[0]), place[1], nbytes, None if chosen.all() else chosen)
        return flat[chosen]

    def _shared_runs(self, front: Front, place: tuple[Any, int], count: Array, chosen: Mask) -> Array:
        """Where runs of `count` bytes of shared memory start; all of each lies in its CTA's."""
        start = self._shared_places(front, place, _UNIT, chosen)
        inside = start % self.shared.stride_bytes
        outside = np.flatnonzero(inside + count > self.shared.nbytes)
        if len(outside):
            lane = tuple(int(axis[outside[0]]) for axis in np.nonzero(chosen))
            message = (
                f"{int(count[outside[0]])} bytes at shared address {int(inside[outside[0]]):#x}, the CTA has"
                f" {self.shared.nbytes} bytes"
            )
            raise self.batch.fault("out-of-bounds", message, front, lane, len(outside))
        return start

    def _global_places(self, front: Front, place: tuple[Any, int], chosen: Mask) -> Array:
        flat = self.memory.flat(front, np.asarray(place[0]), place[1], _UNIT, None if chosen.all() else chosen)
        return flat[chosen]

    def _lengths(self, nbytes: Any, active: Mask) -> Array:
        count = np.broadcast_to(nbytes, active.shape)[active].astype(np.int64)
        if (count % _UNIT).any():
            raise self.batch.fault_here(
                "misaligned", f"a bulk copy of {int(count[0])} bytes, which is no multiple of 16"
            )
        return count

    def _check_runs(self, start: Array, count: Array) -> None:
        for first, length in zip(start.tolist(), count.tolist(), strict=True):
            if length and not self.memory.arena.within(first, first + length):
                raise self.batch.fault_here(
                    "out-of-bounds", f"{length} bytes at {first + GLOBAL_BASE:#x} are not in one buffer"
                )

    def _multicast(
        self, multicast: Any, chosen: Mask, to: Array, words: Array, rest: Array
    ) -> tuple[Array, Array, Array]:
        """The same copy for each CTA of the cluster whose bit is set in the lane's mask."""
        if multicast is None:
            return to, words, rest
        masks = np.broadcast_to(multicast, chosen.shape)[chosen].tolist()
        stride, size = self.shared.stride_bytes, self.batch.geometry.cluster_ctas
        targets, barriers, rows = [], [], []
        for index, mask in enumerate(masks):
            first = int(to[index]) // stride // size * size
            for rank in (r for r in range(size) if mask >> r & 1):
                start = (first + rank) * stride
                targets.append(start + int(to[index]) % stride)
                barriers.append((start + int(words[index]) * 8 % stride) >> 3)
                rows.append(rest[index])
        return np.array(targets, np.int64), np.array(barriers, np.int64), np.array(rows, rest.dtype)

    def _note(self, front: Front, name: str, lanes: Mask, detail: Any = None) -> None:
        if self.batch.observer is not None:
            self.batch.observer.event(front, name, lanes, detail)


def _lanes(values: list[Any], chosen: Mask) -> Array:
    """Signed values of the chosen lanes, shape (lanes, len(values))."""
    columns = [np.broadcast_to(v, chosen.shape)[chosen].astype(np.uint32).view(np.int32) for v in values]
    return np.stack(columns, axis=1)
