"""Integer arithmetic: sums, products, quotients, carries, minima and absolute differences, modulo 2^width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.emulator.semantics.forms import Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any
INTEGER = "(.u16|.s16|.u32|.s32|.u64|.s64)"
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


def _same(arity: int, apply: Callable[..., Any], ufunc_like: bool = False) -> Callable[[Opcode], LaneFunction]:
    return lambda op: LaneFunction((op.type,) * arity, (op.type,), apply, ufunc_like)


def _width(element_type: str) -> int:
    return storage(element_type).itemsize * 8


def _saturated(combine: np.ufunc) -> Callable[..., Any]:
    """`combine` in 64 bits, clamped to the range of s32."""

    def compute(a: Array, b: Array) -> Array:
        low, high = np.iinfo(np.int32).min, np.iinfo(np.int32).max
        return np.clip(combine(a, b, dtype=np.int64), low, high).astype(np.int32)

    return returning(compute)


def high_product(a: Array, b: Array) -> Array:
    """The upper half of the full product of two arrays of one integer dtype (16, 32 or 64 bits)."""
    bits = a.dtype.itemsize * 8
    if bits < 64:
        wide = np.dtype(f"{a.dtype.kind}{bits // 4}")
        return (np.multiply(a, b, dtype=wide) >> bits).astype(a.dtype)
    return _high_product_64(a, b)


def _high_product_64(a: Array, b: Array) -> Array:
    """Schoolbook on 32-bit halves; the upper halves carry the sign."""
    half, mask = a.dtype.type(32), a.dtype.type(0xFFFFFFFF)
    a1, b1, a0, b0 = a >> half, b >> half, a & mask, b & mask
    low = np.multiply(a0.astype(np.uint64), b0.astype(np.uint64)) >> np.uint64(32)
    middle = a1 * b0 + low.astype(a.dtype)
    cross = a0 * b1 + (middle & mask)
    return a1 * b1 + (middle >> half) + (cross >> half)


def _mul_wide(op: Opcode) -> LaneFunction:
    wide = WIDER[op.type]
    dtype = storage(wide)

    def apply(a: Array, b: Array, out: Array = None) -> Array:
        return np.multiply(a, b, out=out, dtype=dtype)

    return LaneFunction((op.type, op.type), (wide,), apply, is_ufunc_like=True)


def _mad_lo(a: Array, b: Array, c: Array, out: Array = None) -> Array:
    return np.add(np.multiply(a, b), c, out=out)


def _mad_hi(a: Array, b: Array, c: Array, out: Array = None) -> Array:
    return np.add(high_product(a, b), c, out=out)


def _mad_hi_sat(a: Array, b: Array, c: Array) -> Array:
    return _saturated(np.add)(high_product(a, b), c)


def _mad_wide(op: Opcode) -> LaneFunction:
    wide = WIDER[op.type]
    dtype = storage(wide)

    def apply(a: Array, b: Array, c: Array, out: Array = None) -> Array:
        return np.add(np.multiply(a, b, dtype=dtype), c, out=out)

    return LaneFunction((op.type, op.type, wide), (wide,), apply)


def _low_24(x: Array) -> Array:
    """The low 24 bits, sign-extended if the dtype is signed."""
    eight = x.dtype.type(8)
    return (x << eight) >> eight


def _product_24(op: Opcode) -> Callable[[Array, Array], Array]:
    """The low or high 32 bits of the 48-bit product of 24-bit integers."""
    dtype, wide = storage(op.type), storage(WIDER[op.type])
    shift = wide.type(16 if op.has("hi") else 0)
    return lambda a, b: (np.multiply(_low_24(a), _low_24(b), dtype=wide) >> shift).astype(dtype)


def _mul24(op: Opcode) -> LaneFunction:
    return LaneFunction((op.type,) * 2, (op.type,), returning(_product_24(op)))


def _mad24(op: Opcode) -> LaneFunction:
    product = _product_24(op)
    add = _saturated(np.add) if op.has("sat") else np.add
    return LaneFunction((op.type,) * 3, (op.type,), lambda a, b, c, out=None: add(product(a, b), c, out=out))


def _divided(a: Array, b: Array) -> Array:
    """a / b toward zero for nonzero b, in 64 bits. Below 64 bits the float64 quotient truncates to the right integer:

    it is off by less than 2^-20, and a quotient that is not an integer is 2^-32 of itself or more away from the next.
    """
    if b.dtype.itemsize < 8:
        return np.divide(a, b, dtype=np.float64).astype(np.int64)
    quotient = np.floor_divide(a, b)
    return quotient if b.dtype.kind == "u" else quotient + ((quotient < 0) & (quotient * b != a))


def _unless_zero(compute: Callable[[Array, Array], Array]) -> Callable[..., Any]:
    """`compute` where b is not 0; all ones elsewhere, as the hardware's division sequence gives."""

    def apply(a: Array, b: Array) -> Array:
        zero = b == 0
        if not zero.any():
            return compute(a, b)
        return np.where(zero, ~b, compute(a, np.where(zero, b.dtype.type(1), b)))

    return returning(apply)


def _quotient(a: Array, b: Array) -> Array:
    return _divided(a, b).astype(b.dtype)


def _remainder(a: Array, b: Array) -> Array:
    """With the sign of the dividend."""
    return (a - _quotient(a, b) * b).astype(b.dtype)


def _clamped_negatives(least_or_greatest: np.ufunc) -> Callable[..., Any]:
    def apply(a: Array, b: Array, out: Array = None) -> Array:
        return np.maximum(least_or_greatest(a, b), a.dtype.type(0), out=out)

    return apply


def _sad(a: Array, b: Array, c: Array, out: Array = None) -> Array:
    return np.add(np.maximum(a, b) - np.minimum(a, b), c, out=out)


def _unsigned(x: Array) -> Array:
    return x.view(f"u{x.dtype.itemsize}")


def _sum_with_carry(a: Array, b: Array, carry: Array | None) -> tuple[Array, Array]:
    """a + b (+ carry) and its carry-out."""
    x, y = _unsigned(a), _unsigned(b)
    total = np.add(x, y)
    over = total < x
    if carry is not None:
        total = total + carry
        over |= carry & (total == 0)
    return total.view(a.dtype), over


def _difference_with_borrow(a: Array, b: Array, borrow: Array | None) -> tuple[Array, Array]:
    """a - b (- borrow) and its borrow-out, which PTX keeps in the same condition bit."""
    x, y = _unsigned(a), _unsigned(b)
    under = x < y
    total = np.subtract(x, y)
    if borrow is not None:
        under |= borrow & (total == 0)
        total = total - borrow
    return total.view(a.dtype), under


def _carrying(step: Callable[[Array, Array, Array | None], tuple[Array, Array]]) -> Callable[[Opcode], LaneFunction]:
    """`add.cc`, `addc`, `addc.cc` and their like: which of them reads and which writes the carry."""

    def build(op: Opcode) -> LaneFunction:
        reads, writes = op.base.endswith("c"), op.has("cc")

        def both(*sources: Array) -> tuple[Array, Array]:
            *values, last = sources if reads else (*sources, None)
            return step(*_terms(op, values), last)

        arity = 3 if op.base.startswith("mad") else 2
        apply = both if writes else returning(lambda *sources: both(*sources)[0])
        operands = (op.type,) * arity + ("pred",) * reads
        return LaneFunction(operands, (op.type,) + ("pred",) * writes, apply, reads_carry=reads, writes_carry=writes)

    return build


def _terms(op: Opcode, values: list[Array]) -> tuple[Array, Array]:
    """The two summands: the sources themselves, or for `mad` the product's half and the addend."""
    if len(values) == 2:
        return values[0], values[1]
    a, b, c = values
    return (high_product(a, b) if op.has("hi") else np.multiply(a, b)), c


FORMS: Forms = {
    f"add{INTEGER}": _same(2, np.add, True),
    f"sub{INTEGER}": _same(2, np.subtract, True),
    "add.sat.s32": _same(2, _saturated(np.add)),
    "sub.sat.s32": _same(2, _saturated(np.subtract)),
    "(add.cc|addc|addc.cc)(.u32|.s32|.u64|.s64)": _carrying(_sum_with_carry),
    "(sub.cc|subc|subc.cc)(.u32|.s32|.u64|.s64)": _carrying(_difference_with_borrow),
    "(mad.lo.cc|mad.hi.cc|madc.lo|madc.hi|madc.lo.cc|madc.hi.cc)(.u32|.s32|.u64|.s64)": _carrying(_sum_with_carry),
    f"mul.lo{INTEGER}": _same(2, np.multiply, True),
    f"mul.hi{INTEGER}": _same(2, returning(high_product)),
    "mul.wide(.u16|.s16|.u32|.s32)": _mul_wide,
    f"mad.lo{INTEGER}": _same(3, _mad_lo),
    f"mad.hi{INTEGER}": _same(3, _mad_hi),
    "mad.hi.sat.s32": _same(3, returning(_mad_hi_sat)),
    "mad.wide(.u16|.s16|.u32|.s32)": _mad_wide,
    "mul24(.lo|.hi)(.u32|.s32)": _mul24,
    "mad24(.lo|.hi)(.u32|.s32)": _mad24,
    "mad24.hi.sat.s32": _mad24,
    f"div{INTEGER}": _same(2, _unless_zero(_quotient)),
    f"rem{INTEGER}": _same(2, _unless_zero(_remainder)),
    "abs(.s16|.s32|.s64)": _same(1, np.absolute, True),
    "neg(.s16|.s32|.s64)": _same(1, np.negative, True),
    f"min{INTEGER}": _same(2, np.minimum, True),
    f"max{INTEGER}": _same(2, np.maximum, True),
    "min.relu(.s16|.s32)": _same(2, _clamped_negatives(np.minimum)),
    "max.relu(.s16|.s32)": _same(2, _clamped_negatives(np.maximum)),
    f"sad{INTEGER}": _same(3, _sad),
}
