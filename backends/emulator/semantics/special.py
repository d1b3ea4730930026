"""Special functions: approximate divisions, roots, exponentials, logarithms and trigonometry.

The hardware approximates. Each function here is evaluated in float64 and rounded to the type once, which lies inside
every tolerance that the PTX ISA states for the instruction of that name:
div.approx, div.full 2 ulp; rcp.approx 1 ulp; sqrt.approx relative 2^-23; rsqrt.approx relative 2^-22.9;
ex2.approx relative 2^-22; lg2.approx absolute 2^-22 in [0.5, 2], else relative 2^-22; sin, cos.approx absolute 2^-20.5
in [-pi, pi]; tanh.approx relative 2^-11; ex2.approx.f16 relative 2^-9.9, bf16 2^-7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.emulator.semantics.floating import canonical, flush
from backends.emulator.semantics.formats import narrow_bf16, widen_bf16
from backends.emulator.semantics.forms import Builder, Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any


def _in_float64(function: Any) -> Builder:
    """`function` of one source, evaluated in float64."""

    def build(op: Opcode) -> LaneFunction:
        dtype, before = storage(op.type), flush if op.has("ftz") and op.type == "f32" else np.asarray

        def compute(x: Array) -> Array:
            result = function(before(x).astype(np.float64)).astype(dtype)
            return result if op.type == "f64" else canonical(before(result))

        def compute_bf16(x: Array) -> Array:
            return narrow_bf16(function(widen_bf16(x).astype(np.float64)).astype(np.float32))

        return LaneFunction((op.type,), (op.type,), returning(compute_bf16 if op.type == "bf16" else compute))

    return build


def _rsqrt(x: Array) -> Array:
    return 1.0 / np.sqrt(x)


def _divide(op: Opcode) -> LaneFunction:
    """div.full divides; div.approx multiplies by the reciprocal, which is flushed to 0 for |b| above 2^126."""
    before = flush if op.has("ftz") else np.asarray

    def compute(a: Array, b: Array) -> Array:
        x, y = before(a), before(b)
        result = np.divide(x, y)
        if op.has("approx"):
            large = np.abs(y) > np.float32(2.0**126)
            result = np.where(large, x * np.copysign(np.float32(0), y), result)
        return canonical(before(result))

    return LaneFunction(("f32", "f32"), ("f32",), returning(compute))


_UPPER = np.uint64(0xFFFFFFFF00000000)


def _coarse(function: Any) -> Builder:
    """The float64 forms: subnormals are flushed, and only the upper 32 bits of source and result count."""

    def build(_: Opcode) -> LaneFunction:
        def upper(x: Array) -> Array:
            return (np.asarray(x).view(np.uint64) & _UPPER).view(np.float64)

        def compute(x: Array) -> Array:
            return upper(flush(function(flush(upper(x)))))

        return LaneFunction(("f64",), ("f64",), returning(compute))

    return build


def _reciprocal(x: Array) -> Array:
    return 1.0 / x


FORMS: Forms = {
    "div(.approx|.full)[.ftz].f32": _divide,
    "rcp.approx[.ftz].f32": _in_float64(_reciprocal),
    "sqrt.approx[.ftz].f32": _in_float64(np.sqrt),
    "rsqrt.approx[.ftz].f32": _in_float64(_rsqrt),
    "rsqrt.approx.f64": _in_float64(_rsqrt),
    "rcp.approx.ftz.f64": _coarse(_reciprocal),
    "rsqrt.approx.ftz.f64": _coarse(_rsqrt),
    "ex2.approx[.ftz].f32": _in_float64(np.exp2),
    "ex2.approx.f16": _in_float64(np.exp2),
    "ex2.approx.ftz.bf16": _in_float64(np.exp2),
    "lg2.approx[.ftz].f32": _in_float64(np.log2),
    "sin.approx[.ftz].f32": _in_float64(np.sin),
    "cos.approx[.ftz].f32": _in_float64(np.cos),
    "tanh.approx(.f32|.f16|.bf16)": _in_float64(np.tanh),
}
