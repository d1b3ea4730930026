"""Memory dependences between the instructions of a PTX loop: spaces never alias, addresses by base and offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from twill.lowering.ptx_body import Access, Affine, LoopBody

# A generic address may point into any of these.
_GENERIC = frozenset({"generic", "global", "shared", "local"})
_READ_ONLY = frozenset({"const", "param"})


@dataclass(frozen=True)
class Doubt:
    """The accesses may overlap from `distance` on."""

    distance: int
    reason: str


@dataclass(frozen=True)
class Dependence:
    """The operation at `target` must follow that at `source` of `distance` iterations before."""

    source: int
    target: int
    distance: int
    assumed: bool
    reason: str


def memory_dependences(body: LoopBody, barriers: Sequence[int] = ()) -> Iterator[Dependence]:
    """Pairs with a write that may touch the same bytes; proven ones, and `assumed` ones that could not be disproved.

    A thread's own accesses decide: accesses of different threads to the same bytes are ordered by barriers, and those
    are kept (see `ptx_order`). `barriers`: positions of operations that order all memory; what they order is left out.
    """
    touched = [a for a in body.accesses if a.space not in _READ_ONLY]
    for first, second in combinations(touched, 2):
        # An access conflicts with itself in a later iteration too, but no schedule could swap the two.
        if first.position != second.position and (first.write or second.write):
            found = (_dependence(first, second, 0), _dependence(second, first, 1))
            yield from (d for d in found if d and not _implied(d, barriers))


def may_share_space(one: str, other: str) -> bool:
    """Whether addresses of two spaces can be the same memory.

    >>> may_share_space("shared", "global"), may_share_space("generic", "shared"), may_share_space("tensor", "generic")
    (False, True, False)
    """
    return one == other or ("generic" in (one, other) and {one, other} <= _GENERIC)


def first_overlap(source: Access, target: Access, least: int) -> int | Doubt | None:
    """The smallest distance from `least` on at which the accesses overlap; None: never; a Doubt where nobody knows."""
    one, other = source.address, target.address
    if one is None or other is None:
        return Doubt(least, "lanes use the addresses together")
    if one.root != other.root:
        return Doubt(least, f"`{_name(one)}` and `{_name(other)}` may be the same place")
    gap = other.offset - one.offset
    meet = -target.extent < gap < source.extent
    if one.step is None:
        return 0 if meet and not least else Doubt(1, f"`{_name(one)}` changes from iteration to iteration")
    if one.step == 0:
        return least if meet else None
    # -target.extent < gap + distance * step < source.extent
    bound = -target.extent - gap if one.step > 0 else source.extent - gap
    distance = max(least, bound // one.step + 1)
    return distance if -target.extent < gap + distance * one.step < source.extent else None


def _dependence(source: Access, target: Access, least: int) -> Dependence | None:
    if not may_share_space(source.space, target.space):
        return None
    found = first_overlap(source, target, least)
    if found is None:
        return None
    spaces = source.space if source.space == target.space else f"{source.space} and {target.space}"
    kind = f"{_verb(source)} then {_verb(target)} of {spaces} memory"
    if isinstance(found, Doubt):
        return Dependence(source.position, target.position, found.distance, True, f"{kind}: {found.reason}")
    return Dependence(source.position, target.position, found, False, kind)


def _implied(dependence: Dependence, barriers: Sequence[int]) -> bool:
    """Whether a barrier stands between the two accesses."""
    if dependence.distance == 0:
        return any(dependence.source < b < dependence.target for b in barriers)
    near = any(dependence.source < b or b < dependence.target for b in barriers)
    return near or (dependence.distance > 1 and bool(barriers))


def _verb(access: Access) -> str:
    return "write" if access.write else "read"


def _name(address: Affine) -> str:
    return address.root.removeprefix("@")
