"""Shared-memory matrix descriptors: the 64-bit words that say where wgmma and tcgen05 find a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Swizzle(Enum):
    """How 16-byte units are permuted in shared memory; see `swizzle.permute`."""

    NONE = "none"
    B32 = "32B"
    B64 = "64B"
    B128 = "128B"
    B128_ATOM_32B = "128B_ATOM_32B"

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of the pattern: 16 without a swizzle, else the span."""
        return _ROW_BYTES[self.value]


_ROW_BYTES = {"none": 16, "32B": 32, "64B": 64, "128B": 128, "128B_ATOM_32B": 128}
# PTX ISA, "Matrix descriptor format" (sm_90: bits 62-63) and tcgen05 "Shared memory descriptor" (bits 61-63).
_SM90_SWIZZLES = {0: Swizzle.NONE, 1: Swizzle.B128, 2: Swizzle.B64, 3: Swizzle.B32}
_SM100_SWIZZLES = {0: Swizzle.NONE, 1: Swizzle.B128_ATOM_32B, 2: Swizzle.B128, 4: Swizzle.B64, 6: Swizzle.B32}


@dataclass(frozen=True)
class MatrixDescriptor:
    """A matrix in shared memory; addresses and offsets in bytes, relative to the CTA's shared memory.

    `leading_offset_bytes` and `stride_offset_bytes` step between core matrices, in directions that depend on the
    swizzle and on the major-ness (see `swizzle.matrix_units`). `leading_is_absolute` is a mode of sm_103.
    """

    start_bytes: int
    leading_offset_bytes: int
    stride_offset_bytes: int
    swizzle: Swizzle
    base_offset: int = 0
    leading_is_absolute: bool = False


@lru_cache(maxsize=4096)
def decode_wgmma(word: int) -> MatrixDescriptor:
    """The sm_90 descriptor in a 64-bit word. ValueError names a field that has no meaning.

    >>> decode_wgmma(0x4000004000010040).swizzle
    <Swizzle.B128: '128B'>
    """
    _require_zero(word, "bits 14-15", 14, 2)
    _require_zero(word, "bits 30-31", 30, 2)
    _require_zero(word, "bits 46-48", 46, 3)
    _require_zero(word, "bits 52-61", 52, 10)
    return _matrix(word, _SM90_SWIZZLES[_field(word, 62, 2)])


@lru_cache(maxsize=4096)
def decode_tcgen05(word: int) -> MatrixDescriptor:
    """The sm_100 descriptor in a 64-bit word. ValueError names a field that has no meaning."""
    for name, start, width in (("bits 14-15", 14, 2), ("bits 30-31", 30, 2), ("bits 53-60", 53, 8)):
        _require_zero(word, name, start, width)
    if _field(word, 46, 3) != 1:
        raise ValueError(f"matrix descriptor: bits 46-48 must be 0b001, not {_field(word, 46, 3):#05b}")
    swizzle = _SM100_SWIZZLES.get(_field(word, 61, 3))
    if swizzle is None:
        raise ValueError(f"matrix descriptor: swizzling mode {_field(word, 61, 3)} (bits 61-63) is invalid")
    return _matrix(word, swizzle, absolute=bool(_field(word, 52, 1)))


def _matrix(word: int, swizzle: Swizzle, absolute: bool = False) -> MatrixDescriptor:
    start, leading, stride = (_field(word, bit, 14) << 4 for bit in (0, 16, 32))
    return MatrixDescriptor(start, leading, stride, swizzle, _field(word, 49, 3), absolute)


def _field(word: int, start: int, width: int) -> int:
    return word >> start & ((1 << width) - 1)


def _require_zero(word: int, name: str, start: int, width: int) -> None:
    value = _field(word, start, width)
    if value:
        raise ValueError(f"matrix descriptor: reserved {name} must be 0, not {value:#x}")
