"""Element types of tensor instructions: width, storage, and conversion between bits and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TF32_MASK = np.uint32(0xFFFFE000)  # sign, 8 exponent and 10 mantissa bits; the tensor core does not read the rest
_F16_INFINITY = 0x7C00
_MANTISSA_GAP = 23 - 10
_BIAS_GAP = np.float32(2.0 ** (127 - 15))
_F16_FIELDS = np.int32(0x8FFFE000 - (1 << 32))  # sign, five exponent and ten mantissa bits of f16, in their f32 places


@dataclass(frozen=True)
class ElementType:
    """One element type: its width in bits, the dtype that holds its bits, and the dtype of its value.

    Types narrower than 8 bits are held one to a byte, in the low bits.
    """

    name: str
    bits: int
    storage: np.dtype[Any]
    value: np.dtype[Any]
    decode: Callable[[Array], Array]
    encode: Callable[[Array], Array] | None = None

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self.value.kind == "i"


def find(name: str) -> ElementType | None:
    """The element type of PTX name `name` without its dot, or None where it is not known here."""
    return _TABLE.get(name)


def decode(bits: Array, name: str) -> Array:
    """Values (float32, float64 or int32) of an array of element bits; KeyError for an unknown type name.

    >>> decode(np.array([0x3F80], np.uint16), "bf16").tolist()
    [1.0]
    """
    return _TABLE[name].decode(bits)


def encode(values: Array, name: str) -> Array:
    """Bits of values, rounded to nearest even; KeyError for a type that no instruction here produces."""
    encoder = _TABLE[name].encode
    if encoder is None:
        raise KeyError(name)
    return encoder(values)


def from_container(octets: Array, name: str) -> Array:
    """Bits of elements that lie one in a byte, as operands of `mma.sync.kind::f8f6f4`: e2m1 in the middle four bits."""
    return octets >> 2 & 15 if name == "e2m1" else octets


def _decode_f16(bits: Array) -> Array:
    """The fields of f16 moved to those of f32, and the exponent bias made good by a product: faster than NumPy's cast.

    The product is exact, of subnormals too; only infinities and NaNs need the cast.
    """
    if (bits & np.uint16(0x7FFF)).max(initial=0) >= _F16_INFINITY:
        return bits.view(np.float16).astype(np.float32)
    wide = bits.view(np.int16).astype(np.int32)  # the copies of the sign are masked out again
    np.left_shift(wide, _MANTISSA_GAP, out=wide)
    np.bitwise_and(wide, _F16_FIELDS, out=wide)
    values = wide.view(np.float32)
    return np.multiply(values, _BIAS_GAP, out=values)


def _encode_f16(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).view(np.uint16)


def _decode_bf16(bits: Array) -> Array:
    return np.left_shift(bits, np.uint32(16), dtype=np.uint32).view(np.float32)


def _encode_bf16(values: Array) -> Array:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits + half) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FFF), rounded)


def _decode_tf32(bits: Array) -> Array:
    return (bits & TF32_MASK).view(np.float32)


def _view(dtype: type) -> Callable[[Array], Array]:
    return lambda bits: bits.view(dtype)


def _signed_nibble(bits: Array) -> Array:
    return ((bits.astype(np.int32) & 15) ^ 8) - 8


def _unsigned(mask: int) -> Callable[[Array], Array]:
    return lambda bits: bits.astype(np.int32) & mask


@dataclass(frozen=True)
class _SmallFloat:
    """A float of at most 8 bits: exponent and mantissa widths, bias, and which codes are not finite."""

    exponent_bits: int
    mantissa_bits: int
    bias: int
    has_infinity: bool = False
    nan_codes: tuple[int, ...] = ()

    def value(self, code: int) -> float:
        """The value of one code, by the definition of the format."""
        width = self.exponent_bits + self.mantissa_bits
        magnitude, sign = code & ((1 << width) - 1), -1.0 if code >> width & 1 else 1.0
        exponent, mantissa = magnitude >> self.mantissa_bits, magnitude & ((1 << self.mantissa_bits) - 1)
        if magnitude in self.nan_codes:
            return float("nan")
        if self.has_infinity and exponent == (1 << self.exponent_bits) - 1:
            return float("nan") if mantissa else sign * float("inf")
        fraction = mantissa / (1 << self.mantissa_bits)
        if exponent == 0:
            return float(sign * fraction * 2.0 ** (1 - self.bias))
        return float(sign * (1 + fraction) * 2.0 ** (exponent - self.bias))


# Formats of the OCP specifications "8-bit floating point" and "Microscaling formats".
_SMALL_FLOATS = {
    "e4m3": _SmallFloat(4, 3, 7, nan_codes=(0x7F,)),
    "e5m2": _SmallFloat(5, 2, 15, has_infinity=True),
    "e2m3": _SmallFloat(2, 3, 1),
    "e3m2": _SmallFloat(3, 2, 3),
    "e2m1": _SmallFloat(2, 1, 1),
}


@cache
def _small_float_values(name: str) -> Array:
    small = _SMALL_FLOATS[name]
    count = 2 << (small.exponent_bits + small.mantissa_bits)
    return np.resize(np.array([small.value(code) for code in range(count)], np.float32), 256)


def _decode_small(name: str) -> Callable[[Array], Array]:
    return lambda bits: _small_float_values(name)[bits]


@cache
def _scale_values(name: str) -> Array:
    codes = np.arange(256, dtype=np.float64)
    if name == "ue8m0":
        return np.where(codes == 255, np.nan, np.exp2(codes - 127)).astype(np.float32)
    values: Array = _small_float_values("e4m3")[np.arange(256) & 0x7F]  # ue4m3: the sign bit is not read
    return values


def _decode_scale(name: str) -> Callable[[Array], Array]:
    return lambda bits: _scale_values(name)[bits]


def _entry(
    name: str,
    bits: int,
    value: type,
    decoder: Callable[[Array], Array],
    encoder: Callable[[Array], Array] | None = None,
) -> tuple[str, ElementType]:
    storage = np.dtype(f"u{max(bits, 8) // 8}")
    return name, ElementType(name, bits, storage, np.dtype(value), decoder, encoder)


_TABLE = dict(
    (
        _entry("f64", 64, np.float64, _view(np.float64), lambda v: v.astype(np.float64).view(np.uint64)),
        _entry("f32", 32, np.float32, _view(np.float32), lambda v: v.astype(np.float32).view(np.uint32)),
        _entry("s32", 32, np.int32, _view(np.int32), lambda v: v.astype(np.int32).view(np.uint32)),
        _entry("tf32", 32, np.float32, _decode_tf32),
        _entry("f16", 16, np.float32, _decode_f16, _encode_f16),
        _entry("bf16", 16, np.float32, _decode_bf16, _encode_bf16),
        _entry("s8", 8, np.int32, lambda bits: bits.view(np.int8).astype(np.int32)),
        _entry("u8", 8, np.int32, _unsigned(255)),
        _entry("s4", 4, np.int32, _signed_nibble),
        _entry("u4", 4, np.int32, _unsigned(15)),
        _entry("b1", 1, np.int32, _unsigned(1)),
        *(_entry(name, 8, np.float32, _decode_small(name)) for name in ("e4m3", "e5m2")),
        *(_entry(name, 6, np.float32, _decode_small(name)) for name in ("e2m3", "e3m2")),
        _entry("e2m1", 4, np.float32, _decode_small("e2m1")),
        *(_entry(name, 8, np.float32, _decode_scale(name)) for name in ("ue8m0", "ue4m3")),
    )
)
