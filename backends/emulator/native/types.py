"""LLVM types of a warp's values: one vector of 32 lanes for each element type, and constants of them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

LANES = 32
I1, I8, I16, I32, I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
HALF, FLOAT, DOUBLE = ir.HalfType(), ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()
MASK = ir.VectorType(I1, LANES)

_ELEMENTS = {
    "pred": I1, "f16": HALF, "f32": FLOAT, "f64": DOUBLE, "bf16": I16, "f16x2": I32, "bf16x2": I32, "f32x2": I64,
    **{f"{sign}{bits}": ir.IntType(bits) for sign in "bus" for bits in (8, 16, 32, 64)},
}  # fmt: skip
WIDTH_TYPES = {"p": I1, "h": I16, "w": I32, "d": I64}


class NotNativeError(Exception):
    """An instruction, or a form of one, that stays with the NumPy engine."""


def element(kind: str) -> ir.Type:
    """The scalar type of a PTX type; NotNativeError for one that is not handled."""
    found = _ELEMENTS.get(kind)
    if found is None:
        raise NotNativeError(kind)
    return found


def vector(kind: str) -> ir.VectorType:
    """Thirty-two lanes of a PTX type."""
    return ir.VectorType(element(kind), LANES)


def bits_of(scalar: ir.Type) -> int:
    """Width of a scalar type.

    >>> bits_of(HALF), bits_of(I1)
    (16, 1)
    """
    return {HALF: 16, FLOAT: 32, DOUBLE: 64}.get(scalar) or scalar.width


BROADCAST = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
"""The order of a shuffle that gives every lane the first."""


class _Splat(ir.FormattedConstant):  # type: ignore[misc]
    """`splat (i32 5)`: far shorter than 32 elements, to write and to parse."""

    def __init__(self, kind: ir.VectorType, text: str) -> None:
        super().__init__(kind, text)
        self.constant = text

    def _to_string(self) -> str:
        return f"{self.type} {self.constant}"


def splat(scalar: ir.Type, value: Any) -> ir.Constant:
    """A constant in every lane."""
    return _Splat(ir.VectorType(scalar, LANES), f"splat ({ir.Constant(scalar, value)})")


def iota(scalar: ir.Type, step: int = 1) -> ir.Constant:
    """0, step, 2 * step, ... in the lanes."""
    return ir.Constant(ir.VectorType(scalar, LANES), [ir.Constant(scalar, step * i) for i in range(LANES)])
