"""Packed forms: one instruction on each element of a register that holds two."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.emulator.semantics.forms import Opcode
from backends.emulator.semantics.types import LaneFunction, storage

Array = Any


def elements(word: Array, dtype: np.dtype[Any]) -> Array:
    """A view of packed words with their elements, lowest first, along a new last axis."""
    return np.asarray(word)[..., None].view(dtype)


def scalar(op: Opcode) -> Opcode:
    """The opcode that acts on one element."""
    return Opcode(re.sub(r"(?<=16|32)x2\b", "", op.text))


def _packed(element_type: str) -> str:
    return element_type if element_type == "pred" else f"{element_type}x2"


def _split(x: Array, dtype: np.dtype[Any]) -> Array:
    return np.asarray(x)[..., None] if dtype == np.bool_ else elements(x, dtype)


def _on_each(one: LaneFunction, compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute`, of the element, on packed sources and result."""
    inner, element = [storage(t) for t in one.operands], storage(one.results[0])
    whole = storage(_packed(one.results[0]))

    def apply(*sources: Array, out: Array = None) -> Any:
        if out is None:
            out = np.empty(np.broadcast_shapes(*map(np.shape, sources)), whole)
        compute(*map(_split, sources, inner), out=elements(out, element))
        return out

    return apply


def _compare_each(one: LaneFunction) -> Callable[..., tuple[Array, Array]]:
    """A comparison of packed sources: the predicate of the low elements and that of the high ones."""
    inner = [storage(t) for t in one.operands]

    def apply(*sources: Array) -> tuple[Array, Array]:
        both = one.apply(*map(_split, sources, inner))
        return both[..., 0], both[..., 1]

    return apply


def lift(op: Opcode, one: LaneFunction) -> LaneFunction:
    """What `op` does to packed operands, given the function `one` of an element; predicates are not packed."""
    operands = tuple(map(_packed, one.operands))
    if op.base == "setp":
        return LaneFunction(operands, ("pred", "pred"), _compare_each(one))
    strict = _on_each(one, one.strict) if one.strict else None
    return LaneFunction(
        operands, (_packed(one.results[0]),), _on_each(one, one.apply), one.is_ufunc_like, strict=strict
    )


_UNORDERED = "(.eq|.ne|.lt|.le|.gt|.ge|.equ|.neu|.ltu|.leu|.gtu|.geu|.num|.nan)"

FORMS = (
    "(add|sub|mul)[.rn][.ftz][.sat].f16x2",
    "(add|sub|mul)[.rn].bf16x2",
    "fma.rn[.ftz][.sat|.relu].f16x2",
    "fma.rn[.relu].bf16x2",
    "(add|sub|mul)[.rn|.rz|.rm|.rp][.ftz].f32x2",
    "fma(.rn|.rz|.rm|.rp)[.ftz].f32x2",
    "(neg|abs)[.ftz].f16x2",
    "(neg|abs).bf16x2",
    "(min|max)[.ftz][.NaN][.xorsign.abs].f16x2",
    "(min|max)[.NaN][.xorsign.abs].bf16x2",
    "(ex2|tanh).approx.f16x2",
    "tanh.approx.bf16x2",
    "ex2.approx.ftz.bf16x2",
    "(add|min|max)(.u16x2|.s16x2)",
    "(min|max).relu.s16x2",
    f"setp{_UNORDERED}[.and|.or|.xor][.ftz].f16x2",
    f"setp{_UNORDERED}[.and|.or|.xor].bf16x2",
    f"set{_UNORDERED}[.and|.or|.xor][.ftz].f16x2.f16x2",
    f"set{_UNORDERED}[.and|.or|.xor].bf16x2.bf16x2",
)
