"""What evaluating a candidate came to: a verdict with its evidence, and the metrics of one that works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import exp, fsum, log
from typing import Any

from ir.diagnostics import Diagnostic, Location


class Status(StrEnum):
    """How an evaluation ended; all but `ok` are failures."""

    OK = "ok"
    REFUSED = "refused"
    COMPILE_ERROR = "compile-error"
    RESOURCE_LIMIT = "resource-limit"
    WRONG_RESULT = "wrong-result"
    FINDINGS = "findings"
    FAULT = "fault"
    TIMEOUT = "timeout"
    CRASH = "crash"
    CHEATING = "cheating"
    IMPOSSIBLE_TIME = "impossible-time"
    REGRESSION = "regression"


# What only a candidate does that means to deceive.
DECEITS = (Status.CHEATING, Status.IMPOSSIBLE_TIME)


# Relative differences within this are none: the model's rounding of clocks and steady states. This project's choice.
NOISE = 0.02


@dataclass(frozen=True)
class SizeTime:
    """The time of one launch at these sizes; low and high are equal to it where no interval was asked for."""

    sizes: Mapping[str, int]
    time_us: float
    low_us: float
    high_us: float


@dataclass(frozen=True)
class HotLine:
    """A line of the source by its text: its shares of all stalls and of all instructions, the state that most of its
    stalls are in, and what each of its accesses takes beside what it would need at best; None without such accesses.
    """

    text: str
    stall_share: float
    stall: str
    instruction_share: float
    sectors_per_request: float | None = None
    ideal_sectors_per_request: float | None = None
    wavefronts_per_request: float | None = None
    ideal_wavefronts_per_request: float | None = None


@dataclass(frozen=True)
class Metrics:
    """What a profiler says of a candidate, at its first size but for the times.

    kind: `modelled` or `measured`, of all times. limiter, stall, busy: as in backends.model.limits. stalls: state ->
    share of the cycles in which a warp waits, largest first. occupancy: resident warps over those that fit. counters:
    totals of the launch under names with units. kernel_class: what the model takes the kernel for; error_percent: its
    error on published measurements of such kernels, None where there are none. hot: the lines that wait most.
    """

    kind: str
    times: tuple[SizeTime, ...]
    limiter: str = ""
    stall: str = ""
    busy: Mapping[str, float] = field(default_factory=dict)
    registers: int = 0
    spill_bytes: int = 0
    smem_bytes: int = 0
    occupancy: float = 0.0
    counters: Mapping[str, float] = field(default_factory=dict)
    error_percent: float | None = None
    kernel_class: str = ""
    stalls: Mapping[str, float] = field(default_factory=dict)
    hot: tuple[HotLine, ...] = ()

    @property
    def time_us(self) -> float:
        """The geometric mean over the sizes, in microseconds; positive.

        >>> Metrics("modelled", tuple(SizeTime({}, t, t, t) for t in (2.0, 8.0))).time_us
        4.0
        """
        return exp(fsum(log(t.time_us) for t in self.times) / len(self.times))


@dataclass(frozen=True)
class Verdict:
    """How one evaluation ended: at which stage, why, and the metrics if it got so far.

    evidence: what a proposer or a person needs to know, in plain text. seconds: wall clock here, by stage; no decision
    depends on them. notes: what else was seen, by which nothing was decided.
    """

    status: Status
    stage: str
    evidence: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    metrics: Metrics | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether the candidate is right and has a time."""
        return self.status is Status.OK

    @property
    def time_us(self) -> float | None:
        """The time that counts in the search; None for a failure."""
        return self.metrics.time_us if self.is_ok and self.metrics else None


def failed(status: Status, stage: str, evidence: str, diagnostics: Sequence[Diagnostic] = ()) -> Verdict:
    """A verdict without metrics."""
    return Verdict(status, stage, evidence, tuple(diagnostics))


def document_of(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON can hold it; `verdict_of` reads it back."""
    return asdict(verdict)


def verdict_of(document: Mapping[str, Any]) -> Verdict:
    """Raises KeyError, TypeError or ValueError where the document is no verdict.

    >>> verdict = failed(Status.TIMEOUT, "compile", "too long", [Diagnostic("x", "y", Location("f.cu", 3))])
    >>> verdict_of(document_of(verdict)) == verdict
    True
    """
    given = dict(document)
    metrics = given.pop("metrics")
    return Verdict(
        status=Status(given.pop("status")),
        diagnostics=tuple(_diagnostic(d) for d in given.pop("diagnostics")),
        metrics=None if metrics is None else _metrics(metrics),
        notes=tuple(given.pop("notes", ())),
        **given,
    )


def _metrics(document: Mapping[str, Any]) -> Metrics:
    times = tuple(SizeTime(**t) for t in document["times"])
    return Metrics(**{**document, "times": times, "hot": tuple(HotLine(**h) for h in document["hot"])})


def _diagnostic(document: Mapping[str, Any]) -> Diagnostic:
    place = document["location"]
    return Diagnostic(**{**document, "location": None if place is None else Location(**place)})
