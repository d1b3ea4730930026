"""What the performance model says of one launch: values that reports print. Every time in here is modelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.compilers.artifact import Compiled
from backends.model.chip import ChipTime, Work
from backends.model.counts.result import KernelCounts
from backends.model.fidelity import ClassError
from backends.model.limits import Limits
from backends.model.occupancy import Footprint, Occupancy
from backends.model.parameters import SmParameters
from ir.diagnostics import Diagnostic


@dataclass(frozen=True)
class Effect:
    """What one group of the machine's parameters does to a number: factors on it at the group's slow and fast ends."""

    group: str
    slow: float
    fast: float


@dataclass(frozen=True)
class Interval:
    """A modelled number with the spread that the spread of the machine's parameters gives it, and what makes it up."""

    value: float
    low: float
    high: float
    effects: tuple[Effect, ...] = ()

    def overlaps(self, other: Interval) -> bool:
        """Whether the two cannot be told apart."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Modelled:
    """One launch on a machine that is not here.

    time_us: from launch to end. clock_mhz: of the SMs. kernel_class: the class of kernels by which the model's error is
    told (`error`, None where no published measurement is of this class). deviation: the share of executions
    that could not be matched between PTX and machine code. notes: what was assumed. seconds: spent here, by stage.
    compiled, footprint, parameters: what was timed, and by which numbers. source_file: of the kernel. has_interval:
    whether `time_us` has the parameters' spread. launches: of a script that are like this one.
    """

    kernel: str
    machine: str
    architecture: str
    sizes: Mapping[str, int]
    time_us: Interval
    clock_mhz: float
    time: ChipTime
    occupancy: Occupancy
    limits: Limits
    kernel_class: str
    error: ClassError | None
    deviation: float
    work: Work
    counts: KernelCounts
    compiled: Compiled
    footprint: Footprint
    parameters: SmParameters
    source_file: str = ""
    has_interval: bool = False
    launches: int = 1
    notes: tuple[Diagnostic, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def error_percent(self) -> float | None:
        """Mean absolute error of the model for this class of kernels, None where it is not measured."""
        return None if self.error is None else self.error.error_percent

    @property
    def cycles(self) -> float:
        """Modelled cycles of the launch, its start included."""
        return self.time.total_cycles
