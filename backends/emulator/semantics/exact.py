"""Error-free transformations: exact sums and products as unevaluated pairs of floats, and rounding to odd.

Algorithms: Knuth's TwoSum, Dekker's and Veltkamp's product; rounding to odd and the correctly rounded fma from
S. Boldo and G. Melquiond, "Emulation of a FMA and Correctly Rounded Sums", IEEE Trans. Computers 57(4), 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s + e == a + b exactly, s the rounded sum; float64."""
    s = a + b
    back = s - a
    return s, (a - (s - back)) + (b - back)


def _split(a: Array) -> tuple[Array, Array]:
    scaled = a * np.float64(134217729)  # 2^27 + 1
    high = scaled - (scaled - a)
    return high, a - high


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """p + e == a * b exactly, p the rounded product; float64, while nothing over- or underflows."""
    p = a * b
    (ah, al), (bh, bl) = _split(a), _split(b)
    return p, al * bl - (((p - ah * bh) - al * bh) - ah * bl)


def to_odd(s: Array, error: Array) -> Array:
    """s + error rounded to odd: if inexact, that one of its two neighbours whose last bit is set.

    Rounding the result to a format with at least two bits less equals rounding the exact sum once. A NaN or infinite
    error, which comes from an s that is not finite, counts as none.
    """
    s = np.asarray(s)
    bits = s.view(f"i{s.dtype.itemsize}")
    inexact = (error != 0) & np.isfinite(error)
    past = inexact & ((error > 0) == np.signbit(s))
    return ((bits - past) | inexact).view(s.dtype)


def odd_sum(a: Array, b: Array) -> Array:
    """a + b of float64 arrays rounded to odd."""
    return to_odd(*two_sum(a, b))


def zero_sign(total: Array, a: Array, b: Array, mode: str) -> Array:
    """`total` = a + b with the sign that an exact zero has when rounding down: minus, unless both terms are +0."""
    if mode != "rm":
        return total
    return np.where((total == 0) & (np.signbit(a) | np.signbit(b)), -np.abs(total), total)
