"""Packed forms: one instruction on each element of a register that holds two."""

from __future__ import annotations

import re
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


def lift(op: Opcode, one: LaneFunction) -> LaneFunction:
    """Apply `one`, the function of the element, to each element of packed operands; predicates stay as they are."""
    is_comparison = op.base == "setp"
    inner = [storage(t) for t in one.operands]

    def split(x: Array, dtype: np.dtype[Any]) -> Array:
        return np.asarray(x)[..., None] if dtype == np.bool_ else elements(x, dtype)

    def apply(*sources: Array, out: Array = None) -> Any:
        parts = [split(x, dtype) for x, dtype in zip(sources, inner, strict=True)]
        if is_comparison:
            both = one.apply(*parts)
            return both[..., 0], both[..., 1]
        if out is None:
            out = np.empty(np.broadcast_shapes(*map(np.shape, sources)), storage(packed(one.results[0])))
        one.apply(*parts, out=elements(out, storage(one.results[0])))
        return out

    def packed(element_type: str) -> str:
        return element_type if element_type == "pred" else f"{element_type}x2"

    results = ("pred", "pred") if is_comparison else (packed(one.results[0]),)
    return LaneFunction(tuple(map(packed, one.operands)), results, apply, one.is_ufunc_like)


_MATHS = "[.rn][.ftz][.sat]"
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
    "(add|sub|min|max)(.u16x2|.s16x2)",
    "(min|max).relu.s16x2",
    f"setp{_UNORDERED}[.and|.or|.xor][.ftz].f16x2",
    f"setp{_UNORDERED}[.and|.or|.xor].bf16x2",
    f"set{_UNORDERED}[.and|.or|.xor][.ftz].f16x2.f16x2",
    f"set{_UNORDERED}[.and|.or|.xor].bf16x2.bf16x2",
)
