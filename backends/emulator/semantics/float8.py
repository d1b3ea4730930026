"""cvt to and from packed pairs: f16x2, bf16x2, and the formats of 8, 6 and 4 bits.

A pair packs the first source above the second. Conversions to at most 8 bits go through a table over bfloat16: a
float32 rounded to odd at its upper 16 bits keeps what any of these roundings asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from backends.emulator.semantics.convert import build
from backends.emulator.semantics.floating import canonical
from backends.emulator.semantics.formats import FORMATS, decoded, encode, narrow_bf16, widen_bf16
from backends.emulator.semantics.forms import Forms, Opcode
from backends.emulator.semantics.packed import elements
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any
_VALUE: dict[str, Callable[[Array], Array]] = {
    "f32": lambda x: x,
    "f16": lambda x: x.astype(np.float32),
    "bf16": widen_bf16,
}


def _one(element_type: str) -> str:
    return element_type.removesuffix("x2")


def _scale_bits(x: Array, mode: str, satfinite: bool) -> Array:
    """Exponents (ue8m0, bias 127) of the magnitudes of bfloat16 bits, rounded to zero or up; 0xff is NaN."""
    magnitude = x & np.uint16(0x7FFF)
    exponent = magnitude >> np.uint16(7)
    if mode == "rp":
        exponent += (magnitude & 0x7F != 0) & (magnitude > 0x40) & (magnitude < 0x7F80)
    if satfinite:
        exponent = np.where(magnitude <= 0x7F80, np.minimum(exponent, 0xFE), exponent)
    return exponent.astype(np.uint8)


@cache
def _narrowing(name: str, mode: str, satfinite: bool, relu: bool) -> Array:
    """Bits of the format `name` (uint8) of every bfloat16."""
    every = np.arange(1 << 16, dtype=np.uint16)
    if name == "ue8m0":
        return _scale_bits(every, mode, satfinite)
    with np.errstate(all="ignore"):
        value = widen_bf16(every).astype(np.float64)
        return encode(np.maximum(value, 0.0) + 0.0 if relu else value, FORMATS[name], mode, satfinite).astype(np.uint8)


def _upper_odd(x: Array) -> Array:
    """The upper half of float32 bits, rounded to odd, as table indices."""
    bits = np.asarray(x).view(np.uint32)
    return (bits >> np.uint32(16)) | ((bits & np.uint32(0xFFFF)) != 0)


def _table(op: Opcode, to: str) -> Array:
    return _narrowing(_one(to), op.rounding or "rn", op.has("satfinite"), op.has("relu"))


def _joined(high: Array, low: Array, to: str) -> Array:
    """Two results of at most 8 bits in one word."""
    dtype = storage(to)
    return high.astype(dtype) << dtype.type(dtype.itemsize * 4) | low


def _pair_to_narrow(op: Opcode) -> LaneFunction:
    to = op.parts[-2]
    table = _table(op, to)

    def compute(a: Array, b: Array) -> Array:
        return _joined(np.take(table, _upper_odd(a)), np.take(table, _upper_odd(b)), to)

    return LaneFunction(("f32", "f32"), (to,), returning(compute))


def _packed_to_narrow(op: Opcode) -> LaneFunction:
    to, of = op.parts[-2:]
    table, value, dtype = _table(op, to), _VALUE[_one(of)], storage(_one(of))

    def compute(x: Array) -> Array:
        bits = np.take(table, _upper_odd(value(elements(x, dtype))))
        return _joined(bits[..., 1], bits[..., 0], to)

    return LaneFunction((of,), (to,), returning(compute))


@cache
def _widening(name: str, to: str, relu: bool) -> Array:
    """Every byte of the format `name` as a number of type f16 or bf16, in its storage."""
    if name == "ue8m0":
        powers = np.arange(256, dtype=np.uint16) << np.uint16(7)
        powers[0], powers[255] = 0x40, 0x7FFF
        return powers
    values = np.maximum(decoded(name), np.float32(0)) + np.float32(0) if relu else decoded(name)
    return narrow_bf16(values) if to == "bf16" else canonical(values.astype(np.float16))


def _from_narrow(op: Opcode) -> LaneFunction:
    to, of = op.parts[-2:]
    table, source = _widening(_one(of), _one(to), op.has("relu")), storage(of)
    shift = source.type(source.itemsize * 4)
    mask = source.type((1 << int(shift)) - 1)

    def compute(x: Array) -> Array:
        result = np.empty((*np.shape(x), 2), table.dtype)
        result[..., 0], result[..., 1] = table[x & mask], table[x >> shift]
        return result.view(np.uint32)[..., 0]

    return LaneFunction((of,), (to,), returning(compute))


def _each_half(convert: Callable[..., Array]) -> Callable[..., Array]:
    """`convert`, of one float32 to 16 bits, on both sources, the first above the second."""

    def compute(a: Array, b: Array, out: Array = None) -> Array:
        high = np.left_shift(convert(a).view(np.uint16), np.uint32(16), dtype=np.uint32)
        return np.bitwise_or(high, convert(b).view(np.uint16), out=out)

    return compute


def _pair_to_half(op: Opcode) -> LaneFunction:
    """Two float32 to f16x2 or bf16x2."""
    to = op.parts[-2]
    one = build(Opcode(op.text.replace(to, _one(to)).replace("satfinite.relu", "relu.satfinite")))
    strict = _each_half(one.strict) if one.strict else None
    return LaneFunction(("f32", "f32"), (to,), _each_half(one.apply), strict=strict)


_NARROW = "(.e4m3x2|.e5m2x2|.e2m3x2|.e3m2x2|.e2m1x2)"

FORMS: Forms = {
    "cvt(.rn|.rz)[.relu][.satfinite](.f16x2|.bf16x2).f32": _pair_to_half,
    "cvt(.rn|.rz).satfinite.relu(.f16x2|.bf16x2).f32": _pair_to_half,
    f"cvt.rn(.satfinite|.satfinite.relu|.relu.satfinite){_NARROW}.f32": _pair_to_narrow,
    f"cvt.rn(.satfinite|.satfinite.relu|.relu.satfinite){_NARROW}(.f16x2|.bf16x2)": _packed_to_narrow,
    f"cvt.rn[.relu](.f16x2|.bf16x2){_NARROW}": _from_narrow,
    "cvt(.rz|.rp)[.satfinite].ue8m0x2.f32": _pair_to_narrow,
    "cvt(.rz|.rp)[.satfinite].ue8m0x2.bf16x2": _packed_to_narrow,
    "cvt.rn.bf16x2.ue8m0x2": _from_narrow,
}
