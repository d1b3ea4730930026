"""Floating-point arithmetic but for the fused multiply-add: sums, products, quotients, signs, minima and maxima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.emulator.semantics import double
from backends.emulator.semantics.exact import odd_sum, to_odd, two_product, zero_sign
from backends.emulator.semantics.formats import FORMATS, encode, narrow_bf16, widen_bf16
from backends.emulator.semantics.forms import Builder, Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning, written

Array = Any
Apply = Callable[..., Any]


def flush(x: Array) -> Array:
    """Subnormal numbers of a float32 or float16 array replaced by zeros of the same sign."""
    return x * (np.abs(x) >= np.finfo(x.dtype).smallest_normal)


def saturate(x: Array) -> Array:
    """Clamped to [0, 1]; NaN and -0 become +0."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    clamped = np.minimum(np.maximum(x, zero), one) + zero
    return np.where(np.isnan(clamped), zero, clamped)


def relu(x: Array) -> Array:
    """Negative numbers and -0 become +0; NaN stays."""
    zero = x.dtype.type(0)
    return np.maximum(x, zero) + zero


_NAN_BITS: dict[int, Any] = {2: np.uint16(0x7FFF), 4: np.uint32(0x7FFFFFFF)}


def canonical(x: Array) -> Array:
    """Give every NaN of a float32 or float16 array the bits that PTX gives its NaN results, in place."""
    array = np.asarray(x)
    nan = np.isnan(array)
    if nan.any():
        np.copyto(_bits(array), _NAN_BITS[array.dtype.itemsize], where=nan)
    return array


def _canonical_after(apply: Apply) -> Apply:
    return lambda *sources, out=None: canonical(apply(*sources, out=out))


_AFTER: dict[str, Callable[[Array], Array]] = {"ftz": flush, "sat": saturate, "relu": relu}


def _modified(op: Opcode, compute: Apply) -> Apply:
    """`compute` with the inputs flushed and the result flushed or clamped, as the modifiers of `op` say."""
    steps = [step for modifier, step in _AFTER.items() if op.has(modifier)]
    if not steps:
        return compute
    before = flush if op.has("ftz") else np.asarray

    def modified(*sources: Array) -> Array:
        result = compute(*(before(x) for x in sources))
        for step in steps:
            result = step(result)
        return result

    return returning(modified)


def lane_function(op: Opcode, arity: int, compute: Apply, exact_bits: bool = False) -> LaneFunction:
    """`compute(*sources, out=None)` on float32, float64, or float16 arrays, as what `op` does to its own type.

    bf16 goes through float32. `exact_bits`: NaN results have the right bits already.
    """
    types = (op.type,) * arity
    apply = _modified(op, compute)
    if op.type == "bf16":
        return LaneFunction(types, ("bf16",), returning(lambda *x: narrow_bf16(apply(*map(widen_bf16, x)))))
    strict = None if exact_bits or op.type == "f64" else _canonical_after(apply)
    return LaneFunction(types, (op.type,), apply, isinstance(apply, np.ufunc), strict=strict)


def _quotient_odd(a: Array, b: Array) -> Array:
    """a / b of float64 arrays with float32 values, rounded to odd."""
    q = np.divide(a, b)
    p, e = two_product(q, b)
    return to_odd(q, np.sign((a - p) - e) * np.sign(b))


def _root_odd(a: Array) -> Array:
    root = np.sqrt(a)
    p, e = two_product(root, root)
    return to_odd(root, (a - p) - e)


# Results in float64, rounded to odd, of float64 sources that hold float32 values.
_ODD: dict[str, Callable[..., Array]] = {
    "add": odd_sum,
    "sub": lambda a, b: odd_sum(a, -b),
    "mul": np.multiply,
    "div": _quotient_odd,
    "rcp": lambda a: _quotient_odd(np.float64(1), a),
    "sqrt": _root_odd,
    "fma": lambda a, b, c: odd_sum(a * b, c),
}
_ZERO_TERMS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "add": lambda a, b: (a, b),
    "sub": lambda a, b: (a, -b),
    "fma": lambda a, b, c: (a * b, c),
}


def directed_f32(name: str, mode: str) -> Apply:
    """The operation `name` on float32 arrays, rounded in `mode`."""

    def compute(*sources: Array) -> Array:
        wide = [np.asarray(x, np.float64) for x in sources]
        result = _ODD[name](*wide)
        if name in _ZERO_TERMS:
            result = zero_sign(result, *_ZERO_TERMS[name](*wide), mode)
        return encode(result, FORMATS["f32"], mode).view(np.float32)

    return returning(compute)


def _reciprocal(x: Array, out: Array = None) -> Array:
    return np.divide(x.dtype.type(1), x, out=out)


_NEAREST: dict[str, Apply] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "rcp": _reciprocal,
    "sqrt": np.sqrt,
}


def arithmetic(arity: int) -> Builder:
    """The operation that the opcode names, rounded as it says (to nearest even if it does not say)."""

    def build(op: Opcode) -> LaneFunction:
        mode = op.rounding or "rn"
        if mode == "rn":
            return lane_function(op, arity, _NEAREST[op.base])
        if op.type == "f64":
            return lane_function(op, arity, returning(double.arithmetic(op.base, mode)))
        return lane_function(op, arity, directed_f32(op.base, mode), exact_bits=True)

    return build


WIDEN: dict[str, Apply] = {"bf16": widen_bf16, "f16": lambda x: x.astype(np.float32)}


def _mixed(op: Opcode) -> LaneFunction:
    """add and sub with a half-precision first source and a float32 second one."""
    plain = arithmetic(2)(Opcode(op.text.removesuffix(f".{op.type}")))
    widen = WIDEN[op.type]

    def apply(a: Array, c: Array, out: Array = None) -> Array:
        return canonical(plain.apply(widen(a), c, out=out))

    return LaneFunction((op.type, "f32"), ("f32",), apply)


def _sign_bits(apply: Apply, bf16: Apply) -> Builder:
    """neg and abs, which touch only the sign."""

    def build(op: Opcode) -> LaneFunction:
        if op.type == "bf16":
            return LaneFunction(("bf16",), ("bf16",), bf16, is_ufunc_like=True)
        return lane_function(op, 1, apply)

    return build


def _negate_bf16(x: Array, out: Array = None) -> Array:
    return np.bitwise_xor(x, np.uint16(0x8000), out=out)


def _absolute_bf16(x: Array, out: Array = None) -> Array:
    return np.bitwise_and(x, np.uint16(0x7FFF), out=out)


def _bits(x: Array) -> Array:
    return x.view(f"u{x.dtype.itemsize}")


def _ordered(pick: np.ufunc, merge: np.ufunc, numbers_win: bool) -> Apply:
    """`pick` with -0 below +0: its two argument orders differ only in zeros and NaNs, which `merge` unites.

    `pick` propagates NaN; NumPy's fmin and fmax, which do not, treat a signalling NaN now this way, now that.
    """

    def apply(a: Array, b: Array, out: Array = None) -> Array:
        first, second = np.asarray(pick(a, b)), np.asarray(pick(b, a))
        nan = np.isnan(first)
        if not nan.any():
            target = None if out is None else _bits(out)
            return merge(_bits(first), _bits(second), out=target).view(first.dtype)
        result = merge(_bits(first), _bits(second)).view(first.dtype)
        other = np.where(np.isnan(a), b, a) if numbers_win else first
        result = np.where(nan, other, result)
        return written(result if result.dtype == np.float64 else canonical(result), out)

    return apply


# By (base, NaN propagates).
_EXTREMES: dict[tuple[str, bool], Apply] = {
    ("min", False): _ordered(np.minimum, np.bitwise_or, numbers_win=True),
    ("max", False): _ordered(np.maximum, np.bitwise_and, numbers_win=True),
    ("min", True): _ordered(np.minimum, np.bitwise_or, numbers_win=False),
    ("max", True): _ordered(np.maximum, np.bitwise_and, numbers_win=False),
}


def extreme(op: Opcode, arity: int = 2) -> LaneFunction:
    """min and max of two or three sources: a number beats NaN unless .NaN is given; -0 is less than +0."""
    pick = _EXTREMES[op.base, op.has("NaN")]
    if arity == 2 and not op.has("abs"):
        return lane_function(op, 2, pick, exact_bits=True)
    magnitude = np.abs if op.has("abs") else np.asarray

    def compute(first: Array, *others: Array) -> Array:
        result = magnitude(first)
        for other in others:
            result = pick(result, magnitude(other))
        if op.has("xorsign"):
            negative = np.signbit(first) ^ np.signbit(others[0])
            result = np.where(negative & ~np.isnan(result), -result, result)
        return result

    return lane_function(op, arity, returning(compute), exact_bits=True)


def _copysign(a: Array, b: Array, out: Array = None) -> Array:
    return np.copysign(b, a, out=out)


def _is_normal(x: Array) -> Array:
    return np.isfinite(x) & (np.abs(x) >= np.finfo(x.dtype).smallest_normal)


def _is_subnormal(x: Array) -> Array:
    return (x != 0) & (np.abs(x) < np.finfo(x.dtype).smallest_normal)


_TESTS: dict[str, Callable[[Array], Array]] = {
    "finite": np.isfinite,
    "infinite": np.isinf,
    "number": lambda x: ~np.isnan(x),
    "notanumber": np.isnan,
    "normal": _is_normal,
    "subnormal": _is_subnormal,
}


def _testp(op: Opcode) -> LaneFunction:
    return LaneFunction((op.type,), ("pred",), returning(_TESTS[op.parts[1]]))


def _same(arity: int, apply: Apply) -> Builder:
    return lambda op: LaneFunction((op.type,) * arity, (op.type,), apply, is_ufunc_like=True)


DIRECTED = "(.rn|.rz|.rm|.rp)"
OPTIONAL = "[.rn|.rz|.rm|.rp]"

FORMS: Forms = {
    f"(add|sub|mul){OPTIONAL}[.ftz][.sat].f32": arithmetic(2),
    f"(add|sub|mul){OPTIONAL}.f64": arithmetic(2),
    "(add|sub|mul)[.rn][.ftz][.sat].f16": arithmetic(2),
    "(add|sub|mul)[.rn].bf16": arithmetic(2),
    f"(add|sub){OPTIONAL}[.sat].f32(.f16|.bf16)": _mixed,
    f"div{DIRECTED}[.ftz].f32": arithmetic(2),
    f"div{DIRECTED}.f64": arithmetic(2),
    f"(sqrt|rcp){DIRECTED}[.ftz].f32": arithmetic(1),
    f"(sqrt|rcp){DIRECTED}.f64": arithmetic(1),
    "neg[.ftz](.f32|.f16)": _sign_bits(np.negative, _negate_bf16),
    "neg(.f64|.bf16)": _sign_bits(np.negative, _negate_bf16),
    "abs[.ftz](.f32|.f16)": _sign_bits(np.absolute, _absolute_bf16),
    "abs(.f64|.bf16)": _sign_bits(np.absolute, _absolute_bf16),
    "(min|max)[.ftz][.NaN][.xorsign.abs](.f32|.f16)": extreme,
    "(min|max)[.NaN][.xorsign.abs].bf16": extreme,
    "(min|max).f64": extreme,
    "copysign(.f32|.f64)": _same(2, _copysign),
    "testp(.finite|.infinite|.number|.notanumber|.normal|.subnormal)(.f32|.f64)": _testp,
}
