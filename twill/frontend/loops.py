"""The loops of a kernel as a list to show: where, how deep, how often, how big, and why not schedulable."""

from __future__ import annotations

from dataclasses import dataclass

from ir.diagnostics import Location
from ir.loop import Kernel, Loop, Operation


@dataclass(frozen=True)
class LoopRow:
    """One loop; `depth` counts from 0, `operations` those of its own body, `trip_count` is None where not constant."""

    name: str
    location: Location | None
    depth: int
    trip_count: int | None
    operations: int
    carried_values: int
    is_innermost: bool
    refusal: str | None


def loop_tree(kernel: Kernel) -> tuple[LoopRow, ...]:
    """Every loop of a kernel, outer before inner, in source order."""
    return tuple(map(_row, kernel.loops()))


def _row(loop: Loop) -> LoopRow:
    return LoopRow(
        name=loop.name,
        location=loop.location,
        depth=loop.name.count("."),
        trip_count=loop.trip_count,
        operations=sum(isinstance(item, Operation) for item in loop.body),
        carried_values=len(loop.carried),
        is_innermost=loop.is_innermost,
        refusal=loop.refusal,
    )
