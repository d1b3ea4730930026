"""What a modelled metric is, and the few ways in which values are made of the facts of a launch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backends.model.report.facts import Column, Facts
from backends.sass.instruction import Instruction

Value = Callable[[Facts], float | None]


@dataclass(frozen=True)
class Metric:
    """One metric. `differs`: how it is not what Nsight Compute means, "" where it is the same.

    value: from the facts of a launch; None where it has none. is_modelled: whether any launch has one.
    """

    name: str
    unit: str
    text: str
    value: Value
    differs: str = ""
    is_modelled: bool = True


def total(column: Callable[[Facts], Column], space: str = "", operation: str = "") -> Value:
    """The sum of a column over the instructions that are wanted; see `Facts.mask`."""
    return lambda f: float((column(f) * f.mask(space, operation)).sum())


def ratio(above: Value, below: Value, scale: float = 1.0) -> Value:
    """One value over another, None where that is nothing."""

    def value(f: Facts) -> float | None:
        over, under = above(f), below(f)
        return None if over is None or not under else scale * over / under

    return value


def count(wanted: Callable[[Instruction], bool]) -> Value:
    """Executions of the instructions that are wanted."""
    return lambda f: f.count(wanted)
