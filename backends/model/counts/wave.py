"""The accesses of whole waves of CTAs, line by line: moved copies of one CTA's, or recorded from every CTA.

A wave is the CTAs that run at once, in the order of their numbers. CTA k of a wave runs on SM k mod SMs, and the CTAs
go in step: the n-th access of all of them comes before the (n+1)-th of any. Of the lines only those in some of the
caches' 64 groups are followed, as many as can be afforded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import GROUPS, SECTORS_PER_LINE, group_of
from backends.model.counts.movement import Movement
from backends.model.counts.tape import Tape

Array = NDArray[Any]
# Lines that go through the caches for one wave, at most.
LIMIT_LINES = 400_000
_CHUNK_LINES = 1 << 20


@dataclass(frozen=True, eq=False)
class Lines:
    """Accesses to lines in the order of the wave, all arrays (n,); `sectors` are masks of four bits."""

    line: Array
    sectors: Array
    sm: Array
    site: Array
    kind: Array
    uses_l1: Array
    counts: Array

    def where(self, chosen: Array) -> Lines:
        """Some of the accesses."""
        return Lines(*(getattr(self, f.name)[chosen] for f in fields(self)))


def groups_for(lines: float) -> int:
    """How many of the caches' groups are followed where there are so many accesses to lines."""
    groups = GROUPS
    while groups > 1 and lines * groups / GROUPS > LIMIT_LINES:
        groups //= 2
    return groups


def moved(movement: Movement, shifts: Array, sms: int, groups: int) -> Lines:
    """The wave of CTAs whose accesses are those of one CTA moved by `shifts` (CTAs, instructions)."""
    parts = list(_parts(movement, shifts, groups)) or [(np.zeros(0, np.int64),) * 6]
    cta, event, order, line, masks, entry = (np.concatenate(c) for c in zip(*parts, strict=True))
    tape = movement.tape
    by_wave = np.lexsort((order, cta, event))
    cta, line, masks, entry = cta[by_wave], line[by_wave], masks[by_wave], entry[by_wave]
    return Lines(line, masks, cta % sms, tape.site[entry], tape.kind[entry], tape.uses_l1[entry], tape.counts[entry])


def _parts(movement: Movement, shifts: Array, groups: int) -> Iterator[tuple[Array, ...]]:
    """Entries of the origin's tape at each CTA: those in the groups that are followed.

    Entries whose shifts leave the same rest within a line fall into lines in the same way.
    """
    at = np.searchsorted(movement.sites, movement.tape.site)
    for rest in range(SECTORS_PER_LINE):
        tape = movement.tape
        raised = Tape(
            tape.cta, tape.request, np.arange(len(tape.site)), tape.site, tape.kind, tape.uses_l1, tape.counts,
            tape.sector + rest,
        )  # fmt: skip
        lines, masks = raised.in_lines()
        which = at[lines.event]
        here = (shifts - rest) % SECTORS_PER_LINE == 0
        if not here.any():
            continue
        for start in range(0, len(shifts), max(_CHUNK_LINES // max(len(which), 1), 1)):
            part = slice(start, start + max(_CHUNK_LINES // max(len(which), 1), 1))
            chosen = here[part][:, which]
            number = lines.sector + (shifts[part] // SECTORS_PER_LINE)[:, which]
            cta, item = np.nonzero(chosen & (group_of(number) < groups))
            entry = lines.event[item]
            yield cta + start, tape.event[entry], entry, number[cta, item], masks[item], entry


def recorded(tape: Tape, numbers: Array, sms: int, groups: int) -> Lines:
    """The wave of the CTAs `numbers`, all of which are on the tape."""
    lines, masks = tape.in_lines()
    chosen = np.flatnonzero((group_of(lines.sector) < groups) & np.isin(lines.cta, numbers))
    lines, masks = lines.where(chosen), masks[chosen]
    order = np.argsort(numbers)
    cta = order[np.searchsorted(numbers[order], lines.cta)]
    by_wave = np.lexsort((np.arange(len(cta)), cta, lines.event))
    lines, masks, cta = lines.where(by_wave), masks[by_wave], cta[by_wave]
    return Lines(lines.sector, masks, cta % sms, lines.site, lines.kind, lines.uses_l1, lines.counts)
