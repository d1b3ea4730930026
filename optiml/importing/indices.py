"""Indices into tensors as Triton expressions: unravelled from one number, reshaped, broadcast, ravelled to an address.

An index remembers from which number it was unravelled, so that to ravel all parts again gives that number itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ir.expression import Expression

Extent = int | Expression
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Index:
    """An expression; `base`, `dims`, `place`: it is the coordinate `place` of the number `base` within `dims`."""

    text: str
    base: str = ""
    dims: tuple[str, ...] = ()
    place: int = 0


ZERO = Index("0")


def extent_text(extent: Extent) -> str:
    """An extent in the kernel's names, which are those of the sizes in lower case.

    >>> extent_text(Expression.parse("BATCH * 4")), extent_text(7)
    ('(batch * 4)', '7')
    """
    text = _WORD.sub(lambda m: m[0].lower(), str(extent))
    return text if _WORD.fullmatch(text) or text.isdigit() else f"({text})"


def extents(shape: Sequence[Extent]) -> tuple[str, ...]:
    """The texts of all extents."""
    return tuple(map(extent_text, shape))


def product(dims: Sequence[str]) -> str:
    """The number of elements.

    >>> product(("n", "1", "4")), product(())
    ('n * 4', '1')
    """
    return " * ".join(d for d in dims if d != "1") or "1"


def unravel(number: str, dims: Sequence[str]) -> tuple[Index, ...]:
    """The coordinates of a number within dims, row major; extents of 1 have the coordinate 0.

    >>> [i.text for i in unravel("offs", ("n", "1", "4"))]
    ['offs // 4', '0', 'offs % 4']
    """
    real = tuple(d for d in dims if d != "1")
    if len(real) == 1:
        return tuple(Index(number, number, real, 0) if d != "1" else ZERO for d in dims)
    found, place = [], 0
    for d in dims:
        found.append(_coordinate(number, real, place) if d != "1" else ZERO)
        place += d != "1"
    return tuple(found)


def _coordinate(number: str, dims: tuple[str, ...], place: int) -> Index:
    below = product(dims[place + 1 :])
    whole = number if below == "1" else f"{number} // {_closed(below)}"
    text = whole if place == 0 else f"{_closed(whole)} % {dims[place]}"
    return Index(text, number, dims, place)


def ravel(index: Sequence[Index], dims: Sequence[str]) -> str:
    """The number of the element at an index: `i * (n * 4) + j`.

    >>> ravel(unravel("offs", ("n", "1", "4")), ("n", "4")), ravel((Index("i"), Index("j")), ("m", "n"))
    ('offs', 'i * n + j')
    >>> ravel((Index("i"), *unravel("c", ("h", "w"))), ("b", "h", "w"))
    'i * (h * w) + c'
    """
    pairs = [(i, d) for i, d in zip(index, dims, strict=False) if d != "1"]
    if len(index) != len(dims):
        pairs = list(zip([i for i in index if i.text != "0"], [d for d in dims if d != "1"], strict=True))
    parts, real = [i for i, _ in pairs], tuple(d for _, d in pairs)
    if not parts:
        return "0"
    terms, at = [], 0
    while at < len(parts):
        text, count = _whole(parts, real, at)
        at += count
        stride = product(real[at:])
        if text != "0":
            terms.append(text if stride == "1" else f"{_closed(text)} * {_closed(stride)}")
    return " + ".join(terms if len(terms) == 1 else map(_factor, terms)) or "0"


def _whole(parts: Sequence[Index], dims: tuple[str, ...], at: int) -> tuple[str, int]:
    """The number that the parts from `at` on are all coordinates of, with their count; else one part alone."""
    first = parts[at]
    group = parts[at : at + len(first.dims)]
    is_whole = first.base and all(i.base == first.base and i.place == n for n, i in enumerate(group))
    if is_whole and len(group) == len(first.dims) and dims[at : at + len(group)] == first.dims:
        return first.base, len(group)
    return first.text, 1


def _factor(text: str) -> str:
    """A term of a sum: `//` and `%` bind as `*` does, and are set apart to be read."""
    return f"({text})" if " // " in text or " % " in text else text


def reshape(index: Sequence[Index], dims: Sequence[str], to: Sequence[str]) -> tuple[Index, ...]:
    """The index of the same element in another shape: extents that both have in front and behind stay apart.

    >>> [i.text for i in reshape((Index("r"), Index("c")), ("(b * s)", "n"), ("b", "s", "n"))]
    ['r // s', 'r % s', 'c']
    """
    old = [(i, d) for i, d in zip(index, dims, strict=True) if d != "1"]
    new = [d for d in to if d != "1"]
    first = _common([d for _, d in old], new)
    last = _common([d for _, d in old[first:]][::-1], new[first:][::-1])
    middle = old[first : len(old) - last]
    number = ravel([i for i, _ in middle], [d for _, d in middle])
    within = unravel(_closed(number), new[first : len(new) - last])
    found = iter((*(i for i, _ in old[:first]), *within, *(i for i, _ in old[len(old) - last :])))
    return tuple(next(found) if d != "1" else ZERO for d in to)


def broadcast(index: Sequence[Index], dims: Sequence[str]) -> tuple[Index, ...]:
    """The index into a smaller shape that is spread over the larger one: the last axes, 0 where the extent is 1."""
    kept = index[len(index) - len(dims) :]
    return tuple(ZERO if d == "1" else i for i, d in zip(kept, dims, strict=True))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


def _closed(text: str) -> str:
    return text if _WORD.fullmatch(text) or text.isdigit() or _is_closed(text) else f"({text})"


def _is_closed(text: str) -> bool:
    """Whether one pair of parentheses goes around all of it."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and at < len(text) - 1:
            return False
    return text.startswith("(")
