"""Records as lines that a person or a model can read."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from optiml.memory.offer import Remembered
from optiml.memory.record import Record
from optiml.verdict import NOISE


def record_text(record: Record) -> str:
    """One line."""
    turn = f"limiter {record.limiter_before or 'unknown'}"
    if record.limiter_after != record.limiter_before:
        turn += f" -> {record.limiter_after}"
    return f"{record.tag} made {record.name} {_effect(record.speedup)} on {record.architecture} ({record.kind}); {turn}"


def as_text(memory: Sequence[Remembered], most: int = 6, with_diffs: bool = False) -> str:
    """The records that bear most on a program and did most to it, a line each; empty where there are none."""
    best = sorted(memory, key=lambda m: -m.weight * abs(log(m.record.speedup)))[:most]
    return "\n".join(line for m in best for line in _lines(m, with_diffs))


def _lines(known: Remembered, with_diffs: bool) -> list[str]:
    line = f"- {record_text(known.record)}; likeness {known.weight:.2f}"
    return [line, *(f"    {text}" for text in known.record.diff.splitlines())] if with_diffs else [line]


def _effect(speedup: float) -> str:
    """In words.

    >>> _effect(2.0), _effect(0.5), _effect(1.001)
    ('2.00x faster', '2.00x slower', 'neither faster nor slower')
    """
    if abs(speedup - 1) <= NOISE:
        return "neither faster nor slower"
    return f"{speedup:.2f}x faster" if speedup > 1 else f"{1 / speedup:.2f}x slower"
