"""The tensor map of this device: a tensor in global memory, its box, and the rules of the driver for both.

Parameters and rules are those of cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col (CUDA driver API).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import prod

MAX_RANK = 5


class TensorMapError(ValueError):
    """A tensor map that the driver would refuse, or one that is no tensor map; `rule` is a stable kebab-case name."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class DataType(IntEnum):
    """CUtensorMapDataType, with the driver's numbers."""

    UINT8 = 0
    UINT16 = 1
    UINT32 = 2
    INT32 = 3
    UINT64 = 4
    INT64 = 5
    FLOAT16 = 6
    FLOAT32 = 7
    FLOAT64 = 8
    BFLOAT16 = 9
    FLOAT32_FTZ = 10
    TFLOAT32 = 11
    TFLOAT32_FTZ = 12

    @property
    def bytes(self) -> int:
        """Size of one element."""
        return _ELEMENT_BYTES[self]

    @property
    def is_float(self) -> bool:
        """Whether out-of-bounds elements may be filled with NaN."""
        return self >= DataType.FLOAT16


_ELEMENT_BYTES = (1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4)


class Interleave(IntEnum):
    """CUtensorMapInterleave."""

    NONE = 0
    B16 = 1
    B32 = 2


class MapSwizzle(IntEnum):
    """CUtensorMapSwizzle."""

    NONE = 0
    B32 = 1
    B64 = 2
    B128 = 3
    B128_ATOM_32B = 4
    B128_ATOM_32B_FLIP_8B = 5
    B128_ATOM_64B = 6


class Promotion(IntEnum):
    """CUtensorMapL2promotion: a hint to the cache, with no effect on results."""

    NONE = 0
    L2_64B = 1
    L2_128B = 2
    L2_256B = 3


class Fill(IntEnum):
    """CUtensorMapFloatOOBfill: what elements outside the tensor read as."""

    ZEROS = 0
    NAN = 1


@dataclass(frozen=True)
class Im2col:
    """Parameters of an im2col map; corners count over the spatial dimensions (rank - 2), innermost first."""

    lower_corner: tuple[int, ...]
    upper_corner: tuple[int, ...]
    channels_per_pixel: int
    pixels_per_column: int


@dataclass(frozen=True)
class TensorMap:
    """A tensor in global memory and its box; dimension 0 is innermost, and `strides_bytes` starts at dimension 1."""

    dtype: DataType
    address: int
    extents: tuple[int, ...]
    strides_bytes: tuple[int, ...]
    box: tuple[int, ...]
    element_strides: tuple[int, ...]
    interleave: Interleave = Interleave.NONE
    swizzle: MapSwizzle = MapSwizzle.NONE
    promotion: Promotion = Promotion.NONE
    fill: Fill = Fill.ZEROS
    im2col: Im2col | None = None

    @property
    def rank(self) -> int:
        """Number of dimensions, 1 to 5."""
        return len(self.extents)

    @property
    def all_strides_bytes(self) -> tuple[int, ...]:
        """Strides of every dimension, the innermost included."""
        return (self.dtype.bytes, *self.strides_bytes)

    @property
    def box_shape(self) -> tuple[int, ...]:
        """Elements that a tile moves along each dimension: the box, thinned by the element strides; innermost first."""
        if self.interleave is Interleave.NONE:
            outer = zip(self.box[1:], self.element_strides[1:], strict=True)
            return (self.box[0], *(-(-size // step) for size, step in outer))
        return tuple(-(-size // step) for size, step in zip(self.box, self.element_strides, strict=True))

    @property
    def row_bytes(self) -> int:
        """Bytes of one innermost row of the box, or of one pixel of an im2col map."""
        return self.dtype.bytes * (self.im2col.channels_per_pixel if self.im2col else self.box_shape[0])

    @property
    def box_bytes(self) -> int:
        """Bytes that one instruction writes to or reads from shared memory, and reports to its mbarrier."""
        rows = self.im2col.pixels_per_column if self.im2col else prod(self.box_shape[1:])
        return self.row_bytes * rows


def validate(m: TensorMap) -> None:
    """Check the rules of the driver. TensorMapError for the first that is broken."""
    _check_ranks(m)
    for holds, rule, message in (*_address_rules(m), *_box_rules(m), *_im2col_rules(m), *_swizzle_rules(m)):
        if not holds:
            raise TensorMapError(rule, message)


_Rule = tuple[bool, str, str]


def _check_ranks(m: TensorMap) -> None:
    if not 1 <= m.rank <= MAX_RANK:
        raise TensorMapError("rank", f"a tensor has 1 to {MAX_RANK} dimensions, not {m.rank}")
    counts = {"strides": (len(m.strides_bytes), m.rank - 1), "element strides": (len(m.element_strides), m.rank)}
    if m.im2col is None:
        counts["box sizes"] = (len(m.box), m.rank)
    for name, (given, wanted) in counts.items():
        if given != wanted:
            raise TensorMapError("rank", f"a tensor of {m.rank} dimensions needs {wanted} {name}, not {given}")
    if m.interleave is not Interleave.NONE and m.rank < 3:
        raise TensorMapError("rank", f"an interleaved tensor has at least 3 dimensions, not {m.rank}")


def _address_rules(m: TensorMap) -> list[_Rule]:
    alignment = 32 if m.interleave is Interleave.B32 else 16
    rules = [
        (m.address % alignment == 0, "address-alignment", f"address {m.address:#x} is no multiple of {alignment}"),
        (all(1 <= e <= 1 << 31 for e in m.extents), "extent", f"extents {m.extents} are not all in 1 to 2^31"),
    ]
    for dimension, stride in enumerate(m.strides_bytes, 1):
        name = f"stride of dimension {dimension}, {stride} bytes,"
        rules.append((stride % alignment == 0, "stride-alignment", f"{name} is no multiple of {alignment}"))
        rules.append((0 <= stride < 1 << 40, "stride-range", f"{name} is not below 2^40"))
    return rules


def _box_rules(m: TensorMap) -> list[_Rule]:
    return [
        (all(1 <= b <= 256 for b in m.box), "box-range", f"box sizes {m.box} are not all in 1 to 256"),
        (
            all(1 <= s <= 8 for s in m.element_strides),
            "element-stride",
            f"element strides {m.element_strides}: 1 to 8",
        ),
        (
            m.interleave is not Interleave.NONE or m.row_bytes % 16 == 0,
            "box-alignment",
            f"the innermost box row is {m.row_bytes} bytes, no multiple of 16",
        ),
        (
            m.fill is Fill.ZEROS or m.dtype.is_float,
            "fill",
            f"NaN fill is for floating-point types, not {m.dtype.name}",
        ),
    ]


# Range of the corner offsets of an im2col map, by rank.
_CORNERS = {3: range(-32768, 32768), 4: range(-128, 128), 5: range(-16, 16)}


def _im2col_rules(m: TensorMap) -> list[_Rule]:
    if m.im2col is None:
        return []
    corners = (*m.im2col.lower_corner, *m.im2col.upper_corner)
    allowed = _CORNERS.get(m.rank, range(0))
    pairs = zip(m.im2col.lower_corner, m.im2col.upper_corner, m.extents[1:-1], strict=False)
    channels, pixels = m.im2col.channels_per_pixel, m.im2col.pixels_per_column
    return [
        (m.rank in _CORNERS, "rank", f"an im2col tensor has 3 to 5 dimensions, not {m.rank}"),
        (
            len(corners) == 2 * (m.rank - 2),
            "rank",
            f"{len(corners)} corner offsets for {m.rank - 2} spatial dimensions",
        ),
        (all(c in allowed for c in corners), "im2col-corner", f"corner offsets {corners} go beyond {allowed}"),
        (all(low < size + high for low, high, size in pairs), "im2col-corner", "the bounding box has no area"),
        (1 <= channels <= 256, "im2col-channels", f"{channels} channels per pixel are not in 1 to 256"),
        (1 <= pixels <= 1024, "im2col-pixels", f"{pixels} pixels per column are not in 1 to 1024"),
    ]


_SPAN_BYTES = {MapSwizzle.B32: 32, MapSwizzle.B64: 64}


def _swizzle_rules(m: TensorMap) -> list[_Rule]:
    span_bytes = _SPAN_BYTES.get(m.swizzle, 128)
    plain = m.swizzle is MapSwizzle.NONE or m.interleave is not Interleave.NONE
    return [
        (
            plain or m.row_bytes <= span_bytes,
            "swizzle-span",
            f"the innermost box row is {m.row_bytes} bytes; swizzle {m.swizzle.name} allows {span_bytes}",
        ),
        (
            m.interleave is not Interleave.B32 or m.swizzle is MapSwizzle.B32,
            "interleave-swizzle",
            f"32-byte interleave needs swizzle B32, not {m.swizzle.name}",
        ),
    ]
