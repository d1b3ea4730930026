"""Which CTAs of a grid behave alike: run a few, find by position which class all others belong to, and verify.

The grid is taken as a product of its axes. Coordinates are tried at the ends, in the middle and at random places of
each axis; two neighbouring ones at which whole rows of CTAs behave alike stand for all between them, and between others
the boundary is searched by bisection. CTAs that were held out must have the class that this rule gives them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from backends.model.counts.loaded import Counts

Position = tuple[int, int, int]
RunUnits = Callable[[Sequence[int]], Counts]
"""Runs units (CTAs or clusters) and gives the counts of each, (units, ...)."""
# Coordinates that are tried on an axis, at most; beyond, its classes are those of the nearest that was.
AXIS_LIMIT = 64
HELD_OUT = 24


@dataclass
class Labels:
    """The class of each unit that was run; `examples`: the counts of one unit of each class."""

    extent: Position
    run: RunUnits
    of: dict[int, int] = field(default_factory=dict)
    examples: list[NDArray[np.int32]] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def ensure(self, units: Iterable[int], again: bool = False) -> None:
        """Run those of these units that were not run yet, or all of them again."""
        new = sorted(set(units) - (set() if again else self.of.keys()))
        if not new:
            return
        for unit, counts in zip(new, self.run(new), strict=True):
            key = counts.tobytes()
            if key not in self._known:
                self._known[key] = len(self.examples)
                self.examples.append(counts)
            self.of[unit] = self._known[key]

    def counts_of(self, unit: int) -> NDArray[np.int32]:
        """Counts of a unit that was run."""
        return self.examples[self.of[unit]]

    def number(self, position: Sequence[int]) -> int:
        """Linear index of a position."""
        x, y, z = position
        return x + self.extent[0] * (y + self.extent[1] * z)

    def position(self, number: int) -> Position:
        """The position of a linear index."""
        x, y, _ = self.extent
        return number % x, number // x % y, number // (x * y)


@dataclass
class Rule:
    """Classes by position, from the coordinates that were tried on each axis."""

    labels: Labels
    axes: list[list[int]]
    is_complete: bool = True

    def refine(self) -> None:
        """Search the boundaries on each axis until all are found or the axis has too many of them."""
        self._ensure()
        while new := [m for axis in range(3) for m in self._middles(axis)]:
            for axis, coordinate in new:
                self.axes[axis] = sorted({*self.axes[axis], coordinate})
            self._ensure()

    def class_of(self, number: int) -> int:
        """The class that the rule gives a unit."""
        position = self.labels.position(number)
        tried = [a[bisect_right(a, c) - 1] for a, c in zip(self.axes, position, strict=True)]
        return self.labels.of[self.labels.number(tried)]

    def weights(self) -> NDArray[np.float64]:
        """How many units of the extent have each class."""
        sizes = [np.diff([*a, n]) for a, n in zip(self.axes, self.labels.extent, strict=True)]
        found = np.zeros(len(self.labels.examples))
        for place in product(*(range(len(a)) for a in self.axes)):
            position = [self.axes[d][i] for d, i in enumerate(place)]
            found[self.labels.of[self.labels.number(position)]] += prod(sizes[d][i] for d, i in enumerate(place))
        return found

    def _ensure(self) -> None:
        self.labels.ensure(self.labels.number(p) for p in product(*self.axes))

    def _middles(self, axis: int) -> list[tuple[int, int]]:
        """Coordinates halfway between neighbours that differ."""
        coordinates = self.axes[axis]
        rows = [self._row(axis, c) for c in coordinates]
        gaps = [
            (b - a, (a + b) // 2)
            for (a, b), (one, other) in zip(pairwise(coordinates), pairwise(rows), strict=True)
            if one != other and b - a > 1
        ]
        room = AXIS_LIMIT - len(coordinates)
        self.is_complete &= len(gaps) <= max(room, 0)
        return [(axis, middle) for _, middle in sorted(gaps, reverse=True)[: max(room, 0)]]

    def _row(self, axis: int, coordinate: int) -> tuple[int, ...]:
        others = [[coordinate] if d == axis else a for d, a in enumerate(self.axes)]
        return tuple(self.labels.of[self.labels.number(p)] for p in product(*others))


@dataclass(frozen=True)
class Found:
    """Weight and members (units that were run) of each class, and how they were found."""

    weights: NDArray[np.float64]
    labels: Labels
    is_regular: bool
    checks: tuple[str, ...]


def find_classes(labels: Labels, random: np.random.Generator, affordable: Callable[[int], bool]) -> Found:
    """Classes of all units; `affordable(n)`: whether n more units can be run in the time that is left."""
    units = prod(labels.extent)
    rule = Rule(labels, [_tried(n, random, _per_axis(labels.extent)) for n in labels.extent])
    rule.refine()
    if affordable(units - len(labels.of)):
        return every(labels)
    held_out = random.choice(units, min(HELD_OUT, units), replace=False).tolist()
    labels.ensure(held_out)
    wrong = sum(rule.class_of(u) != labels.of[u] for u in held_out)
    if not wrong and rule.is_complete:
        told = f"classes by position, right for all {len(held_out)} CTAs that were held out"
        return Found(_padded(rule.weights(), labels), labels, True, (told,))
    told = f"classes by position were wrong for {wrong} of {len(held_out)} CTAs that were held out"
    return at_random(labels, random, affordable, (told,))


def every(labels: Labels) -> Found:
    """Run all units."""
    labels.ensure(range(prod(labels.extent)))
    weights = np.bincount(list(labels.of.values()), minlength=len(labels.examples)).astype(float)
    return Found(weights, labels, True, ("every CTA was run",))


def at_random(
    labels: Labels, random: np.random.Generator, affordable: Callable[[int], bool], checks: tuple[str, ...] = ()
) -> Found:
    """Shares of the classes in a random sample, as large as can be afforded."""
    units = prod(labels.extent)
    order = random.permutation(units)
    wanted = min(HELD_OUT, units)
    labels.ensure(order[:wanted].tolist())
    while wanted < units and affordable(wanted):
        wanted = min(2 * wanted, units)
        labels.ensure(order[:wanted].tolist())
    chosen = order[:wanted].tolist()
    if wanted == units:
        return every(labels)
    counts = np.bincount([labels.of[u] for u in chosen], minlength=len(labels.examples)).astype(float)
    told = f"shares of {int((counts > 0).sum())} classes in a random sample of {len(chosen)}"
    return Found(counts * (units / counts.sum()), labels, False, (*checks, told))


def in_order(labels: Labels, affordable: Callable[[int], bool]) -> Found:
    """As many units as can be afforded, from the first on: each may wait for those before it.

    Those that were not run are taken to behave like the second half of those that were.
    """
    units = prod(labels.extent)
    wanted = min(HELD_OUT, units)
    labels.ensure(range(wanted))
    while wanted < units and affordable(2 * wanted):
        wanted = min(2 * wanted, units)
        labels.ensure(range(wanted), again=True)
    if wanted == units:
        return every(labels)
    ran = [labels.of[u] for u in range(wanted)]
    counts = np.bincount(ran, minlength=len(labels.examples)).astype(float)
    later = np.bincount(ran[wanted // 2 :], minlength=len(labels.examples))
    told = f"the first {wanted} of {units} CTAs were run, for CTAs wait for earlier ones; the others taken to be alike"
    return Found(counts + later * ((units - wanted) / later.sum()), labels, False, (told,))


def _padded(weights: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    return np.pad(weights, (0, len(labels.examples) - len(weights)))


def _per_axis(extent: Position) -> int:
    """Random coordinates on each axis: more where only one axis is long."""
    return {0: 0, 1: 6, 2: 2, 3: 1}[sum(n > 1 for n in extent)]


def _tried(extent: int, random: np.random.Generator, more: int) -> list[int]:
    """Coordinates that are tried first: both ends, the middle, random ones."""
    fixed = {0, 1, extent // 2, extent - 2, extent - 1, *random.integers(0, extent, more).tolist()}
    return sorted(c for c in fixed if 0 <= c < extent)
