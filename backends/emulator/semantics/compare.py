"""Comparisons (set, setp) and selections (selp, slct)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.emulator.semantics.floating import flush
from backends.emulator.semantics.formats import widen_bf16
from backends.emulator.semantics.forms import Forms, Opcode
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any
Apply = Callable[..., Any]


def _not(compare: np.ufunc) -> Apply:
    def apply(a: Array, b: Array, out: Array = None) -> Array:
        return np.logical_not(compare(a, b, out=out), out=out)

    return apply


def _is_number_pair(a: Array, b: Array) -> Array:
    return (a == a) & (b == b)


def _ordered_unequal(a: Array, b: Array) -> Array:
    return (a < b) | (a > b)


def _unordered_equal(a: Array, b: Array) -> Array:
    return ~_ordered_unequal(a, b)


_INTEGER: dict[str, Apply] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}
_FLOAT: dict[str, Apply] = {
    **{name: _INTEGER[name] for name in ("eq", "lt", "le", "gt", "ge")},
    "ne": returning(_ordered_unequal),
    "equ": returning(_unordered_equal),
    "neu": np.not_equal,
    "ltu": _not(np.greater_equal),
    "leu": _not(np.greater),
    "gtu": _not(np.less_equal),
    "geu": _not(np.less),
    "num": returning(_is_number_pair),
    "nan": returning(lambda a, b: ~_is_number_pair(a, b)),
}
_BOOLEAN: dict[str, np.ufunc] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _comparison(op: Opcode) -> Apply:
    """The bare comparison of two sources of the opcode's last type."""
    if op.type not in ("f16", "bf16", "f32", "f64"):
        return _INTEGER[op.parts[1]]
    compare = _FLOAT[op.parts[1]]
    if op.type == "bf16":
        return lambda a, b, out=None: compare(widen_bf16(a), widen_bf16(b), out=out)
    if op.has("ftz"):
        return lambda a, b, out=None: compare(flush(a), flush(b), out=out)
    return compare


def _boolean(op: Opcode) -> np.ufunc | None:
    name = op.among(_BOOLEAN)
    return _BOOLEAN[name] if name else None


def _setp(op: Opcode) -> LaneFunction:
    compare, combine = _comparison(op), _boolean(op)
    if not combine:
        return LaneFunction((op.type, op.type), ("pred",), compare, is_ufunc_like=isinstance(compare, np.ufunc))

    def apply(a: Array, b: Array, c: Array, out: Array = None) -> Array:
        return combine(compare(a, b), c, out=out)

    return LaneFunction((op.type, op.type, "pred"), ("pred",), apply)


def pair(op: Opcode) -> LaneFunction:
    """`setp` with both destinations: p from the comparison, q from its complement."""
    compare, combine = _comparison(op), _boolean(op)

    def apply(a: Array, b: Array, *c: Array) -> tuple[Array, Array]:
        true = compare(a, b)
        return (combine(true, *c), combine(~true, *c)) if combine else (true, ~true)

    return LaneFunction(_setp(op).operands, ("pred", "pred"), apply)


def _true(element_type: str) -> Any:
    """All ones, or 1.0 of a float type, in its storage."""
    if element_type.startswith("f"):
        return storage(element_type).type(1)
    return np.uint16(0x3F80) if element_type == "bf16" else ~storage(element_type).type(0)


def _set(op: Opcode) -> LaneFunction:
    """All ones, or 1.0 if the destination is a float."""
    predicate, result = _setp(op), op.parts[-2]
    true, false = _true(result), storage(result).type(0)

    def compute(*sources: Array) -> Array:
        return np.where(predicate.apply(*sources), true, false)

    return LaneFunction(predicate.operands, (result,), returning(compute))


def select(a: Array, b: Array, p: Array, out: Array = None) -> Array:
    """a where p, else b; as a blend of bits, which costs the same for every pattern of p."""
    width = a.dtype.itemsize
    x, y = a.view(f"u{width}"), b.view(f"u{width}")
    mask = np.negative(p.view(np.int8), dtype=f"i{width}").view(f"u{width}")
    changed = np.bitwise_and(np.bitwise_xor(x, y), mask)
    return np.bitwise_xor(changed, y, out=None if out is None else out.view(x.dtype)).view(a.dtype)


def _slct(op: Opcode) -> LaneFunction:
    """a where c >= 0, else b; -0 counts as 0, NaN as less."""
    data, sign = op.parts[-2], op.type
    before = flush if op.has("ftz") else np.asarray

    def apply(a: Array, b: Array, c: Array, out: Array = None) -> Array:
        return select(a, b, before(c) >= 0, out=out)

    return LaneFunction((data, data, sign), (data,), apply)


_ORDER = "(.eq|.ne|.lt|.le|.gt|.ge)"
_UNORDERED = "(.eq|.ne|.lt|.le|.gt|.ge|.equ|.neu|.ltu|.leu|.gtu|.geu|.num|.nan)"
_WORDS = "(.b16|.b32|.b64|.u16|.u32|.u64|.s16|.s32|.s64|.f32|.f64)"

FORMS: Forms = {
    "setp(.eq|.ne)[.and|.or|.xor](.b16|.b32|.b64)": _setp,
    f"setp{_ORDER}[.and|.or|.xor](.s16|.s32|.s64|.u16|.u32|.u64)": _setp,
    "setp(.lo|.ls|.hi|.hs)[.and|.or|.xor](.u16|.u32|.u64)": _setp,
    f"setp{_UNORDERED}[.and|.or|.xor][.ftz](.f32|.f16)": _setp,
    f"setp{_UNORDERED}[.and|.or|.xor](.f64|.bf16)": _setp,
    "set(.eq|.ne)[.and|.or|.xor](.u32|.s32|.f32)(.b16|.b32|.b64)": _set,
    f"set{_ORDER}[.and|.or|.xor](.u32|.s32|.f32)(.s16|.s32|.s64|.u16|.u32|.u64)": _set,
    "set(.lo|.ls|.hi|.hs)[.and|.or|.xor](.u32|.s32|.f32)(.u16|.u32|.u64)": _set,
    f"set{_UNORDERED}[.and|.or|.xor][.ftz](.u32|.s32|.f32).f32": _set,
    f"set{_UNORDERED}[.and|.or|.xor](.u32|.s32|.f32).f64": _set,
    f"set{_UNORDERED}[.and|.or|.xor][.ftz](.f16|.u16|.s16|.u32|.s32).f16": _set,
    f"set{_UNORDERED}[.and|.or|.xor](.bf16|.u16|.s16|.u32|.s32).bf16": _set,
    f"selp{_WORDS}": lambda op: LaneFunction((op.type, op.type, "pred"), (op.type,), select),
    f"slct{_WORDS}.s32": _slct,
    f"slct[.ftz]{_WORDS}.f32": _slct,
}
