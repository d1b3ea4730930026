"""What an edit's reason quotes: the numbers of a bound, of a schedule and of its proof; all of them modelled."""

from __future__ import annotations

from collections.abc import Sequence

from ir.schedule import Bound, Schedule
from twill.explain.words import size_text

# The `proposer` of the edits.
NAME = "twill"
# Unit of the scheduler -> limiter of the search.
_LIMITERS = {
    "tensor": "tensor", "tma": "l2", "l2": "l2", "lsu": "shared", "alu": "fma", "sfu": "special", "issue": "issue",
    "tmem": "tensor",
}  # fmt: skip


def limiter_of(bound: Bound) -> str:
    """What the search calls that which sets the II."""
    return "latency" if bound.kind == "recurrence" else _LIMITERS.get(bound.name, "issue")


def bounds_text(bounds: Sequence[Bound]) -> str:
    """ResMII of the busiest unit and RecMII, with what is responsible.

    >>> bounds_text([Bound("unit", 96, "tma"), Bound("recurrence", 48, "acc -> acc")])
    'ResMII 96 (tma), RecMII 48 (acc -> acc)'
    """
    named = {"unit": "ResMII", "recurrence": "RecMII"}
    first = {kind: next((b for b in bounds if b.kind == kind), None) for kind in named}
    return ", ".join(f"{named[k]} {b.ii_cycles} ({b.name})" for k, b in first.items() if b is not None)


def schedule_text(schedule: Schedule) -> str:
    """II and length with their proof, buffers, warp groups and their registers."""
    bounds = sorted(schedule.certificate.bounds, key=lambda b: -b.ii_cycles)
    head = f"II {schedule.ii_cycles}, length {schedule.length_cycles} cycles, both proven; {bounds_text(bounds)}"
    buffers = [f"{b.op} {b.depth} x {size_text(b.size, b.memory)}" for b in schedule.buffers if b.memory != "registers"]
    groups = [f"{g.role} {g.warps} x {g.registers_per_thread}" for g in schedule.groups if g.registers_per_thread]
    told = {"buffers": buffers, "warps x registers of a thread": groups if schedule.joint else []}
    return "; ".join([head, *(f"{name} {', '.join(texts)}" for name, texts in told.items() if texts)])
