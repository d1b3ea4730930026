"""Which bytes a tile-mode TMA instruction moves: rows of a box in global memory, units in shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.tensor.descriptors import Swizzle
from backends.emulator.tensor.swizzle import UNIT_BYTES, permute
from backends.emulator.tensor.tensor_map import DataType, Fill, Interleave, MapSwizzle, TensorMap, TensorMapError

Array = NDArray[Any]

_SWIZZLES = {
    MapSwizzle.NONE: Swizzle.NONE,
    MapSwizzle.B32: Swizzle.B32,
    MapSwizzle.B64: Swizzle.B64,
    MapSwizzle.B128: Swizzle.B128,
    MapSwizzle.B128_ATOM_32B: Swizzle.B128_ATOM_32B,
}
# A quiet NaN with all mantissa bits set, by element size.
_NANS = {2: np.uint16(0x7FFF), 4: np.uint32(0x7FFFFFFF), 8: np.uint64(0x7FFFFFFFFFFFFFFF)}


@dataclass(frozen=True)
class Box:
    """The rows that `n` boxes of one tensor map take from global memory; rows are in the order of shared memory.

    `starts` (n, rows) int64: byte offset, from the tensor's address, of the row's first element, valid or not.
    `valid` (n, rows) bool: whether any of the row lies in the tensor. `first_byte`, `end_byte` (n,) int64: the part
    of every valid row that lies in the tensor. `complete` (n,) bool: the whole box does.
    """

    row_bytes: int
    starts: Array
    valid: Array
    first_byte: Array
    end_byte: Array
    complete: Array


def tile_box(tensor_map: TensorMap, coordinates: Array) -> Box:
    """Rows of the boxes at `coordinates` (n, rank) int, innermost first, as the instruction gives them.

    TensorMapError (`interleave`, `im2col`) for maps that have no rows of this form.
    """
    _require_tile(tensor_map)
    shape = tensor_map.box_shape
    size = tensor_map.dtype.bytes
    inner = coordinates[:, 0].astype(np.int64)
    low = np.clip(-inner, 0, shape[0])
    high = np.clip(tensor_map.extents[0] - inner, low, shape[0])
    starts, valid = _outer_rows(tensor_map, coordinates.astype(np.int64))
    starts += (inner * size)[:, None]
    valid &= (high > low)[:, None]
    complete: Array = np.logical_and(valid.all(axis=1), high - low == shape[0])
    return Box(tensor_map.row_bytes, starts, valid, low * size, high * size, complete)


def _require_tile(tensor_map: TensorMap) -> None:
    if tensor_map.interleave is not Interleave.NONE:
        raise TensorMapError("interleave", f"interleave {tensor_map.interleave.name} is not implemented, only NONE")
    if tensor_map.im2col is not None:
        raise TensorMapError("im2col", "an im2col tensor map cannot be used in tile mode")


def _outer_rows(tensor_map: TensorMap, coordinates: Array) -> tuple[Array, Array]:
    """Offsets and validity (n, rows) by all dimensions but the innermost, outermost slowest."""
    starts = np.zeros((len(coordinates), 1), np.int64)
    valid = np.ones((len(coordinates), 1), np.bool_)
    for dimension in range(1, tensor_map.rank):
        steps = np.arange(tensor_map.box_shape[dimension]) * tensor_map.element_strides[dimension]
        position = coordinates[:, dimension, None] + steps
        inside = (position >= 0) & (position < tensor_map.extents[dimension])
        offsets = position * tensor_map.strides_bytes[dimension - 1]
        starts = (offsets[:, :, None] + starts[:, None, :]).reshape(len(coordinates), -1)
        valid = (inside[:, :, None] & valid[:, None, :]).reshape(len(coordinates), -1)
    return starts, valid


def gather_rows(tensor_map: TensorMap, coordinates: Array) -> Box:
    """Rows of `.tile::gather4` and `.tile::scatter4` (sm_100): coordinates (n, 5) are a column and four rows.

    The map has rank 2 and a box of one row; the four rows come one after another.
    """
    if tensor_map.rank != 2 or tensor_map.box[1] != 1:
        raise TensorMapError("gather4", f"gather4 needs a map of rank 2 and box of 1 row, not {tensor_map.box}")
    pairs = np.stack((np.repeat(coordinates[:, :1], 4, axis=1), coordinates[:, 1:]), axis=-1)
    one = tile_box(tensor_map, pairs.reshape(-1, 2))
    n = len(coordinates)
    complete: Array = np.all(one.complete.reshape(n, 4), axis=1)
    rows = (one.starts.reshape(n, 4), one.valid.reshape(n, 4))
    return Box(one.row_bytes, *rows, one.first_byte[::4], one.end_byte[::4], complete)


def shared_units(tensor_map: TensorMap, shared_bytes: int, count_bytes: int) -> Array | slice:
    """Units (16 bytes each) of shared memory where `count_bytes` of a box at byte address `shared_bytes` lie, in order.

    A slice where the map has no swizzle, else int64 indices. TensorMapError (`shared-alignment`, `swizzle`).
    """
    swizzle = _SWIZZLES.get(tensor_map.swizzle)
    if swizzle is None:
        raise TensorMapError("swizzle", f"swizzle {tensor_map.swizzle.name} is not implemented")
    if shared_bytes % 128:
        raise TensorMapError("shared-alignment", f"shared address {shared_bytes:#x} is no multiple of 128")
    if swizzle is Swizzle.NONE:
        return slice(shared_bytes // UNIT_BYTES, (shared_bytes + count_bytes) // UNIT_BYTES)
    if tensor_map.row_bytes != swizzle.row_bytes:
        rows = f"rows of {tensor_map.row_bytes} bytes under swizzle {tensor_map.swizzle.name}"
        raise TensorMapError("swizzle", f"{rows} are not implemented, only full spans of {swizzle.row_bytes} bytes")
    return _swizzled_units(swizzle, shared_bytes, count_bytes)


@lru_cache(maxsize=1024)
def _swizzled_units(swizzle: Swizzle, shared_bytes: int, count_bytes: int) -> Array:
    units = permute(shared_bytes + np.arange(0, count_bytes, UNIT_BYTES), swizzle) // UNIT_BYTES
    units.flags.writeable = False
    return units


def load(memory: Array, origin: int, tensor_map: TensorMap, box: Box) -> Array:
    """Bytes (n, rows * row_bytes) uint8 of boxes, in the order of the box; `memory` is flat uint8, tensor at `origin`.

    Elements outside the tensor read as the map's fill. IndexError where memory does not hold an element of the tensor.
    """
    _check_range(memory, origin, box)
    if box.complete.all():
        rows: Array = np.lib.stride_tricks.sliding_window_view(memory, box.row_bytes)
        taken: Array = rows[origin + box.starts]
        return taken.reshape(len(box.starts), -1)
    return _load_clipped(memory, origin, tensor_map, box)


def _check_range(memory: Array, origin: int, box: Box) -> None:
    low, high = extent(box)
    if high > low and (origin + low < 0 or origin + high > len(memory)):
        raise IndexError(f"box takes bytes {origin + low} to {origin + high} of a memory of {len(memory)} bytes")


def extent(box: Box) -> tuple[int, int]:
    """First and end byte offset, from the tensor's address, of all that the boxes take; (0, 0) for nothing."""
    if not box.valid.any():
        return 0, 0
    first = (box.starts + box.first_byte[:, None])[box.valid]
    end = (box.starts + box.end_byte[:, None])[box.valid]
    return int(first.min()), int(end.max())


def fill_bytes(tensor_map: TensorMap, count_bytes: int) -> Array:
    """What elements outside the tensor read as: `count_bytes` of zeros or NaNs."""
    if tensor_map.fill is Fill.ZEROS:
        return np.zeros(count_bytes, np.uint8)
    return np.full(count_bytes // tensor_map.dtype.bytes, _nan(tensor_map.dtype)).view(np.uint8)


def _nan(dtype: DataType) -> Any:
    return _NANS[dtype.bytes]


def _load_clipped(memory: Array, origin: int, tensor_map: TensorMap, box: Box) -> Array:
    n, rows = box.starts.shape
    out = np.empty((n, rows, box.row_bytes), np.uint8)
    out[:] = fill_bytes(tensor_map, box.row_bytes)
    for i in range(n):
        first, end = int(box.first_byte[i]), int(box.end_byte[i])
        keep = np.flatnonzero(box.valid[i])
        if len(keep):
            runs = np.lib.stride_tricks.sliding_window_view(memory, end - first)
            out[i, keep, first:end] = runs[origin + box.starts[i, keep] + first]
    return out.reshape(n, -1)


def store(memory: Array, origin: int, box: Box, data: Array) -> None:
    """Write `data` (n, rows * row_bytes) uint8 to the boxes, in order; what lies outside the tensor is left out."""
    _check_range(memory, origin, box)
    n, rows = box.starts.shape
    tiles = data.reshape(n, rows, box.row_bytes)
    for i in range(n):
        first, end = int(box.first_byte[i]), int(box.end_byte[i])
        keep = np.flatnonzero(box.valid[i])
        if len(keep):
            runs = np.lib.stride_tricks.sliding_window_view(memory, end - first, writeable=True)
            runs[origin + box.starts[i, keep] + first] = tiles[i, keep, first:end]
