"""Patterns give back the sequences that they were made from, and refuse others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.asynchronous.patterns import Pattern, fit

ORDERS = st.lists(st.integers(0, 5), max_size=5).map(lambda rest: (0, *rest))


@given(ORDERS, st.integers(-8, 8), st.integers(1, 6), st.integers(0, 7))
def test_fit_finds_the_sequence_again(order: tuple[int, ...], offset: int, jump: int, start: int) -> None:
    made = Pattern(offset, order, jump)
    found = fit({i: made.at(i) for i in range(start, start + 3 * len(order) + 1)}, {})
    assert found is not None
    assert [found.at(i) for i in range(200)] == [made.at(i) for i in range(200)]


@pytest.mark.parametrize("numbers", [(0, 1, 3, 2, 7, 5), (0, 0, 0, 1), (5, 4, 0, 1, 2)])
def test_what_does_not_repeat_has_no_pattern(numbers: tuple[int, ...]) -> None:
    assert fit(dict(enumerate(numbers)), {}) is None


def test_waits_for_what_is_over_bound_the_terms() -> None:
    assert fit({4: 0}, {3: -1}) == Pattern(-4)
    assert fit({4: 3}, {3: -1}) is None
    always = fit({}, {0: -1, 1: -1})
    assert always is not None and always.at(10_000) < 0
