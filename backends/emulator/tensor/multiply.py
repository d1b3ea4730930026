"""The arithmetic of a matrix instruction: D = A * B + C in batches, for each combination of element types.

Products of 16-bit, tf32 and 8-bit floats are exact in float32 and are summed in float32; the order of the sum and the
rounding inside a tensor core are not specified, so results agree with a GPU to the rounding of the accumulator.
Integer results are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.tensor import elements

Array = NDArray[Any]

_EXACT_IN_FLOAT32 = 1 << 24
_LARGEST = {"s8": 128, "u8": 255, "s4": 8, "u4": 15, "b1": 1}
_S32 = (-(1 << 31), (1 << 31) - 1)


def multiply(
    a: Array,
    a_type: str,
    b: Array,
    b_type: str,
    c: Array | None,
    d_type: str,
    *,
    negate_a: bool = False,
    negate_b: bool = False,
    saturate: bool = False,
) -> Array:
    """Bits of D (n, M, N), from bits of A (n, M, K), of B (n, K, N) and of C (n, M, N) in D's type, or None for zero.

    K may be many instructions long: their chain is one product. `saturate` clamps an integer result to s32 instead of
    wrapping it. KeyError for an unknown type.
    """
    if d_type == "s32":
        return add_integers(integer_product(a, a_type, b, b_type), c, saturate)
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.matmul(elements.decode(a, a_type), elements.decode(b, b_type))
    if negate_a != negate_b:
        np.negative(product, out=product)
    if c is not None:
        product += elements.decode(c, d_type)
    return elements.encode(product, d_type)


def multiply_scaled(
    a: Array, a_type: str, a_scale: Array, b: Array, b_type: str, b_scale: Array, scale_type: str, c: Array | None
) -> Array:
    """Bits of D (n, M, N) f32 of a block-scaled product; A, B and C as in `multiply`.

    `a_scale` (n, M, S) and `b_scale` (n, N, S) are codes of `scale_type`; factor s scales elements s * K / S onwards of
    a row of A or column of B. KeyError for an unknown type.
    """
    left, right = elements.decode(a, a_type), elements.decode(b, b_type)
    block = a.shape[-1] // a_scale.shape[-1]
    with np.errstate(invalid="ignore", over="ignore"):
        left *= np.repeat(elements.decode(a_scale, scale_type), block, axis=-1)
        right *= np.repeat(elements.decode(b_scale, scale_type), block, axis=-1).transpose(0, 2, 1)
        product = np.matmul(left, right)
        if c is not None:
            product += elements.decode(c, "f32")
    return elements.encode(product, "f32")


def integer_product(a: Array, a_type: str, b: Array, b_type: str) -> Array:
    """Exact A * B (n, M, N) int64 of integer matrices, through floating-point BLAS of the width that stays exact."""
    bound = a.shape[-1] * _LARGEST[a_type] * _LARGEST[b_type]
    exact = np.float32 if bound <= _EXACT_IN_FLOAT32 else np.float64
    left, right = elements.decode(a, a_type).astype(exact), elements.decode(b, b_type).astype(exact)
    product: Array = np.matmul(left, right).astype(np.int64)
    return product


def multiply_bits(a: Array, b: Array, c: Array | None, operation: str) -> Array:
    """D of a one-bit product: the number of ones of `a xor b` or `a and b` along K, plus C; bits are one to a byte.

    Shapes as in `multiply`, results uint32. KeyError for another operation.
    """
    both = integer_product(a, "b1", b, "b1")
    ones = {"and": both, "xor": _ones(a, -1) + _ones(b, -2) - 2 * both}[operation]
    return add_integers(ones, c, saturate=False)


def _ones(bits: Array, axis: int) -> Array:
    total: Array = bits.sum(axis=axis, keepdims=True, dtype=np.int64)
    return total


def add_integers(product: Array, c: Array | None, saturate: bool) -> Array:
    """Bits (uint32) of an int64 product plus C: clamped to s32, or wrapped."""
    total = product if c is None else product + c.view(np.int32)
    if saturate:
        total = np.clip(total, *_S32)
    wrapped: Array = total.astype(np.int32).view(np.uint32)
    return wrapped
