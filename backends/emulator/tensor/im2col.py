"""Which bytes an im2col TMA load moves: one row of channels for each pixel of a column of the bounding box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.tensor.boxes import Box
from backends.emulator.tensor.tensor_map import Im2col, Interleave, TensorMap, TensorMapError

Array = NDArray[Any]


def im2col_box(tensor_map: TensorMap, coordinates: Array, offsets: Array) -> Box:
    """Rows of im2col loads at `coordinates` (n, rank) and `offsets` (n, rank - 2), innermost dimension first.

    The walk starts at the coordinates, goes through the bounding box (lower corner to extent - 1 + upper corner in each
    spatial dimension, by the element strides) in the order W, H, D, N, and reads each pixel at its place plus the
    offsets; a pixel outside the tensor is filled. Source: PTX ISA, "im2col mode".
    TensorMapError: `interleave`, `im2col`, and `im2col-start` where the start is off the lattice of the walk.
    """
    conv = _require_im2col(tensor_map)
    spatial = tensor_map.rank - 2
    start = coordinates.astype(np.int64)
    sizes = _lattice(tensor_map, conv)
    steps = np.array(tensor_map.element_strides[1:-1])
    lower = np.array(conv.lower_corner)
    first, off = np.divmod(start[:, 1:-1] - lower, steps)
    if off.any() or (first < 0).any() or (first >= sizes).any():
        raise TensorMapError("im2col-start", "the first pixel is not one of those that the walk visits")
    index = _linear(first, start[:, -1], sizes)[:, None] + np.arange(conv.pixels_per_column)
    places = []
    for dimension in range(spatial):
        index, digit = np.divmod(index, sizes[dimension])
        places.append(lower[dimension] + digit * steps[dimension] + offsets[:, dimension, None])
    return _rows(tensor_map, conv, start[:, 0], [*places, index])


def _require_im2col(tensor_map: TensorMap) -> Im2col:
    if tensor_map.im2col is None:
        raise TensorMapError("im2col", "a tiled tensor map cannot be used in im2col mode")
    if tensor_map.interleave is not Interleave.NONE:
        raise TensorMapError("interleave", f"interleave {tensor_map.interleave.name} is not implemented, only NONE")
    return tensor_map.im2col


def _lattice(tensor_map: TensorMap, conv: Im2col) -> Array:
    """Pixels that the walk visits along each spatial dimension."""
    corners = zip(conv.lower_corner, conv.upper_corner, tensor_map.extents[1:-1], strict=True)
    spans = np.array([size - 1 + upper - lower for lower, upper, size in corners])
    counts: Array = spans // np.array(tensor_map.element_strides[1:-1]) + 1
    return counts


def _linear(digits: Array, images: Array, sizes: Array) -> Array:
    index = images
    for dimension in reversed(range(len(sizes))):
        index = index * sizes[dimension] + digits[:, dimension]
    return index


def _rows(tensor_map: TensorMap, conv: Im2col, channel: Array, places: list[Array]) -> Box:
    """The box of pixels at `places`, one array (n, pixels) for each dimension but the channels."""
    size, count = tensor_map.dtype.bytes, conv.channels_per_pixel
    low = np.clip(-channel, 0, count)
    high = np.clip(tensor_map.extents[0] - channel, low, count)
    starts = np.zeros(places[0].shape, np.int64) + (channel * size)[:, None]
    valid = np.broadcast_to((high > low)[:, None], starts.shape).copy()
    for place, stride, extent in zip(places, tensor_map.strides_bytes, tensor_map.extents[1:], strict=True):
        starts += place * stride
        valid &= (place >= 0) & (place < extent)
    complete: Array = np.logical_and(valid.all(axis=1), high - low == count)
    return Box(tensor_map.row_bytes, starts, valid, low * size, high * size, complete)
