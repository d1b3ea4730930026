"""A schedule: when and in which warp group each op issues, the buffers that follow, and the proof of optimality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import ClassVar, Literal

from ir.graph import DependenceGraph
from ir.machine import Machine


class Status(StrEnum):
    """OPTIMAL: every level proven. FEASIBLE: valid, not proven. TIMEOUT: no answer in time; never a proof."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Placement:
    """Op `op` issues at time_cycles = stage * II + slot, in warp group `group` (0 where there is one stream)."""

    op: str
    time_cycles: int
    group: int = 0


@dataclass(frozen=True)
class WarpGroup:
    """A group of warps that run one instruction stream; `registers_per_thread` is its setmaxnreg budget."""

    index: int
    role: str
    warps: int
    registers_per_thread: int | None = None


@dataclass(frozen=True)
class Buffer:
    """Storage of one op's result: `depth` copies of `size` (bytes of smem, columns of tmem, registers of a thread).

    live_cycles: from the producer's issue to the end of the last reader; needed_depth: copies that this overlaps.
    """

    op: str
    memory: Literal["smem", "tmem", "registers"]
    size: int
    live_cycles: int
    needed_depth: int
    depth: int


@dataclass(frozen=True)
class Rejection:
    """No II up to `ii_cycles` (included) is possible, by `method`; `detail` names unit, recurrence or solver."""

    ii_cycles: int
    method: str
    detail: str = ""


@dataclass(frozen=True)
class Level:
    """One level of the lexicographic objective: the value reached and the bound proven for it."""

    name: Literal["ii", "length", "groups", "crossings"]
    value: int
    lower_bound: int
    method: str

    @property
    def proven(self) -> bool:
        """True where the value meets its bound."""
        return self.value == self.lower_bound


@dataclass(frozen=True)
class Bound:
    """A lower bound on II and what sets it: ops of a unit, or the ops of a recurrence in cycle order."""

    kind: Literal["unit", "recurrence"]
    ii_cycles: int
    name: str
    ops: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Certificate:
    """Why the schedule cannot be better: bounds, refuted intervals, proven levels, and the caps that were assumed."""

    bounds: tuple[Bound, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    levels: tuple[Level, ...] = ()
    assumptions: tuple[str, ...] = ()
    cross_checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conflict:
    """Why there is no schedule: constraint families that cannot hold together, and relaxations that would help."""

    families: tuple[str, ...]
    message: str
    relaxations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """The answer to one problem; placements are empty unless status is OPTIMAL or FEASIBLE.

    `joint` is False for a pure modulo schedule (one instruction stream, no memory or group constraints).
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    status: Status
    graph: DependenceGraph
    machine: Machine
    solver: str
    joint: bool = True
    ii_cycles: int | None = None
    length_cycles: int | None = None
    placements: tuple[Placement, ...] = ()
    groups: tuple[WarpGroup, ...] = ()
    buffers: tuple[Buffer, ...] = ()
    certificate: Certificate = Certificate()
    conflict: Conflict | None = None
    lower_bound_cycles: int = 0
    message: str = ""
    timing: Mapping[str, float] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """True where there is a schedule to use."""
        return self.status in (Status.OPTIMAL, Status.FEASIBLE)

    @property
    def gap(self) -> float | None:
        """(II - lower bound) / II, None without a schedule."""
        if self.ii_cycles is None:
            return None
        return (self.ii_cycles - self.lower_bound_cycles) / self.ii_cycles

    @cached_property
    def by_op(self) -> Mapping[str, Placement]:
        """Placements by op name."""
        return {placement.op: placement for placement in self.placements}

    def stage(self, op: str) -> int:
        """Pipeline stage of an op: time // II. Only for a found schedule."""
        return self.by_op[op].time_cycles // self._interval()

    def slot(self, op: str) -> int:
        """Cycle of an op within the steady state: time % II. Only for a found schedule."""
        return self.by_op[op].time_cycles % self._interval()

    @property
    def stages(self) -> int:
        """Number of overlapped iterations that issue in the steady state."""
        return 1 + max((self.stage(p.op) for p in self.placements), default=0)

    def _interval(self) -> int:
        if self.ii_cycles is None:
            raise ValueError("this schedule has no initiation interval")
        return self.ii_cycles
