"""Memory dependences of a loop: which accesses must keep their order, over how many iterations.

Two accesses of one array are compared axis by axis. Where nothing can be shown, both orders are kept: the later after
the earlier in one iteration, and the earlier of the next iteration after the later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from ir.loop import Operation
from twill.analysis.access import Access, Effect
from twill.analysis.polynomial import Polynomial, iteration
from twill.analysis.scope import Scope

# Iterations apart that are looked at; beyond, tiles that move one way only move further away.
_MAX_DISTANCE = 16
_COMMUTING = ("add", "fadd", "max", "min", "umax", "umin", "and", "or", "xor")


@dataclass(frozen=True)
class MemoryDependence:
    """`target` of iteration i follows `source` of iteration i - distance. assumed: not shown, kept to be safe."""

    source: Access
    target: Access
    distance: int
    assumed: bool
    reason: str


@dataclass(frozen=True)
class MemoryFacts:
    """The dependences of a loop, and in words what was taken for granted to leave others out."""

    dependences: tuple[MemoryDependence, ...]
    assumptions: tuple[str, ...]


def memory_dependences(scope: Scope, found: tuple[Access, ...], assume_distinct_arguments: bool = True) -> MemoryFacts:
    """Dependences between the accesses `found`.

    assume_distinct_arguments: different pointer arguments do not overlap, as for `restrict` in C; the assumption is
    reported where it was needed.
    """
    judge = _Judge(scope, assume_distinct_arguments)
    pairs = [p for p in combinations(found, 2) if judge.conflicts(*p)]
    dependences = tuple(d for first, second in pairs for d in judge.compare(first, second))
    return MemoryFacts(dependences, tuple(dict.fromkeys(judge.assumptions)))


def _kind(access: Access) -> object:
    return access.operation.attributes.get("atomic_rmw_op", access.operation.attributes.get("kind"))


class _Judge:
    def __init__(self, scope: Scope, assume_distinct: bool) -> None:
        self.scope = scope
        self.assume_distinct = assume_distinct
        self.assumptions: list[str] = []
        self.arguments = {a.name for a in scope.kernel.arguments}

    def conflicts(self, first: Access, second: Access) -> bool:
        if first.effect is Effect.READ and second.effect is Effect.READ:
            return False
        return not (self.commutes(first) and self.commutes(second) and _kind(first) == _kind(second))

    def commutes(self, access: Access) -> bool:
        """Atomic updates whose old value is not used may change places."""
        used = {name for name in self.scope.readers} | {c.yielded for c in self.scope.loop.carried}
        is_unused = not used.intersection(value.name for value in access.operation.results)
        return access.effect is Effect.UPDATE and _kind(access) in _COMMUTING and is_unused

    def compare(self, first: Access, second: Access) -> Iterator[MemoryDependence]:
        if self._are_distinct(first, second):
            return
        forward = _distance(first, second, self.scope.loop.name, 0)
        backward = _distance(second, first, self.scope.loop.name, 1)
        yield from _dependence(first, second, forward, 0)
        yield from _dependence(second, first, backward, 1)

    def _are_distinct(self, first: Access, second: Access) -> bool:
        bases = {first.base, second.base}
        if len(bases) < 2 or not bases <= self.arguments or not self.assume_distinct:
            return False
        one, two = sorted(b for b in bases if b is not None)
        self.assumptions.append(f"assumed: `{one}` and `{two}` do not overlap")
        return True


@dataclass(frozen=True)
class _Never:
    """The two accesses meet at no distance."""


def _dependence(
    source: Access, target: Access, distance: int | _Never | None, smallest: int
) -> Iterator[MemoryDependence]:
    if isinstance(distance, _Never):
        return
    what = f"{_place(source.operation)} {_verb(source)} and {_place(target.operation)} {_verb(target)}"
    if distance is None:
        reason = f"{what} what may be the same memory"
        yield MemoryDependence(source, target, smallest, True, reason)
        return
    yield MemoryDependence(source, target, distance, False, f"{what} the same elements, {distance} iterations apart")


def _place(operation: Operation) -> str:
    if operation.location is None:
        return operation.opcode
    return f"line {operation.location.line}"


def _verb(access: Access) -> str:
    return {Effect.READ: "reads", Effect.WRITE: "writes", Effect.UPDATE: "updates"}[access.effect]


def _distance(source: Access, target: Access, loop: str, smallest: int) -> int | _Never | None:
    """Smallest number of iterations from `smallest` on after which `target` meets what `source` touched.

    None where that is not known.
    """
    moves = _moves(source, target, loop)
    if moves is None:
        return None
    for distance in range(smallest, _MAX_DISTANCE + 1):
        if all(_overlaps(start + distance * step, low, high) for start, step, low, high in moves):
            return distance
    parted = any(_parts(start + _MAX_DISTANCE * step, step, low, high) for start, step, low, high in moves)
    return _Never() if parted else None


def _overlaps(shift: int, low: int, high: int) -> bool:
    return low < shift < high


def _parts(shift: int, step: int, low: int, high: int) -> bool:
    """True where the shift is outside and does not come back."""
    return (shift >= high and step >= 0) or (shift <= low and step <= 0)


def _moves(source: Access, target: Access, loop: str) -> list[tuple[int, int, int, int]] | None:
    """For each axis: the target's start relative to the source's, its step, and the open range in which they meet."""
    if source.offset is None or target.offset is None or source.base != target.base:
        return None
    if source.strides != target.strides or source.type.element_bits != target.type.element_bits:
        return None
    steps = source.step(loop), target.step(loop)
    if None in steps or steps[0] != steps[1] or any(s is None for s in source.strides):
        return None
    strides = [s for s in source.strides if s is not None]
    start = _along(_fixed(target, loop) - _fixed(source, loop), strides)
    step = _along(steps[0] or Polynomial(), strides)
    if start is None or step is None:
        return None
    shapes = zip(source.type.shape or (1,), target.type.shape or (1,), strict=True)
    return [(a, b, -n, m) for a, b, (m, n) in zip(start, step, shapes, strict=True)]


def _fixed(access: Access, loop: str) -> Polynomial:
    """The offset of the tile's first element in iteration 0."""
    assert access.offset is not None
    return access.offset.without(lambda s: s.is_axis or s == iteration(loop))


def _along(distance: Polynomial, strides: list[Polynomial]) -> list[int] | None:
    """The distance as a number of places along each axis, None where it is not a combination of them.

    Rows are taken not to run into each other: a distance below a row's stride is one along the row.
    """
    if not strides:
        return None if distance.value is None else [distance.value]
    places = [0] * len(strides)
    for number in sorted(range(len(strides)), key=lambda i: _size(strides[i]), reverse=True):
        places[number] = _quotient(distance, strides[number])
        distance = distance - strides[number] * places[number]
    return None if distance.terms else places


def _size(stride: Polynomial) -> tuple[int, int]:
    """Unknown strides count as larger than numbers."""
    value = stride.value
    return (1, 0) if value is None else (0, abs(value))


def _quotient(distance: Polynomial, stride: Polynomial) -> int:
    if not stride.terms:
        return 0
    monomial, unit = stride.terms[-1]
    held = dict(distance.terms).get(monomial, 0)
    whole = abs(held) // abs(unit)
    return whole if (held < 0) == (unit < 0) else -whole
