"""Tables of names written as text."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def words(text: str) -> frozenset[str]:
    """The names of a text."""
    return frozenset(text.split())


def each(text: str, value: T) -> dict[str, T]:
    """Every name of a text with the same value.

    >>> each("A B", 1)
    {'A': 1, 'B': 1}
    """
    return dict.fromkeys(text.split(), value)
