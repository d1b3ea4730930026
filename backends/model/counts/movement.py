"""How the accesses of a CTA move with its position: each instruction's by a number of sectors.

CTAs are alike where their accesses are the same but for a shift of each instruction, to the sector. The shifts are a
fixed step along each axis of the grid where that is right for all CTAs that were recorded; otherwise they are measured,
from the first access of each instruction in every CTA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.model.counts.tape import Tape

Array = NDArray[Any]
Position = tuple[int, int, int]
_NOWHERE = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Movement:
    """`tape` of the CTA at `origin`; sites (n,): its instructions; steps (n, 3): sectors along x, y, z of each.

    steps is None where CTAs are alike but do not move by steps.
    """

    origin: Position
    tape: Tape
    sites: Array
    steps: Array | None

    def shifts(self, positions: Array) -> Array:
        """Sectors by which each instruction's accesses are moved at positions (m, 3): (m, n)."""
        assert self.steps is not None, "the shifts of this movement are measured"
        found: Array = (positions - np.array(self.origin)) @ self.steps.T
        return found

    def measured(self, firsts: Tape, origin: int, ctas: Array) -> Array:
        """The same from the first accesses of CTAs, with the CTA `origin` among them, at `ctas` (m,): (m, n).

        Instructions that a CTA does not reach stay where they are.
        """
        rows = np.unique(firsts.cta)
        key = np.searchsorted(rows, firsts.cta) * len(self.sites) + np.searchsorted(self.sites, firsts.site)
        known, index = np.unique(key, return_index=True)
        places = np.full(len(rows) * len(self.sites), _NOWHERE)
        places[known] = firsts.sector[index]
        by_cta = places.reshape(len(rows), len(self.sites))
        at = by_cta[np.searchsorted(rows, origin)]
        found = by_cta[np.minimum(np.searchsorted(rows, ctas), len(rows) - 1)]
        shifts: Array = np.where((found == _NOWHERE) | (at == _NOWHERE), 0, found - at)
        return shifts


def find_movement(tapes: Sequence[tuple[Position, Tape]], axes: Sequence[int]) -> Movement | None:
    """From the tapes of CTAs: the origin, its neighbour along each of `axes`, then those to verify.

    None where they differ in more than where they go.
    """
    (origin, first), *others = tapes
    sites = np.unique(first.site)
    found = [_shift(first, tape, sites) for _, tape in others]
    shifts = [shift for shift in found if shift is not None]
    if len(shifts) < len(found):
        return None
    steps = np.zeros((len(sites), 3), np.int64)
    for axis, shift, (position, _) in zip(axes, shifts, others, strict=False):
        steps[:, axis] = shift // (position[axis] - origin[axis])
    movement = Movement(origin, first, sites, steps)
    positions = np.array([position for position, _ in others]).reshape(-1, 3)
    seen = np.array(shifts).reshape(len(others), len(sites))
    return movement if np.array_equal(movement.shifts(positions), seen) else replace(movement, steps=None)


def _shift(one: Tape, other: Tape, sites: Array) -> Array | None:
    """Sectors between two tapes for each instruction; None where they are not the same but for that."""
    alike = len(one.site) == len(other.site) and np.array_equal(one.site, other.site)
    if not alike or not np.array_equal(one.event, other.event):
        return None
    distance = other.sector - one.sector
    at = np.searchsorted(sites, one.site)
    found = np.zeros(len(sites), np.int64)
    found[at] = distance
    return found if np.array_equal(found[at], distance) else None
