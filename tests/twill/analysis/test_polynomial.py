"""Polynomials: a ring, with coefficients that can be read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twill.analysis.polynomial import Polynomial, Symbol, axis, iteration

NAMES = [Symbol("n"), Symbol("m", (0,)), axis(0), axis(1), iteration("0")]
monomials = st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)
polynomials = st.lists(st.tuples(monomials, st.integers(-9, 9)), max_size=4).map(Polynomial.collect)


@given(polynomials, polynomials, polynomials)
def test_ring(a: Polynomial, b: Polynomial, c: Polynomial) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) * c == a * c + b * c
    assert a - a == Polynomial()
    assert a * 1 == a + 0 == a


@given(polynomials, st.sampled_from(NAMES))
def test_coefficient_and_rest_make_the_whole(a: Polynomial, symbol: Symbol) -> None:
    coefficient = a.coefficient(symbol)
    squared = any(monomial.count(symbol) > 1 for monomial, _ in a.terms)
    assert (coefficient is None) == squared
    if coefficient is not None:
        assert coefficient * Polynomial.of(symbol) + a.without(lambda s: s == symbol) == a


def test_value() -> None:
    assert Polynomial.number(7).value == 7
    assert Polynomial().value == 0
    assert (Polynomial.of(NAMES[0]) + 7).value is None


def test_axes_are_renumbered() -> None:
    both = Polynomial.of(axis(0)) * 8 + Polynomial.of(axis(1))
    assert both.with_axes({0: 1, 1: 0}) == Polynomial.of(axis(1)) * 8 + Polynomial.of(axis(0))
