"""How the accesses of a CTA move with its position: by a fixed number of sectors for each step along each axis.

The step of an instruction is read off three neighbours of one CTA and must be right, to the sector, for every other CTA
that was recorded. Where one instruction moves in another way, none is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.model.counts.tape import Tape

Array = NDArray[Any]
Position = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Movement:
    """`tape` of the CTA at `origin`; sites (n,): its instructions; steps (n, 3): sectors along x, y, z of each."""

    origin: Position
    tape: Tape
    sites: Array
    steps: Array

    def shifts(self, positions: Array) -> Array:
        """Sectors by which each instruction's accesses are moved at positions (m, 3): (m, n)."""
        found: Array = (positions - np.array(self.origin)) @ self.steps.T
        return found


def find_movement(tapes: Sequence[tuple[Position, Tape]], axes: Sequence[int]) -> Movement | None:
    """From the tapes of CTAs: the origin, its neighbour along each of `axes`, then those to verify.

    None where they differ in more than where they go, or move in another way.
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
    return movement if np.array_equal(movement.shifts(positions), seen) else None


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
