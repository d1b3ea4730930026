"""Numbers that follow from sizes: traces of one model at several sizes become one whose numbers are expressions.

A number that is the same at all sizes is itself; else it must be a size, a product or sum of sizes, or one of these
times, over, plus or minus a constant, at every size. What fits none of these does not scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import combinations
from math import prod
from typing import Any

from ir.expression import Expression
from ir.task import Sizes

_MOST_FACTORS = 3


class UnscalableError(ValueError):
    """Traces at different sizes are not one program, or a number of theirs follows from no expression."""


@dataclass(frozen=True)
class Family:
    """Sizes by which one model was traced, a row for each trace."""

    rows: tuple[Sizes, ...]

    def expression(self, numbers: Sequence[int]) -> Expression:
        """What gives these numbers at the rows. Raises UnscalableError.

        >>> Family(({"N": 8, "M": 3}, {"N": 2, "M": 5}, {"N": 6, "M": 7})).expression([25, 12, 40])
        Traceback (most recent call last):
        ...
        optiml.importing.symbols.UnscalableError: 25, 12, 40 follow from no sizes
        >>> str(Family(({"N": 8, "M": 3}, {"N": 2, "M": 5}, {"N": 6, "M": 7})).expression([48, 20, 84]))
        'M * N * 2'
        """
        if len(set(numbers)) == 1:
            return Expression.parse(numbers[0])
        for text in self._candidates(numbers):
            found = Expression.parse(text)
            if all(found.evaluate(row) == n for row, n in zip(self.rows, numbers, strict=True)):
                return found
        raise UnscalableError(f"{', '.join(map(str, numbers))} follow from no sizes")

    def _candidates(self, numbers: Sequence[int]) -> Iterator[str]:
        first, rest = self.rows[0], numbers[0]
        names = sorted(first)
        for count in range(1, _MOST_FACTORS + 1):
            for chosen in combinations(names, count):
                text, value = " * ".join(chosen), prod(first[name] for name in chosen)
                moved = f"{text} + {rest - value}" if rest > value else f"{text} - {value - rest}"
                yield from (text, f"{text} * {rest // value}", f"{text} // {max(value // max(rest, 1), 1)}", moved)
        yield from (f"{a} + {b}" for a, b in combinations(names, 2))


def united(family: Family, values: Sequence[Any]) -> Any:
    """Values of one form at each row of the family as one value with expressions in place of numbers that differ.

    Dataclasses, tuples and mappings are gone through. Raises UnscalableError.
    """
    first = values[0]
    if any(type(v) is not type(first) for v in values):
        raise UnscalableError("the model does other things at other sizes")
    for kind, unite in _FORMS.items():
        if isinstance(first, kind):
            return unite(family, values)
    if is_dataclass(first):
        parts = {f.name: united(family, [getattr(v, f.name) for v in values]) for f in fields(first)}
        return type(first)(**parts)  # type: ignore[misc]
    return _same(values)


def _tuples(family: Family, values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    if len({len(v) for v in values}) != 1:
        raise UnscalableError("the model does other things at other sizes")
    return tuple(united(family, each) for each in zip(*values, strict=True))


def _mappings(family: Family, values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len({tuple(v) for v in values}) != 1:
        raise UnscalableError("the model does other things at other sizes")
    return {key: united(family, [v[key] for v in values]) for key in values[0]}


def _whole(family: Family, values: Sequence[int]) -> int | Expression:
    return values[0] if len(set(values)) == 1 else family.expression(values)


def _floats(family: Family, values: Sequence[float]) -> float | Expression:
    """A divisor may be a size."""
    if len({repr(v) for v in values}) == 1:
        return values[0]
    if not all(v.is_integer() for v in values):
        raise UnscalableError(f"{', '.join(map(str, values))} follow from no sizes")
    return family.expression([int(v) for v in values])


def _same(values: Sequence[Any]) -> Any:
    if any(v != values[0] for v in values):
        raise UnscalableError("the model does other things at other sizes")
    return values[0]


_FORMS: Mapping[type, Callable[[Family, Sequence[Any]], Any]] = {
    bool: lambda _f, values: _same(values),
    int: _whole,
    float: _floats,
    tuple: _tuples,
    dict: _mappings,
}
