"""What the simulation of a streaming multiprocessor reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ir.diagnostics import Diagnostic

# Warp states under the names of Nsight Compute, in the order in which the simulator counts them.
STALLS = (
    "wait",
    "long_scoreboard",
    "short_scoreboard",
    "math_pipe_throttle",
    "lg_throttle",
    "mio_throttle",
    "barrier",
    "membar",
    "not_selected",
    "dispatch_stall",
    "no_instruction",
    "gmma",
    "sleeping",
)
(
    WAIT,
    LONG_SCOREBOARD,
    SHORT_SCOREBOARD,
    MATH_PIPE_THROTTLE,
    LG_THROTTLE,
    MIO_THROTTLE,
    BARRIER,
    MEMBAR,
    NOT_SELECTED,
    DISPATCH_STALL,
    NO_INSTRUCTION,
    GMMA,
    SLEEPING,
) = range(len(STALLS))


@dataclass(frozen=True)
class Issue:
    """One instruction of one warp, in cycles from the start of the kernel on this SM."""

    cycle: int
    cta: int
    warp: int
    instruction: int


@dataclass(frozen=True)
class SmResult:
    """cycles: from the first CTA's start until all results are written.

    issues: executions by SASS instruction. stalls: state -> warp-cycles by the instruction that waited, as Nsight
    Compute samples them; `selected` is issues. pipe_busy: pipe -> cycles that it was held, summed over the sub-cores.
    bytes: "shared", "l1", "l2", "dram" and so on -> bytes moved. ctas: (start, end) of each, in cycles.
    full_cycles, full_issues: until a CTA ended that no other followed, while as many as fit were there.
    is_extrapolated: some loop was not simulated to its end; is_steady: its iterations had become even before that.
    assumptions: where the model had no published number and took a stated default.
    """

    cycles: float
    issues: tuple[int, ...]
    stalls: Mapping[str, tuple[float, ...]]
    pipe_busy: Mapping[str, float]
    bytes: Mapping[str, float]
    ctas: tuple[tuple[float, float], ...]
    is_extrapolated: bool
    is_steady: bool
    simulated_issues: int
    full_cycles: float = 0.0
    full_issues: float = 0.0
    assumptions: tuple[Diagnostic, ...] = ()
    timeline: tuple[Issue, ...] = ()

    def stall_cycles(self) -> dict[str, float]:
        """Warp-cycles by state, over the whole kernel, largest first."""
        totals = {name: float(sum(column)) for name, column in self.stalls.items()}
        return dict(sorted(totals.items(), key=lambda item: -item[1]))
