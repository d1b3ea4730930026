"""Tensor maps that a kernel makes itself: `tensormap.replace` of one field, and the copy that publishes a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.access import window_of
from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import Space
from backends.emulator.tensor.tensor_map import TensorMapError
from backends.emulator.tensor.tensor_map_bytes import replace_field
from backends.emulator.tensor_memory import whole_warps

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

MAP_BYTES = 128
# PTX ISA, tensormap.replace: the object lies in global or shared memory at a multiple of 128 bytes.
_ALIGNMENT_BYTES = 128


class TensorMaps:
    """The tensor maps in memory that the kernels of a batch change."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def replace(
        self, front: Front, space: str, place: tuple[Any, int], field: str, ordinal: int, value: Any, guard: Mask | None
    ) -> None:
        """`tensormap.replace.tile.field` of each active lane, in turns."""
        active = front.full_mask(guard)
        if not active.any():
            return
        values = np.broadcast_to(value, active.shape)
        memory, flat = self._flat(front, space, place, active)
        if self.batch.observer is not None:
            self.batch.observer.access(front, memory.name, flat, MAP_BYTES, active, "store")
        for row, lane in np.argwhere(active).tolist():
            start = int(flat[row, lane])
            data = memory.units[1][start : start + MAP_BYTES]
            try:
                changed = replace_field(data.tobytes(), field, int(values[row, lane]), ordinal)
            except TensorMapError as error:
                raise self.batch.fault("bad-tensor-map", str(error), front, (row, lane)) from error
            data[:] = np.frombuffer(changed, np.uint8)

    def publish(self, front: Front, target: tuple[Any, int], source: tuple[Any, int], guard: Mask | None) -> None:
        """`tensormap.cp_fenceproxy`: a warp copies one map from shared to global memory, and releases it."""
        rows = whole_warps(self.batch, front, guard)
        if not len(rows):
            return
        one = np.zeros((front.n, 32), np.bool_)
        one[rows, 0] = True
        shared, origin = self._flat(front, "shared", source, one)
        memory, to = self._flat(front, "global", target, one)
        if self.batch.observer is not None:
            self.batch.observer.access(front, "shared", origin, MAP_BYTES, one, "load")
            self.batch.observer.access(front, "global", to, MAP_BYTES, one, "store")
            self.batch.observer.event(front, "tensormap.cp_fenceproxy", one)
        for row in rows.tolist():
            start, end = int(origin[row, 0]), int(to[row, 0])
            memory.units[1][end : end + MAP_BYTES] = shared.units[1][start : start + MAP_BYTES]

    def _flat(self, front: Front, space: str, place: tuple[Any, int], active: Mask) -> tuple[Space, NDArray[np.int64]]:
        """The memory, and the byte offset there of each lane's map."""
        address = np.broadcast_to(np.asarray(place[0]), active.shape)
        name = window_of(int(address[active][0])) if space == "generic" else space
        memory = self.batch.access.spaces[name]
        return memory, memory.flat(front, address, place[1], _ALIGNMENT_BYTES, active)
