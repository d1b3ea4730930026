"""Integer polynomials over symbols: the form in which addresses are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_AXIS = "#"
_ITERATION = "%"


@dataclass(frozen=True, order=True)
class Symbol:
    """An unknown integer; `axes` are the tile axes along which it varies, none for a scalar."""

    name: str
    axes: tuple[int, ...] = ()

    @property
    def is_axis(self) -> bool:
        """True for the index along one tile axis."""
        return self.name == _AXIS

    @property
    def is_iteration(self) -> bool:
        """True for the iteration number of a loop."""
        return self.name.startswith(_ITERATION)


def axis(number: int) -> Symbol:
    """The index along a tile axis, 0 .. extent - 1."""
    return Symbol(_AXIS, (number,))


def iteration(loop: str) -> Symbol:
    """The number of the current iteration of a loop, from 0."""
    return Symbol(_ITERATION + loop)


Monomial = tuple[Symbol, ...]


@dataclass(frozen=True)
class Polynomial:
    """Sum of coefficient x product of symbols; terms are sorted and no coefficient is 0.

    >>> n = Polynomial.of(Symbol("n"))
    >>> print(n * 4 + n * n - 1)
    -1 + 4 n + n n
    """

    terms: tuple[tuple[Monomial, int], ...] = ()

    @staticmethod
    def number(value: int) -> Polynomial:
        """A constant."""
        return Polynomial((((), value),) if value else ())

    @staticmethod
    def of(symbol: Symbol) -> Polynomial:
        """One symbol."""
        return Polynomial((((symbol,), 1),))

    @staticmethod
    def collect(terms: Iterable[tuple[Monomial, int]]) -> Polynomial:
        """The sum of terms in any order."""
        total: Counter[Monomial] = Counter()
        for monomial, coefficient in terms:
            total[tuple(sorted(monomial))] += coefficient
        return Polynomial(tuple(sorted((m, c) for m, c in total.items() if c)))

    def __add__(self, other: Polynomial | int) -> Polynomial:
        return Polynomial.collect((*self.terms, *_polynomial(other).terms))

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        pairs = ((a, b) for a in self.terms for b in _polynomial(other).terms)
        return Polynomial.collect((a[0] + b[0], a[1] * b[1]) for a, b in pairs)

    def __sub__(self, other: Polynomial | int) -> Polynomial:
        return self + _polynomial(other) * -1

    @property
    def symbols(self) -> frozenset[Symbol]:
        """Every symbol in it."""
        return frozenset(s for monomial, _ in self.terms for s in monomial)

    @property
    def value(self) -> int | None:
        """The number that it is, None where it has symbols."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    def coefficient(self, symbol: Symbol) -> Polynomial | None:
        """What the symbol is multiplied with; None where it occurs to a higher power."""
        found = [(m, c) for m, c in self.terms if symbol in m]
        if any(m.count(symbol) > 1 for m, _ in found):
            return None
        return Polynomial.collect((tuple(s for s in m if s != symbol), c) for m, c in found)

    def without(self, drop: Callable[[Symbol], bool]) -> Polynomial:
        """The terms that have no symbol for which `drop` holds."""
        return Polynomial(tuple((m, c) for m, c in self.terms if not any(map(drop, m))))

    def with_axes(self, new: Mapping[int, int]) -> Polynomial:
        """The same with tile axes renumbered: old -> new."""
        return Polynomial.collect((tuple(_renumbered(s, new) for s in m), c) for m, c in self.terms)

    def __str__(self) -> str:
        return " + ".join(_term(m, c) for m, c in self.terms) or "0"


def _polynomial(value: Polynomial | int) -> Polynomial:
    return Polynomial.number(value) if isinstance(value, int) else value


def _renumbered(symbol: Symbol, new: Mapping[int, int]) -> Symbol:
    return Symbol(symbol.name, tuple(sorted(new[a] for a in symbol.axes if a in new))) if symbol.axes else symbol


def _term(monomial: Monomial, coefficient: int) -> str:
    factors = [s.name + "".join(map(str, s.axes)) for s in monomial]
    return " ".join([*([str(coefficient)] if coefficient != 1 or not factors else []), *factors])
