"""A machine as the scheduler sees it: units, memories, registers, warps, and the rates that costs follow from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge

Positive = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class RateTable:
    """Measured values under names: `rows` of one cell for each of `columns`, a text or a number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


@dataclass(frozen=True)
class Machine:
    """One streaming multiprocessor and what one thread block may use of it.

    units: instances of each functional unit. A limit of None is no limit. warp_specialization: warp groups may run
    different code; without it there is one group and no load group. max_groups, max_warps: in one thread block.
    Register budgets are per thread, multiples of register_granularity, from min_ to max_registers_per_thread;
    reserved_registers of each budget go to addresses and barriers. wait_cycles: cost of one wait on a barrier.
    rates: further numbers by name, from which lowering computes costs; sources: where each number comes from, by
    the same name (`rates.NAME` for a rate). spreads: (lowest, highest) value of a rate where studies differ.
    tables: what takes more than one number, by name, for the performance model.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str
    units: Mapping[str, Positive]
    architecture: str = ""
    smem_bytes: int | None = None
    tmem_columns: int | None = None
    registers_per_sm: int | None = None
    max_registers_per_thread: Positive = 255
    min_registers_per_thread: Positive = 24
    register_granularity: Positive = 8
    reserved_registers: Annotated[int, Ge(0)] = 0
    threads_per_warp: Positive = 32
    max_warps: Positive = 64
    max_groups: Positive = 8
    warp_specialization: bool = True
    wait_cycles: Annotated[int, Ge(0)] = 1
    rates: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    spreads: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    tables: Mapping[str, RateTable] = field(default_factory=dict)
    description: str = ""
