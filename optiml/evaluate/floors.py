"""What no kernel for a task can do without: bytes, and the time that moving them takes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from optiml.evaluate.job import text_of

if TYPE_CHECKING:
    from ir.argument import Argument
    from ir.machine import Machine
    from ir.task import Sizes, Task
    from optiml.verdict import Metrics, SizeTime

BYTE_BITS = 8
# Gigabytes a second to bytes a microsecond.
KILO = 1e3
# A modelled time may be this far below the floor, whose rates are rounded.
_FLOOR_MARGIN = 0.95
# What is touched is counted from some waves of the grid: a right kernel is taken to touch at least this share.
_LEAST_TOUCHED = 0.8


def floor_us(task: Task, sizes: Sizes, machine: Machine, touched_bytes: float | None = None) -> float:
    """A lower bound of the time of one launch in microseconds; 0 where the machine states no rate.

    Every output is written and every input read once: through the L2 where all of them fit it; else what is read comes
    from DRAM, and what is written goes there but for as much as the L2 holds at the end. Each at the machine's largest
    rate. `touched_bytes`: what a right kernel was seen to touch, if that is less: not every element may be needed.
    """
    distinct, written = float(distinct_bytes(task, sizes)), float(_written_bytes(task, sizes))
    share = 1.0 if touched_bytes is None or not distinct else min(touched_bytes / distinct, 1.0)
    read, written, l2_bytes = share * _read_bytes(task, sizes), share * written, machine.rates.get("l2_bytes", 0.0)
    clock_mhz = _high(machine, "clock_mhz")
    if share * distinct <= l2_bytes:
        return _over(read + written, _high(machine, "l2_chip_bytes_per_cycle") * clock_mhz)
    return _over(read + max(written - l2_bytes, 0.0), _high(machine, "dram_gbyte_per_s") * KILO)


def check_floor(time: SizeTime, floor_us: float) -> str:
    """What is impossible about a time, in words; empty for nothing."""
    if time.time_us >= floor_us * _FLOOR_MARGIN:
        return ""
    return f"{time.time_us:.3g} us at {text_of(time.sizes)}, where no kernel can need less than {floor_us:.3g} us"


def check_touched(metrics: Metrics, needed_bytes: float) -> str:
    """What a kernel leaves untouched where it is timed, in words; empty for nothing, and where it was not counted."""
    touched = metrics.counters.get("unique_bytes", needed_bytes)
    if touched >= needed_bytes * _LEAST_TOUCHED:
        return ""
    sizes = text_of(metrics.times[0].sizes)
    return f"it touches {touched:.3g} bytes at {sizes}, where the kernel that it began with touches {needed_bytes:.3g}"


def distinct_bytes(task: Task, sizes: Sizes) -> int:
    """Bytes of all inputs and outputs, each once."""
    values = task.values(sizes)
    return sum(_nbytes(a, values) for a in task.arguments if a.kind != "scalar" and a.role != "scratch")


def _read_bytes(task: Task, sizes: Sizes) -> int:
    values = task.values(sizes)
    return sum(_nbytes(a, values) for a in task.inputs if a.role != "scratch")


def _written_bytes(task: Task, sizes: Sizes) -> int:
    values = task.values(sizes)
    return sum(_nbytes(a, values) for a in task.outputs)


def _nbytes(argument: Argument, values: Sizes) -> int:
    return prod(argument.shape_at(values)) * argument.element_bits // BYTE_BITS


def _over(nbytes: float, rate: float) -> float:
    return nbytes / rate if rate else 0.0


def _high(machine: Machine, name: str) -> float:
    """The upper end of a rate; 0 where there is none."""
    return max(machine.rates.get(name, 0.0), *machine.spreads.get(name, (0.0, 0.0)))
