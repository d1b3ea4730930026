"""Dot products of packed bytes: dp4a and dp2a."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.emulator.semantics.forms import Forms, Opcode
from backends.emulator.semantics.packed import elements
from backends.emulator.semantics.types import LaneFunction, returning, storage

Array = Any


def _types(op: Opcode) -> tuple[str, str, str]:
    """Types of both sources, and of addend and result: unsigned only if both sources are."""
    first, second = op.parts[-2:]
    return first, second, "u32" if first == second == "u32" else "s32"


def _parts(word: Array, element_type: str, bits: int) -> Array:
    return elements(word, np.dtype(f"{storage(element_type).kind}{bits // 8}"))


def _dot(op: Opcode, first_bits: int, chosen: slice) -> LaneFunction:
    first, second, result = _types(op)

    def compute(a: Array, b: Array, c: Array) -> Array:
        left, right = _parts(a, first, first_bits), _parts(b, second, 8)[..., chosen]
        total = c.astype(np.int64)
        for i in range(left.shape[-1]):
            total = total + np.multiply(left[..., i], right[..., i], dtype=np.int64)
        return total.astype(storage(result))

    return LaneFunction((first, second, result), (result,), returning(compute))


def _dp4a(op: Opcode) -> LaneFunction:
    return _dot(op, 8, slice(0, 4))


def _dp2a(op: Opcode) -> LaneFunction:
    return _dot(op, 16, slice(2, 4) if op.has("hi") else slice(0, 2))


FORMS: Forms = {"dp4a(.u32|.s32)(.u32|.s32)": _dp4a, "dp2a(.lo|.hi)(.u32|.s32)(.u32|.s32)": _dp2a}
