"""Where a matrix lies in shared memory: the swizzle, and the units of the tile that a descriptor names.

The XOR works on absolute shared addresses, so that TMA, which writes a tile, and wgmma, which reads it, agree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from backends.emulator.tensor.descriptors import MatrixDescriptor, Swizzle

Array = NDArray[Any]

UNIT_BYTES = 16  # no swizzle splits 16 bytes
ROWS = 8  # a core matrix has eight rows
# Address bits that are flipped, by address bits three (for the 32-byte atom: two) places higher.
_MASKS = {
    Swizzle.NONE: (0, 3),
    Swizzle.B32: (0x10, 3),
    Swizzle.B64: (0x30, 3),
    Swizzle.B128: (0x70, 3),
    Swizzle.B128_ATOM_32B: (0x60, 2),
}


@overload
def permute(address: int, swizzle: Swizzle) -> int: ...
@overload
def permute(address: Array, swizzle: Swizzle) -> Array: ...
def permute(address: int | Array, swizzle: Swizzle) -> int | Array:
    """The place of a byte under a swizzle: flips address bits 4-6 by bits 7-9. An involution.

    >>> hex(permute(0x80, Swizzle.B128)), hex(permute(0x90, Swizzle.B128)), hex(permute(0x80, Swizzle.B32))
    ('0x90', '0x80', '0x90')
    """
    mask, shift = _MASKS[swizzle]
    return address ^ (address >> shift & mask)


def pattern_bytes(swizzle: Swizzle) -> int:
    """Bytes after which the permutation repeats: a tile moved by a multiple of this keeps its inner order."""
    return ROWS * swizzle.row_bytes


@lru_cache(maxsize=1024)
def matrix_units(descriptor: MatrixDescriptor, rows: int, depth_bytes: int, element_bytes: int, k_major: bool) -> Array:
    """Numbers (byte address / 16) of the 16-byte units of a tile: `rows` of M or N by `depth_bytes` of K.

    K-major: (rows, depth_bytes / 16), a unit runs along K. MN-major: (depth, rows * element_bytes / 16) where
    depth = depth_bytes / element_bytes, a unit runs along M or N; so the elements come transposed.
    Source: the canonical layouts of the PTX ISA. ValueError where the descriptor has no layout here.
    """
    if descriptor.base_offset:
        raise ValueError(f"matrix descriptor: base offset {descriptor.base_offset} (bits 49-51) is not supported")
    if descriptor.leading_is_absolute:
        raise ValueError("matrix descriptor: absolute leading dimension (bit 52) is not supported")
    depth = depth_bytes // element_bytes
    linear = _k_major(descriptor, rows, depth_bytes) if k_major else _mn_major(descriptor, rows * element_bytes, depth)
    units: Array = permute(linear, descriptor.swizzle) // UNIT_BYTES
    units.flags.writeable = False
    return units


def _k_major(descriptor: MatrixDescriptor, rows: int, depth_bytes: int) -> Array:
    """Eight rows one after another, then a stride offset; along K next door, or a leading offset without a swizzle."""
    if descriptor.swizzle is Swizzle.B128_ATOM_32B:
        raise ValueError("matrix descriptor: swizzle 128B_ATOM_32B (bits 61-63) is for MN-major matrices")
    row, unit = np.arange(rows)[:, None], np.arange(depth_bytes // UNIT_BYTES)[None, :]
    row_bytes = descriptor.swizzle.row_bytes
    column = unit * (descriptor.leading_offset_bytes if descriptor.swizzle is Swizzle.NONE else UNIT_BYTES)
    return descriptor.start_bytes + row // ROWS * descriptor.stride_offset_bytes + row % ROWS * row_bytes + column


def _mn_major(descriptor: MatrixDescriptor, row_extent_bytes: int, depth: int) -> Array:
    """One span along M or N for each of eight (32-byte atoms: four) k; without a swizzle the offsets change places."""
    k, unit = np.arange(depth)[:, None], np.arange(row_extent_bytes // UNIT_BYTES)[None, :]
    span_bytes = descriptor.swizzle.row_bytes
    span_units = span_bytes // UNIT_BYTES
    offsets = (descriptor.leading_offset_bytes, descriptor.stride_offset_bytes)
    along_mn, along_k = offsets[::-1] if descriptor.swizzle is Swizzle.NONE else offsets
    atom = ROWS // 2 if descriptor.swizzle is Swizzle.B128_ATOM_32B else ROWS
    inner = k % atom * span_bytes + unit % span_units * UNIT_BYTES
    return descriptor.start_bytes + unit // span_units * along_mn + k // atom * along_k + inner


def load_matrix(
    memory: Array, descriptor: MatrixDescriptor, rows: int, depth_bytes: int, element_bytes: int, k_major: bool
) -> Array:
    """Element bits (n, rows, depth) of a tile in shared memories (n, bytes) uint8, C-contiguous.

    MN-major tiles come as a transposed view. IndexError where the tile does not lie inside the memory.
    """
    units = matrix_units(descriptor, rows, depth_bytes, element_bytes, k_major)
    wide = memory.view(np.complex128)  # 16 bytes as one item; never used as a number
    if units.max() >= wide.shape[1]:
        raise IndexError(f"tile ends at byte {int(units.max() + 1) * UNIT_BYTES} of {memory.shape[1]} of shared memory")
    tile = wide.take(units, axis=1).view(f"u{element_bytes}")
    return tile if k_major else tile.transpose(0, 2, 1)
