"""What running a kernel came to, as frozen values: nothing that a kernel does wrong is an exception."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from backends.findings import Finding
from backends.measured import Measured
from ir.diagnostics import Diagnostic, ExitCode


class Status(StrEnum):
    """How one run ended."""

    PASSED = "passed"
    WRONG_RESULT = "wrong-result"
    FINDINGS = "findings"
    FAULT = "fault"
    FAILED_COMPILE = "failed-compile"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    BUDGET_SPENT = "budget-spent"


# Worst first: the exit code of several runs is that of the first status here which occurs.
_EXIT_CODES = {
    Status.FAULT: ExitCode.NEGATIVE,
    Status.WRONG_RESULT: ExitCode.NEGATIVE,
    Status.FINDINGS: ExitCode.NEGATIVE,
    Status.FAILED_COMPILE: ExitCode.USAGE,
    Status.TIMEOUT: ExitCode.TIME_LIMIT,
    Status.BUDGET_SPENT: ExitCode.TIME_LIMIT,
    Status.UNSUPPORTED: ExitCode.MISSING,
    Status.PASSED: ExitCode.SUCCESS,
}


# Rules of faults that end a launch without saying that the kernel is wrong.
LIMITS = {"time-limit": Status.TIMEOUT, "budget-spent": Status.BUDGET_SPENT}
# Rules of diagnostics by which a device says that it lacks something.
REFUSALS = ("unsupported-instruction", "unsupported-tensor-map")


@dataclass(frozen=True)
class Element:
    """One element of an output: its index, what the kernel wrote and what the reference says."""

    index: tuple[int, ...]
    got: float
    want: float


@dataclass(frozen=True)
class Comparison:
    """One output against its reference.

    error: the largest |got - want| over `scale`, which is the largest finite |want|; None where some element is not
    comparable (not finite on one side only). tolerance: the largest error allowed. wrong: elements beyond it, of
    `elements`. worst: the worst of those, worst first.
    """

    output: str
    error: float | None
    tolerance: float
    scale: float
    wrong: int
    elements: int
    worst: tuple[Element, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every element is close enough."""
        return not self.wrong


@dataclass(frozen=True)
class Timing:
    """Wall clock of this machine, in seconds; it says nothing about a GPU when the device is emulated.

    measured: what a GPU took, where it was one.
    """

    compile_s: float = 0.0
    load_s: float = 0.0
    run_s: float = 0.0
    measured: Measured | None = None


@dataclass(frozen=True)
class Outcome:
    """One kernel on one target at one size.

    fault ended the launch, findings did not. overwritten: inputs that the kernel changed. diagnostics: why there was
    no launch. counters: by Nsight Compute's names. printed: what the kernel printed.
    """

    variant: str
    target: str
    sizes: Mapping[str, int]
    status: Status
    comparisons: tuple[Comparison, ...] = ()
    fault: Finding | None = None
    findings: tuple[Finding, ...] = ()
    overwritten: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    printed: str = ""
    timing: Timing = Timing()


def worst_status(statuses: Iterable[Status]) -> Status:
    """The status that decides over several runs; `passed` if there are none."""
    found = set(statuses)
    return next((status for status in _EXIT_CODES if status in found), Status.PASSED)


def exit_code(statuses: Iterable[Status]) -> ExitCode:
    """The exit code for several runs.

    >>> int(exit_code([Status.PASSED, Status.TIMEOUT, Status.WRONG_RESULT]))
    1
    """
    return _EXIT_CODES[worst_status(statuses)]
