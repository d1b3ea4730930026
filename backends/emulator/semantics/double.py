"""float64 arithmetic rounded in each IEEE direction, and the correctly rounded fused multiply-add."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from backends.emulator.semantics.exact import to_odd, two_product, two_sum, zero_sign

Array = Any
Pair = Callable[..., tuple[Array, Array]]
# Sources within these bounds neither over- nor underflow in any step of a pair's evaluation.
_SAFE_LEAST, _SAFE_GREATEST = 2.0**-300, 2.0**300


def _quotient_pair(a: Array, b: Array) -> tuple[Array, Array]:
    q = np.divide(a, b)
    p, e = two_product(q, b)
    return q, np.sign((a - p) - e) * np.sign(b)


def _root_pair(a: Array) -> tuple[Array, Array]:
    root = np.sqrt(a)
    p, e = two_product(root, root)
    return root, (a - p) - e


def _fma_pair(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    high, low = two_product(a, b)
    th, tl = two_sum(c, low)
    vh, vl = two_sum(high, th)
    return two_sum(vh, to_odd(*two_sum(tl, vl)))


def _nearest(exact: Fraction) -> tuple[float, float]:
    """The nearest float64, infinity on overflow, and the sign of what it misses."""
    try:
        value = float(exact)
    except OverflowError:
        return (math.inf, -1.0) if exact > 0 else (-math.inf, 1.0)
    missing = exact - Fraction(value)
    return value, float((missing > 0) - (missing < 0))


def _exact_root(a: Fraction) -> tuple[float, float]:
    root = math.sqrt(a)
    missing = a - Fraction(root) ** 2
    return root, float((missing > 0) - (missing < 0))


_PAIRS: dict[str, Pair] = {
    "add": two_sum,
    "sub": lambda a, b: two_sum(a, -b),
    "mul": two_product,
    "div": _quotient_pair,
    "rcp": lambda a: _quotient_pair(np.float64(1), a),
    "sqrt": _root_pair,
    "fma": _fma_pair,
}
_SCALARS: dict[str, Callable[..., tuple[float, float]]] = {
    "add": lambda a, b: _nearest(a + b),
    "sub": lambda a, b: _nearest(a - b),
    "mul": lambda a, b: _nearest(a * b),
    "div": lambda a, b: _nearest(a / b),
    "rcp": lambda a: _nearest(1 / a),
    "sqrt": _exact_root,
    "fma": lambda a, b, c: _nearest(a * b + c),
}


def _plain_fma(a: Array, b: Array, c: Array) -> Array:
    """Where only the addend is infinite it is the result, even if the product overflows float64."""
    return np.where(np.isinf(c) & np.isfinite(a) & np.isfinite(b), c, a * b + c)


_PLAIN: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "rcp": lambda a: np.divide(np.float64(1), a),
    "sqrt": np.sqrt,
    "fma": _plain_fma,
}
_TERMS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "add": lambda a, b: (a, b),
    "sub": lambda a, b: (a, -b),
    "fma": lambda a, b, c: (a * b, c),
}


def _safe(x: Array) -> Array:
    size = np.abs(x)
    return (size == 0) | ((size >= _SAFE_LEAST) & (size <= _SAFE_GREATEST))


def rounded(nearest: Array, error: Array, mode: str) -> Array:
    """An exact value rounded in `mode`, given the number `nearest` to it and the sign `error` of what that misses."""
    if mode == "rn":
        return nearest
    toward = {"rm": -np.inf, "rp": np.inf, "rz": 0.0}[mode]
    direction = np.sign(toward - nearest) if mode == "rz" else np.sign(toward)
    return np.where(error * direction > 0, np.nextafter(nearest, toward), nearest)


def _by_fractions(name: str, sources: list[Array], plain: Array, where: Array) -> tuple[Array, Array]:
    """`plain`, corrected in the flagged elements as far as they are finite, and the sign of what that misses."""
    nearest, error = plain.copy(), np.zeros_like(plain)
    finite = np.logical_and.reduce([np.isfinite(x) for x in sources]) & ~np.isnan(plain)
    if name in ("div", "rcp"):
        finite &= sources[-1] != 0
    for index in zip(*np.nonzero(finite & where), strict=True):
        value, rest = _SCALARS[name](*(Fraction(float(x[index])) for x in sources))
        if value or rest:
            nearest[index], error[index] = value, rest
    return nearest, error


def arithmetic(name: str, mode: str) -> Callable[..., Array]:
    """The operation `name` (add, sub, mul, div, rcp, sqrt, fma) on float64 arrays, rounded once in `mode`.

    Error-free transformations where the exponents allow, rational arithmetic element by element elsewhere.
    """

    def compute(*sources: Array) -> Array:
        arrays = [np.atleast_1d(x) for x in np.broadcast_arrays(*sources)]
        plain = np.asarray(_PLAIN[name](*arrays))
        nearest, error = _PAIRS[name](*arrays)
        safe = np.logical_and.reduce([_safe(x) for x in arrays])
        exact_zero = safe & (nearest == 0)
        if exact_zero.any():  # the pair may have lost its sign
            nearest = np.where(exact_zero, plain, nearest)
        if not safe.all():
            slow = _by_fractions(name, arrays, plain, ~safe)
            nearest, error = np.where(safe, nearest, slow[0]), np.where(safe, error, slow[1])
        result = rounded(nearest, error, mode)
        if name in _TERMS and mode == "rm":
            result = np.where(error == 0, zero_sign(result, *_TERMS[name](*arrays), mode), result)
        return result.reshape(np.broadcast_shapes(*map(np.shape, sources)))

    return compute
