"""Edits of a CUDA kernel: rewrites by rules, where the schedule of the instructions in its loop speaks for them.

One warp's instructions are scheduled as a loop. Two things follow. Where a recurrence sets the II, units idle in each
iteration, and only more independent chains help. Where one iteration is much longer than the II, that many iterations
must be under way, and those that the resident warps do not bring have to come from unrolling or from buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from ir.machine import Machine
from ir.schedule import Bound, Schedule
from optiml.edit import Edit
from optiml.propose.protocol import Unit
from optiml.propose.rules import rules_for
from optiml.propose.twill.asking import Scheduler, Subject
from optiml.propose.twill.evidence import NAME, schedule_text

_SUBCORES = 4
# Rules that give a warp several independent chains, and those that overlap the loads of iterations.
_CHAINS = ("register-tiling", "block-coarsening", "vectorise-loop")
_OVERLAPS = ("double-buffer", "async-copy")
_FACTORS = (2, 4, 8, 16)
# A recurrence that idles the units for less than this is not worth another chain.
_IDLE = 1.25


@dataclass(frozen=True)
class Stream:
    """The proven schedule of one warp's loop; `resident`: warps of a sub-core that run it at once, 0 if unknown."""

    schedule: Schedule
    resident: int

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """Bounds on the II, the largest first."""
        return tuple(sorted(self.schedule.certificate.bounds, key=lambda b: -b.ii_cycles))

    @property
    def needed(self) -> int:
        """Iterations that must be under way for the units to be as busy as they can be."""
        return ceil((self.schedule.length_cycles or 0) / max(1, self._units_cycles))

    @property
    def chains(self) -> float:
        """How many times as many independent chains the units could serve; at most 1 where no recurrence binds."""
        recurrence = max((b.ii_cycles for b in self.bounds if b.kind == "recurrence"), default=0)
        return recurrence / max(1, self._units_cycles * max(self.resident, 1))

    @property
    def _units_cycles(self) -> int:
        return max((b.ii_cycles for b in self.bounds if b.kind == "unit"), default=1)


def cuda_edits(unit: Unit, subject: Subject, scheduler: Scheduler, resident: int) -> Iterator[Edit]:
    """Edits of the rules for which the schedule of the loop speaks, with its numbers; none where it is not proven."""
    schedule = scheduler.interval(subject)
    if schedule is None:
        return
    stream = Stream(schedule, resident)
    told = f"one warp: {schedule_text(schedule)}; {resident or 'an unknown number of'} warps of a sub-core are resident"
    if stream.chains >= _IDLE:
        reason = f"the recurrence leaves units idle: {stream.chains:.1f} times the chains would fill them; {told}"
        yield from _of_rules(unit, _CHAINS, reason)
    lacking = ceil(stream.needed / max(resident, 1))
    if lacking > 1:
        reason = f"{stream.needed} iterations must be under way, {lacking} in each warp; {told}"
        factor = next((f for f in _FACTORS if f >= lacking), _FACTORS[-1])
        yield from _of_rules(unit, _OVERLAPS, reason)
        yield from (e for e in _of_rules(unit, ("unroll",), reason) if e.tag.endswith(f"={factor}"))


def resident_warps(machine: Machine, occupancy: float | None) -> int:
    """Warps of one sub-core at an occupancy (0 to 1); 0 where that is unknown."""
    threads = machine.rates.get("max_threads_per_sm")
    if not occupancy or not threads:
        return 0
    return max(1, round(occupancy * threads / machine.threads_per_warp / _SUBCORES))


def _of_rules(unit: Unit, names: tuple[str, ...], why: str) -> Iterator[Edit]:
    for rule in rules_for("cuda"):
        if rule.name in names:
            yield from (replace(e, why=f"{why} (modelled).", proposer=NAME) for e in rule.rewrites(unit))
