"""The fused multiply-add, rounded once, and `mad` of floats, which is the same operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.emulator.semantics import double
from backends.emulator.semantics.exact import odd_sum, to_odd, two_sum
from backends.emulator.semantics.floating import DIRECTED, WIDEN, canonical, directed_f32, lane_function
from backends.emulator.semantics.forms import Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning

Array = Any
_TIE = np.int64(np.iinfo(np.int64).min)
_SUBNORMAL_BITS = np.uint32(0x00FFFFFF)


def _may_round_twice(wide: Array, narrow: Array) -> bool:
    """Whether rounding the rounded float64 sum to float32 might differ from rounding the exact sum.

    Only where the former lies half-way between two float32 numbers, or the latter is subnormal. The bits of a float64
    below a float32's are 29, so a tie shows as the lone sign bit after shifting by 35.
    """
    ties = np.left_shift(wide.view(np.int64), np.int64(35)).min() == _TIE
    return bool(ties or (np.left_shift(narrow.view(np.uint32), np.uint32(1)) - np.uint32(1)).min() < _SUBNORMAL_BITS)


def _fma_f32(a: Array, b: Array, c: Array, out: Array = None) -> Array:
    """Product exact in float64; sum in float64, rounded to odd where rounding twice might matter."""
    product = np.multiply(a, b, dtype=np.float64)
    total = np.add(product, c, dtype=np.float64)
    result = total.astype(np.float32)
    if result.size and _may_round_twice(total, result):
        result = odd_sum(product, np.asarray(c, np.float64)).astype(np.float32)
    if out is None:
        return result
    np.copyto(out, result)
    return out


def _fma_f16(a: Array, b: Array, c: Array) -> Array:
    """float64 holds every sum that lies near a tie of float16 exactly, so it may round to nearest."""
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float16)


def _fma_bf16(a: Array, b: Array, c: Array) -> Array:
    """On float32 sources that hold bf16 values; the result is rounded to odd, ready for one rounding to bf16."""
    total, error = two_sum(np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64))
    narrow = total.astype(np.float32)
    return to_odd(narrow, (total - narrow) + error)


def _build(op: Opcode) -> LaneFunction:
    mode = op.rounding or "rn"
    if op.type == "f64":
        return lane_function(op, 3, returning(double.arithmetic("fma", mode)))
    if mode != "rn":
        return lane_function(op, 3, directed_f32("fma", mode), exact_bits=True)
    nearest = {"f32": _fma_f32, "f16": returning(_fma_f16), "bf16": returning(_fma_bf16)}
    return lane_function(op, 3, nearest[op.type])


def _mixed(op: Opcode) -> LaneFunction:
    """Half-precision factors, float32 addend and result."""
    plain = _build(Opcode(op.text.removesuffix(f".{op.type}")))
    widen = WIDEN[op.type]

    def apply(a: Array, b: Array, c: Array, out: Array = None) -> Array:
        return canonical(plain.apply(widen(a), widen(b), c, out=out))

    return LaneFunction((op.type, op.type, "f32"), ("f32",), apply)


FORMS: Forms = {
    f"(fma|mad){DIRECTED}[.ftz][.sat].f32": _build,
    f"(fma|mad){DIRECTED}.f64": _build,
    "fma.rn[.ftz][.sat|.relu].f16": _build,
    "fma.rn[.relu].bf16": _build,
    f"fma{DIRECTED}[.sat].f32(.f16|.bf16)": _mixed,
}
