"""The 128 bytes of a tensor map: encode, decode, and the single-field writes of `tensormap.replace.tile`.

A CUtensorMap of the driver is opaque, so this device has its own layout, one table of fields. All zeros is a map too
(of rank 1, not yet valid), because kernels build a map by zero-filling 128 bytes and replacing every field.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from backends.emulator.tensor.tensor_map import (
    MAX_RANK,
    DataType,
    Fill,
    Im2col,
    Interleave,
    MapSwizzle,
    Promotion,
    TensorMap,
    TensorMapError,
    validate,
)

BYTES = 128
_MAGIC = 0x50414D54  # "TMAP" in memory


@dataclass(frozen=True)
class _Field:
    """`count` numbers of one struct format at a byte offset; what is stored is the value minus `bias`."""

    offset: int
    form: str
    count: int = 1
    bias: int = 0

    def read(self, data: bytes) -> tuple[int, ...]:
        values = struct.unpack_from(f"<{self.count}{self.form}", data, self.offset)
        return tuple(value + self.bias for value in values)

    def write(self, data: bytearray, values: tuple[int, ...], first: int = 0) -> None:
        stored = [value - self.bias for value in values]
        struct.pack_into(f"<{len(values)}{self.form}", data, self.offset + first * struct.calcsize(self.form), *stored)


_FIELDS = {
    "magic": _Field(0, "I"),
    "mode": _Field(4, "B"),
    "dtype": _Field(5, "B"),
    "rank": _Field(6, "B", bias=1),
    "interleave": _Field(7, "B"),
    "address": _Field(8, "Q"),
    "strides_bytes": _Field(16, "Q", MAX_RANK - 1),
    "extents": _Field(48, "I", MAX_RANK, bias=1),
    "box": _Field(68, "H", MAX_RANK, bias=1),
    "element_strides": _Field(78, "B", MAX_RANK, bias=1),
    "swizzle": _Field(83, "B"),
    "promotion": _Field(84, "B"),
    "fill": _Field(85, "B"),
    "lower_corner": _Field(86, "h", 3),
    "upper_corner": _Field(92, "h", 3),
    "channels_per_pixel": _Field(98, "H"),
    "pixels_per_column": _Field(100, "H"),
}
_TILED, _IM2COL = 0, 1


def encode(tensor_map: TensorMap) -> bytes:
    """The 128 bytes of a valid map. TensorMapError names the rule of the driver that a map breaks."""
    validate(tensor_map)
    data = bytearray(BYTES)
    for name, values in _values(tensor_map).items():
        _FIELDS[name].write(data, values)
    return bytes(data)


def _values(m: TensorMap) -> dict[str, tuple[int, ...]]:
    plain = {name: getattr(m, name) for name in ("strides_bytes", "extents", "box", "element_strides")}
    single = {
        name: (int(getattr(m, name)),) for name in ("dtype", "interleave", "address", "swizzle", "promotion", "fill")
    }
    head = {"magic": (_MAGIC,), "rank": (m.rank,), "mode": (_IM2COL if m.im2col else _TILED,)}
    return {**head, **plain, **single, **(_im2col_values(m.im2col) if m.im2col else {})}


def _im2col_values(conv: Im2col) -> dict[str, tuple[int, ...]]:
    return {
        "lower_corner": conv.lower_corner,
        "upper_corner": conv.upper_corner,
        "channels_per_pixel": (conv.channels_per_pixel,),
        "pixels_per_column": (conv.pixels_per_column,),
    }


@lru_cache(maxsize=4096)
def decode(data: bytes) -> TensorMap:
    """The map in 128 bytes. TensorMapError: `not-a-tensor-map`, or the rule of the driver that it breaks."""
    tensor_map = _read(data)
    validate(tensor_map)
    return tensor_map


def _read(data: bytes) -> TensorMap:
    _require_map(data)
    one = {name: field.read(data)[0] for name, field in _FIELDS.items() if field.count == 1}
    many = {name: field.read(data) for name, field in _FIELDS.items() if field.count > 1}
    rank = one["rank"]
    conv = None
    if one["mode"] == _IM2COL:
        corners = (many["lower_corner"][: rank - 2], many["upper_corner"][: rank - 2])
        conv = Im2col(*corners, one["channels_per_pixel"], one["pixels_per_column"])
    return TensorMap(
        dtype=DataType(one["dtype"]),
        address=one["address"],
        extents=many["extents"][:rank],
        strides_bytes=many["strides_bytes"][: rank - 1],
        box=() if conv else many["box"][:rank],
        element_strides=many["element_strides"][:rank],
        interleave=Interleave(one["interleave"]),
        swizzle=MapSwizzle(one["swizzle"]),
        promotion=Promotion(one["promotion"]),
        fill=Fill(one["fill"]),
        im2col=conv,
    )


def _require_map(data: bytes, blank_too: bool = False) -> None:
    if len(data) != BYTES:
        raise TensorMapError("not-a-tensor-map", f"a tensor map has {BYTES} bytes, not {len(data)}")
    if _FIELDS["magic"].read(data)[0] != _MAGIC and not (blank_too and not any(data)):
        raise TensorMapError("not-a-tensor-map", "the 128 bytes were not made by the tensor map encoder of this device")


# `new_val` of tensormap.replace (PTX ISA): its element types are numbered otherwise than those of the driver.
_PTX_TYPES = dict(
    enumerate(
        (
            DataType.UINT8,
            DataType.UINT16,
            DataType.UINT32,
            DataType.INT32,
            DataType.UINT64,
            DataType.INT64,
            DataType.FLOAT16,
            DataType.FLOAT32,
            DataType.FLOAT32_FTZ,
            DataType.FLOAT64,
            DataType.BFLOAT16,
            DataType.TFLOAT32,
            DataType.TFLOAT32_FTZ,
        )
    )
)
_Code = Callable[[int], int | None]
_REPLACED: dict[str, tuple[str, _Code]] = {
    "global_address": ("address", lambda value: value),
    "rank": ("rank", lambda value: value + 1 if 0 <= value < MAX_RANK else None),
    "box_dim": ("box", lambda value: value if 1 <= value <= 1 << 16 else None),
    "global_dim": ("extents", lambda value: value if 1 <= value <= 1 << 32 else None),
    "global_stride": ("strides_bytes", lambda value: value),
    "element_stride": ("element_strides", lambda value: value if 1 <= value <= 8 else None),
    "elemtype": ("dtype", _PTX_TYPES.get),
    "interleave_layout": ("interleave", lambda value: value if value in (0, 1, 2) else None),
    "swizzle_mode": ("swizzle", lambda value: value if value in (0, 1, 2, 3) else None),
    "fill_mode": ("fill", lambda value: value if value in (0, 1) else None),
}


def replace_field(data: bytes, field: str, value: int, ordinal: int = 0) -> bytes:
    """The bytes after `tensormap.replace.tile.{field}`; `ordinal` is the dimension, for the fields that have one.

    `value` is the instruction's `new_val`: `rank` is one less than the rank, `global_stride` is in bytes. Only the new
    value is checked here; the map as a whole is when it is decoded. TensorMapError: `replace-field` where this device
    has no such field, `replace-value`, `replace-ordinal`, `not-a-tensor-map`.
    """
    _require_map(data, blank_too=True)
    if field not in _REPLACED:
        raise TensorMapError("replace-field", f"tensormap.replace of {field} is not implemented")
    name, code = _REPLACED[field]
    stored = code(value)
    if stored is None:
        raise TensorMapError(
            "replace-value", f"tensormap.replace of {field}: value {value} is not one of this device's"
        )
    if not 0 <= ordinal < _FIELDS[name].count:
        count = _FIELDS[name].count
        raise TensorMapError("replace-ordinal", f"tensormap.replace of {field}: ordinal {ordinal} of {count}")
    out = bytearray(data)
    _FIELDS["magic"].write(out, (_MAGIC,))
    _FIELDS[name].write(out, (stored,), ordinal)
    return bytes(out)
