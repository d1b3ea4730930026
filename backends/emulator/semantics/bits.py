"""Bitwise instructions: logic, shifts, bit fields, counts and byte permutation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from backends.emulator.semantics.forms import Builder, Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any
FULL_32 = np.uint32(0xFFFFFFFF)


def _logic(arity: int, apply: Callable[..., Any]) -> Builder:
    return lambda op: LaneFunction((op.type,) * arity, (op.type,), apply, is_ufunc_like=True)


def _cnot(a: Array) -> Array:
    return (a == 0).astype(a.dtype)


# A function of two bits as its truth table: bit 2a + b.
_TWO_INPUTS: dict[int, Callable[[Array, Array], Array]] = {
    0b1000: np.bitwise_and,
    0b1110: np.bitwise_or,
    0b0110: np.bitwise_xor,
    0b1100: lambda a, _: a,
    0b1010: lambda _, b: b,
    0b0100: lambda a, b: a & ~b,
    0b0010: lambda a, b: ~a & b,
    0b0000: lambda a, b: (a ^ a) & b,
}


def _of_two(table: int, a: Array, b: Array) -> Array:
    function = _TWO_INPUTS.get(table)
    return function(a, b) if function else ~_TWO_INPUTS[table ^ 0b1111](a, b)


@cache
def _cofactors(lut: int) -> tuple[int, int]:
    """The function of a and b where c is 0, and its difference from the one where c is 1."""
    zero = sum((lut >> 2 * i & 1) << i for i in range(4))
    one = sum((lut >> (2 * i + 1) & 1) << i for i in range(4))
    return zero, zero ^ one


def lop3(a: Array, b: Array, c: Array, lut: Array) -> Array:
    """Any function of three bits; bit 4a + 2b + c of `lut` is its value, by Shannon's expansion at c."""
    zero, change = _cofactors(int(lut))
    if not change:
        return _of_two(zero, a, b) + np.zeros_like(c)
    switched = c if change == 0b1111 else _of_two(change, a, b) & c
    return switched if not zero else _of_two(zero, a, b) ^ switched


def _lop3_with_predicate(op: Opcode) -> LaneFunction:
    combine = np.logical_or if op.has("or") else np.logical_and

    def apply(a: Array, b: Array, c: Array, lut: Array, q: Array) -> tuple[Array, Array]:
        value = lop3(a, b, c, lut)
        return value, combine(value != 0, q)

    return LaneFunction((*("b32",) * 3, "u32", "pred"), ("b32", "pred"), apply)


def _shift(shift: np.ufunc) -> Builder:
    """NumPy shifts beyond the width give 0 or the sign, which is what PTX's clamped amounts give."""

    def build(op: Opcode) -> LaneFunction:
        amount = "s32" if op.type.startswith("s") else "u32"
        return LaneFunction((op.type, amount), (op.type,), _narrowed(shift, op.type), is_ufunc_like=True)

    return build


def _narrowed(shift: np.ufunc, element_type: str) -> Callable[..., Any]:
    """`shift` itself where NumPy's result has the operand's dtype; s64 and 16 bits have to be told."""
    dtype = storage(element_type)
    if dtype.itemsize == 4 or dtype == np.uint64:
        return shift

    def apply(a: Array, amount: Array, out: Array = None) -> Array:
        limit = np.minimum(amount.view(np.uint32), np.uint32(dtype.itemsize * 8)).astype(dtype)
        return shift(a, limit, out=out)

    return apply


def _funnel(op: Opcode) -> LaneFunction:
    left, wraps = op.has("l"), op.has("wrap")

    def compute(low: Array, high: Array, amount: Array) -> Array:
        count = (amount & np.uint32(31) if wraps else np.minimum(amount, np.uint32(32))).astype(np.uint64)
        both = np.left_shift(high, np.uint64(32), dtype=np.uint64) | low
        shifted = (both << count) >> np.uint64(32) if left else both >> count
        return shifted.astype(np.uint32)

    return LaneFunction(("b32", "b32", "u32"), ("b32",), returning(compute))


def _ones(count: Array) -> Array:
    """The word with its low `count` bits set, 0 to 64."""
    return ~np.left_shift(~np.uint64(0), count.astype(np.uint64))


def _byte(x: Array) -> Array:
    return x & np.uint32(0xFF)


def _bfe(op: Opcode) -> LaneFunction:
    dtype = storage(op.type)
    width = np.uint32(dtype.itemsize * 8)

    def compute(a: Array, position: Array, length: Array) -> Array:
        start, count = _byte(position), _byte(length)
        word = a.view(f"u{dtype.itemsize}").astype(np.uint64)
        field = (word >> start.astype(np.uint64)) & _ones(count)
        if dtype.kind == "u":
            return field.astype(dtype)
        top = np.minimum(start + count - (count > 0), width - np.uint32(1))
        negative = (word >> top.astype(np.uint64) & np.uint64(1)).astype(bool) & (count > 0)
        inside = np.minimum(count, width - np.minimum(start, width))
        return np.where(negative, field | ~_ones(inside), field).astype(f"u{dtype.itemsize}").view(dtype)

    return LaneFunction((op.type, "u32", "u32"), (op.type,), returning(compute))


def _bfi(op: Opcode) -> LaneFunction:
    def compute(a: Array, b: Array, position: Array, length: Array) -> Array:
        start = _byte(position).astype(np.uint64)
        mask = (_ones(_byte(length)) << start).astype(a.dtype)
        return b & ~mask | (a.astype(np.uint64) << start).astype(a.dtype) & mask

    return LaneFunction((op.type, op.type, "u32", "u32"), (op.type,), returning(compute))


def bit_length(x: Array) -> Array:
    """Position of the highest set bit plus one, 0 for 0, of uint32 or uint64, as int32."""
    if x.dtype == np.uint64:
        high = (x >> np.uint64(32)).astype(np.uint32)
        return np.where(high, bit_length(high) + 32, bit_length(x.astype(np.uint32)))
    return np.frexp(x.astype(np.float64))[1]


def _clz(a: Array) -> Array:
    return (a.dtype.itemsize * 8 - bit_length(a)).astype(np.uint32)


def _popc(a: Array) -> Array:
    return np.bitwise_count(a).astype(np.uint32)


def _to_u32(compute: Callable[..., Any]) -> Builder:
    return lambda op: LaneFunction((op.type,), ("u32",), returning(compute))


def _bfind(op: Opcode) -> LaneFunction:
    bits = storage(op.type).itemsize * 8

    def compute(a: Array) -> Array:
        magnitude = np.where(a < 0, ~a, a).astype(a.dtype).view(f"u{bits // 8}")
        position = bit_length(magnitude) - 1
        result = np.where(position < 0, -1, bits - 1 - position) if op.has("shiftamt") else position
        return result.astype(np.int32).view(np.uint32)

    return LaneFunction((op.type,), ("u32",), returning(compute))


def _brev(a: Array) -> Array:
    """Swap neighbouring bits, pairs and nibbles, then bytes."""
    word = a
    for step, mask in ((1, 0x55), (2, 0x33), (4, 0x0F)):
        every = a.dtype.type(int(f"{mask:02x}" * a.dtype.itemsize, 16))
        word = ((word >> a.dtype.type(step)) & every) | ((word & every) << a.dtype.type(step))
    return np.asarray(word).byteswap()


def _fns(mask: Array, base: Array, offset: Array) -> Array:
    """Position of the |offset|-th set bit of `mask` from `base` on, upward or downward; all ones if none."""
    found = np.full(np.broadcast(mask, base, offset).shape, FULL_32)
    missing = np.maximum(np.abs(offset.astype(np.int64)), 1)
    position, step = base.astype(np.int64), np.sign(offset).astype(np.int64)
    step = np.where(base < 32, np.where(offset == 0, 32, step), 32)
    for _ in range(32):
        inside = (position >= 0) & (position < 32)
        hit = inside & ((mask >> np.where(inside, position, 0).astype(np.uint32)) & np.uint32(1)).astype(bool)
        missing = missing - hit
        found = np.where(hit & (missing == 0), position.astype(np.uint32), found)
        position = position + step
    return found


# Selector of each mode of prmt by the low two bits of c.
_PRMT_MODES = {
    "f4e": (0x3210, 0x4321, 0x5432, 0x6543),
    "b4e": (0x5670, 0x6701, 0x7012, 0x0123),
    "rc8": (0x0000, 0x1111, 0x2222, 0x3333),
    "ecl": (0x3210, 0x3211, 0x3222, 0x3333),
    "ecr": (0x0000, 0x1110, 0x2210, 0x3210),
    "rc16": (0x1010, 0x3232, 0x1010, 0x3232),
}


def _prmt_constant(a: Array, b: Array, selector: int) -> Array:
    """One byte at a time through byte views."""
    result = np.empty(np.broadcast(a, b).shape, np.uint32)
    sources = [np.asarray(x)[..., None].view(np.int8) for x in (a, b)]
    target = result[..., None].view(np.int8)
    for i in range(4):
        pick = selector >> 4 * i & 15
        source = sources[pick >> 2 & 1][..., pick & 3]
        target[..., i] = source >> np.int8(7) if pick & 8 else source
    return result


def _prmt_variable(a: Array, b: Array, selector: Array) -> Array:
    both = np.left_shift(b, np.uint64(32), dtype=np.uint64) | a
    result = np.zeros(np.broadcast(a, b, selector).shape, np.uint32)
    for i in range(4):
        pick = (selector >> np.uint32(4 * i)).astype(np.uint64)
        byte = (both >> ((pick & np.uint64(7)) << np.uint64(3))).astype(np.int8)
        signed = np.where(pick & np.uint64(8), byte >> np.int8(7), byte).view(np.uint8)
        result |= signed.astype(np.uint32) << np.uint32(8 * i)
    return result


def _prmt(a: Array, b: Array, selector: Array) -> Array:
    return _prmt_variable(a, b, selector) if np.ndim(selector) else _prmt_constant(a, b, int(selector))


def _prmt_mode(op: Opcode) -> LaneFunction:
    selectors = np.array(_PRMT_MODES[op.type], np.uint32)

    def compute(a: Array, b: Array, c: Array) -> Array:
        return _prmt(a, b, selectors[c & np.uint32(3)])

    return LaneFunction(("b32", "b32", "b32"), ("b32",), returning(compute))


def _count(op: Opcode, x: Array) -> Array:
    return x & np.uint32(31) if op.has("wrap") else np.minimum(x, np.uint32(32))


def _szext(op: Opcode) -> LaneFunction:
    dtype = storage(op.type)

    def compute(a: Array, b: Array) -> Array:
        unused = (np.uint32(32) - _count(op, b)).astype(dtype)
        return np.right_shift(np.left_shift(a, unused), unused) * (unused < 32).astype(dtype)

    return LaneFunction((op.type, "u32"), (op.type,), returning(compute))


def _bmsk(op: Opcode) -> LaneFunction:
    def compute(a: Array, b: Array) -> Array:
        return (_ones(_count(op, b)) << _count(op, a).astype(np.uint64)).astype(np.uint32)

    return LaneFunction(("u32", "u32"), ("b32",), returning(compute))


def _to_b32(compute: Callable[..., Any], *operands: str) -> Builder:
    return lambda _: LaneFunction(operands, ("b32",), returning(compute))


FORMS: Forms = {
    "and(.pred|.b16|.b32|.b64)": _logic(2, np.bitwise_and),
    "or(.pred|.b16|.b32|.b64)": _logic(2, np.bitwise_or),
    "xor(.pred|.b16|.b32|.b64)": _logic(2, np.bitwise_xor),
    "not(.pred|.b16|.b32|.b64)": _logic(1, np.bitwise_not),
    "cnot(.b16|.b32|.b64)": lambda op: LaneFunction((op.type,), (op.type,), returning(_cnot)),
    "lop3.b32": _to_b32(lop3, "b32", "b32", "b32", "u32"),
    "lop3(.or|.and).b32": _lop3_with_predicate,
    "shl(.b16|.b32|.b64)": _shift(np.left_shift),
    "shr(.b16|.b32|.b64|.u16|.u32|.u64|.s16|.s32|.s64)": _shift(np.right_shift),
    "shf(.l|.r)(.wrap|.clamp).b32": _funnel,
    "bfe(.u32|.s32|.u64|.s64)": _bfe,
    "bfi(.b32|.b64)": _bfi,
    "bfind[.shiftamt](.u32|.s32|.u64|.s64)": _bfind,
    "brev(.b32|.b64)": lambda op: LaneFunction((op.type,), (op.type,), returning(_brev)),
    "clz(.b32|.b64)": _to_u32(_clz),
    "popc(.b32|.b64)": _to_u32(_popc),
    "fns.b32": _to_b32(_fns, "b32", "u32", "s32"),
    "prmt.b32": _to_b32(_prmt, "b32", "b32", "b32"),
    "prmt.b32(.f4e|.b4e|.rc8|.ecl|.ecr|.rc16)": _prmt_mode,
    "szext(.wrap|.clamp)(.u32|.s32)": _szext,
    "bmsk(.wrap|.clamp).b32": _bmsk,
}
