"""Atomics that meet at the same lines of the L2: which share of an instruction's requests goes to the busiest line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.stream import ATOMIC
from backends.model.counts.tape import Tape

Array = NDArray[Any]


def busiest_shares(tape: Tape, width: int) -> NDArray[np.float64]:
    """For each of `width` instructions, the share of its requests for lines that goes to its busiest line.

    The tape is of a sample of the grid's CTAs, two at least. Of each line the CTA that asks most for it is left out, so
    that a line which one CTA has for itself does not look as if all CTAs had it.
    """
    shares = np.zeros(width)
    lines, _ = tape.where(np.flatnonzero(tape.kind == ATOMIC)).in_lines()
    ctas = len(np.unique(tape.cta))
    for site in np.unique(lines.site) if ctas > 1 else ():
        mine = lines.where(np.flatnonzero(lines.site == site))
        shares[site] = _busiest(mine) * ctas / (ctas - 1) / len(mine.sector)
    return np.minimum(shares, 1.0)


def _busiest(lines: Tape) -> float:
    """Requests for the busiest line, but for those of the CTA with the most."""
    numbers, at = np.unique(lines.sector, return_inverse=True)
    ctas, of = np.unique(lines.cta, return_inverse=True)
    pairs, counts = np.unique(at * len(ctas) + of, return_counts=True)
    total, most = np.zeros(len(numbers)), np.zeros(len(numbers))
    np.add.at(total, pairs // len(ctas), counts)
    np.maximum.at(most, pairs // len(ctas), counts)
    return float((total - most).max())
