"""Floating-point formats: their bit layouts, and exact conversion of float64 values to and from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class FloatFormat:
    """Layout of a format: sign, exponent, `fraction_bits`; the least normal number is 2^least_exponent.

    `largest`, `infinity`, `nan` are bit patterns without the sign; None where the format has no such value.
    `unused_bits` is the number of low bits of the storage that are always zero.
    """

    fraction_bits: int
    least_exponent: int
    sign_bit: int
    largest: int
    infinity: int | None
    nan: int | None
    unused_bits: int = 0


FORMATS = {
    "f32": FloatFormat(23, -126, 31, 0x7F7FFFFF, 0x7F800000, 0x7FFFFFFF),
    "tf32": FloatFormat(10, -126, 18, 0x3FBFF, 0x3FC00, 0x3FFFF, unused_bits=13),
    "f16": FloatFormat(10, -14, 15, 0x7BFF, 0x7C00, 0x7FFF),
    "bf16": FloatFormat(7, -126, 15, 0x7F7F, 0x7F80, 0x7FFF),
    "e5m2": FloatFormat(2, -14, 7, 0x7B, 0x7C, 0x7F),
    "e4m3": FloatFormat(3, -6, 7, 0x7E, None, 0x7F),
    "e3m2": FloatFormat(2, -2, 5, 0x1F, None, None),
    "e2m3": FloatFormat(3, 0, 5, 0x1F, None, None),
    "e2m1": FloatFormat(1, 0, 3, 0x7, None, None),
}


def _away(x: Array) -> Array:
    """The nearest integer, ties away from zero."""
    whole = np.trunc(x)
    return whole + np.sign(x) * (np.abs(x - whole) >= 0.5)


TO_INTEGER: dict[str, Callable[[Array], Array]] = {
    "rn": np.rint,
    "rz": np.trunc,
    "rm": np.floor,
    "rp": np.ceil,
    "rna": _away,
}


def _overflowed(form: FloatFormat, sign: Array, mode: str, saturate: bool) -> Array:
    """What a magnitude above the largest becomes: infinity, or the largest if it rounds toward it or saturates."""
    infinity = form.infinity if form.infinity is not None else form.nan
    if saturate or infinity is None or mode == "rz":
        return np.uint32(form.largest)
    toward_zero = {"rm": ~sign, "rp": sign}.get(mode, np.False_)
    return np.where(toward_zero, np.uint32(form.largest), np.uint32(infinity))


def encode(x: Array, form: FloatFormat, mode: str = "rn", saturate: bool = False) -> Array:
    """The bits (uint32) of float64 `x` rounded once to `form`.

    `mode` is a key of `TO_INTEGER`. Overflow gives infinity (NaN where the format has none) unless `saturate`, which
    gives the largest number also for infinite `x`; NaN gives the canonical NaN, or +largest where there is none.
    """
    x = np.asarray(x, np.float64)
    sign = np.signbit(x)
    ulp = np.maximum(np.frexp(x)[1] - 1, form.least_exponent) - form.fraction_bits
    units = np.abs(TO_INTEGER[mode](np.ldexp(x, -ulp)))
    finite = units < 2.0**53
    steps = (ulp + form.fraction_bits - form.least_exponent).astype(np.int64) << form.fraction_bits
    bits = np.where(units > 0, steps + np.where(finite, units, 0).astype(np.int64), 0)
    over = _overflowed(form, sign, "rn" if form.infinity is None else mode, saturate)
    infinite = over if saturate or form.infinity is None else np.uint32(form.infinity)
    bits = np.where(bits > form.largest, over, bits)
    bits = np.where(np.isinf(x), infinite, bits).astype(np.uint32) | sign.astype(np.uint32) << np.uint32(form.sign_bit)
    canonical = form.largest if form.nan is None else form.nan
    return np.where(np.isnan(x), np.uint32(canonical), bits) << np.uint32(form.unused_bits)


def _value(bits: int, form: FloatFormat) -> float:
    magnitude = bits & ((1 << form.sign_bit) - 1)
    sign = -1.0 if bits >> form.sign_bit & 1 else 1.0
    if magnitude == form.infinity:
        return sign * np.inf
    if magnitude > form.largest:
        return float("nan")
    exponent, fraction = divmod(magnitude, 1 << form.fraction_bits)
    hidden = (1 << form.fraction_bits) if exponent else 0
    return float(sign * (fraction + hidden) * 2.0 ** (max(exponent, 1) - 1 + form.least_exponent - form.fraction_bits))


@cache
def decoded(name: str) -> Array:
    """Value as float32 of each of the 256 bytes of a format of at most 8 bits; unused high bits are ignored."""
    form = FORMATS[name]
    mask = (2 << form.sign_bit) - 1
    table = np.array([_value(byte & mask, form) for byte in range(256)], np.float32)
    table.view(np.uint32)[np.isnan(table)] = np.uint32(0x7FFFFFFF)
    return table


def widen_bf16(x: Array, out: Array = None) -> Array:
    """bfloat16 bits (uint16) as float32 values."""
    bits = np.left_shift(x, np.uint32(16), out=None if out is None else out.view(np.uint32), dtype=np.uint32)
    return bits.view(np.float32)


def round_bits(x: Array, mode: str, dropped: int) -> Array:
    """The bits of float32 values rounded so that the low `dropped` bits may be cut off: rn, rz or rna.

    Carries into the exponent are right as they are; a NaN may become anything.
    """
    bits = np.asarray(x).view(np.uint32)
    if mode == "rz":
        return bits
    half = np.uint32(1 << (dropped - 1))
    if mode == "rna":
        return bits + half
    return bits + (((bits >> np.uint32(dropped)) & np.uint32(1)) + (half - np.uint32(1)))


def narrow_tf32(x: Array, mode: str) -> Array:
    """float32 values rounded to tf32, in float32; NaN becomes canonical."""
    bits = round_bits(x, mode, 13) & np.uint32(0xFFFFE000)
    nan = np.isnan(x)
    if nan.any():
        bits = np.where(nan, np.uint32(0x7FFFFFFF), bits)
    return bits.view(np.float32)


def narrow_bf16(x: Array) -> Array:
    """float32 values as bfloat16 bits (uint16), to nearest even; NaN becomes 0x7fff."""
    rounded = (round_bits(x, "rn", 16) >> np.uint32(16)).astype(np.uint16)
    nan = np.isnan(x)
    if nan.any():
        rounded = np.where(nan, np.uint16(0x7FFF), rounded)
    return rounded
