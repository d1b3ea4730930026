"""The cascade: write, compile, check limits, verify from small sizes to large, profile. The first failure ends it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from backends.compilers.isolated import CompilerCrashError
from backends.compilers.ptxas import CompileTimeoutError
from backends.run.devices import DeviceOptions
from backends.run.outcome import LIMITS, Outcome
from backends.run.outcome import Status as RunStatus
from ir.diagnostics import Diagnostic, ExitCode, UserError, fail
from ir.expression import ExpressionError
from ir.task import Sizes, Task, load_task
from optiml.candidate import as_task
from optiml.evaluate.compiling import compiled_at
from optiml.evaluate.flags import flags
from optiml.evaluate.floors import check_floor, check_touched
from optiml.evaluate.job import Job, text_of
from optiml.evaluate.memo import digest_of, recall, remember
from optiml.evaluate.problem import changes
from optiml.evaluate.profiled import metrics_of
from optiml.evaluate.repeats import NOT_BITWISE, mixed, probe_size, repeats
from optiml.verdict import Metrics, Status, Verdict, failed

if TYPE_CHECKING:
    from backends.compilers.artifact import Compiled
    from backends.run.task import TaskRun
    from ir.machine import Machine

# How a launch on the device ended -> the verdict. A device that lacks an instruction cannot vouch for the kernel.
_OF_RUN = {
    RunStatus.WRONG_RESULT: Status.WRONG_RESULT,
    RunStatus.FINDINGS: Status.FINDINGS,
    RunStatus.FAULT: Status.FAULT,
    RunStatus.FAILED_COMPILE: Status.COMPILE_ERROR,
    RunStatus.UNSUPPORTED: Status.REFUSED,
    RunStatus.TIMEOUT: Status.TIMEOUT,
    RunStatus.BUDGET_SPENT: Status.TIMEOUT,
}
_EVIDENCE_LINES = 12
# About what a nominal second of the device takes under its checkers.
_WATCHED = 10.0
# Threads of a block on every architecture so far: CUDA programming guide, technical specifications.
_THREADS = 1024


class _FailedError(Exception):
    """Ends the cascade; never leaves this module."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.evidence)
        self.verdict = verdict


def assess(job: Job, alarm: Callable[[float], None] = lambda _seconds: None) -> Verdict:
    """The verdict on a job's candidate. Raises UserError for what is wrong with the task or missing on this machine.

    `alarm` is called with the seconds that compiling may take, and with 0 after it: native code heeds nothing else.
    """
    base = load_task(job.task)
    base = base.variant(job.variant) if job.variant else base
    with tempfile.TemporaryDirectory(prefix="optiml-") as folder:
        run = _Run(job, base, Path(folder), alarm)
        try:
            verdict = Verdict(Status.OK, "profile", metrics=run.metrics(), notes=tuple(run.notes()))
        except _FailedError as error:
            verdict = error.verdict
        if run.digest:
            remember(Path(job.memo), run.digest, verdict)
        return replace(verdict, seconds=run.seconds)


def timed_code(job: Job) -> list[str]:
    """The artifact for each size that is timed, as JSON; the candidate has passed."""
    from backends.compilers.artifact import to_json

    base = load_task(job.task)
    base = base.variant(job.variant) if job.variant else base
    architecture = _machine(job.target).architecture
    with tempfile.TemporaryDirectory(prefix="optiml-") as folder:
        task = as_task(job.candidate, base, Path(folder))
        return [to_json(compiled_at(task, sizes, architecture, job)) for sizes in job.profile]


@dataclass
class _Run:
    """One pass through the stages."""

    job: Job
    base: Task
    folder: Path
    alarm: Callable[[float], None]
    stage: str = "parse"
    digest: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    tolerance: float = 0.0

    def metrics(self) -> Metrics | None:
        """What the profiler says, if all went well before; None where it is not asked."""
        machine = _machine(self.job.target)
        with self._stage("parse"), self._failing(Status.REFUSED):
            task = as_task(self.job.candidate, self.base, self.folder)
            _check_launch(task, (*self.job.verify, *self.job.profile))
            _check_problem(self.base, task, (*self.job.verify, *self.job.profile))
        first = (*self.job.verify, *self.job.profile)[0]
        with self._stage("compile"):
            compiled = self._compiled(task, first, machine.architecture)
        with self._stage("limits"):
            _check_limits(compiled, machine)
            self._recall(task, compiled)
        for sizes in self.job.verify:
            self._verify(task, sizes, machine)
        with self._stage("profile"), self._failing(Status.FAULT):
            return self._profiled(task, machine) if self.job.profile else None

    def notes(self) -> Iterator[str]:
        """What was seen besides."""
        yield from self.seen
        yield from flags(self.job.candidate, self.job.profile)

    def _compiled(self, task: Task, sizes: Sizes, architecture: str) -> Compiled:
        self.alarm(self.job.limits.compile_s)
        try:
            with self._failing(Status.COMPILE_ERROR):
                return compiled_at(task, sizes, architecture, self.job)
        finally:
            self.alarm(0.0)

    def _recall(self, task: Task, compiled: Compiled) -> None:
        """End with what is known of the same machine code. CUDA is compiled once for all sizes, Python for each."""
        if not self.job.memo:
            return
        sizes = (*self.job.verify, *self.job.profile)
        own = [self._compiled(task, s, compiled.architecture) for s in sizes] if self.job.artifacts else [compiled]
        job = self.job
        asked = repr((
            job.task, job.variant, job.target, job.with_interval, job.floors_us, job.needed_bytes, job.result_alone,
            len(job.verify), len(job.profile),
        ))  # fmt: skip
        self.digest = digest_of(task, own, sizes, asked)
        known = recall(Path(self.job.memo), self.digest)
        if known is not None:
            raise _FailedError(known)

    def _verify(self, task: Task, sizes: Sizes, machine: Machine) -> None:
        from backends.run.devices import open_device
        from backends.run.task import Case, TaskRun

        compiled, job = self._compiled(task, sizes, machine.architecture), self.job
        checks = ("none",) if job.result_alone else ("all",)
        limits = job.limits
        options = DeviceOptions(
            checks, seed=job.seed, cost_limit_s=limits.launch_s / _WATCHED, time_limit_s=limits.wall_s
        )
        with self._stage("verify"):
            run = TaskRun(Case(task, machine.architecture, sizes), open_device("emulator", options), job.seed)
            self._passed(run.launched(compiled))
            if not job.result_alone:
                self._repeat(run, compiled, sizes)

    def _repeat(self, run: TaskRun, compiled: Compiled, sizes: Sizes) -> None:
        verify = self.job.verify
        found: Iterator[tuple[str, Outcome]] = iter(())
        if sizes == probe_size(run.case.task, verify):
            found = repeats(run, compiled, self.job.seed)
        elif sizes == verify[-1]:
            found = mixed(run, compiled)
        for told, outcome in found:
            self._passed(outcome, told)
            if told == NOT_BITWISE:
                self.seen.append(told)
        if run.is_blind:
            evidence = f"no launch at all passes at {text_of(run.case.sizes)}: the check cannot tell right from wrong"
            raise _FailedError(failed(Status.REFUSED, "verify", evidence))

    def _passed(self, outcome: Outcome, told: str = "") -> None:
        """End the cascade where it did not pass."""
        if outcome.status != RunStatus.PASSED:
            raise _FailedError(verdict_of_run(outcome, told))
        self.tolerance = max([self.tolerance, *(c.tolerance for c in outcome.comparisons)])

    def _profiled(self, task: Task, machine: Machine) -> Metrics:
        from backends.model.profiling import ProfileOptions, profile_task

        options = ProfileOptions(with_interval=self.job.with_interval, seed=self.job.timing_seed)
        found: list[Metrics] = []
        for number, sizes in enumerate(self.job.profile):
            compiled = self._compiled(task, sizes, machine.architecture)
            modelled = profile_task(task, sizes, machine, options, compiled=compiled)
            found.append(metrics_of(modelled))
            self._check_honest(found[-1], number, machine)
        return replace(found[0], times=tuple(m.times[0] for m in found))

    def _check_honest(self, metrics: Metrics, number: int, machine: Machine) -> None:
        """What was timed must be possible, and must touch what every right kernel does."""
        from optiml.evaluate.flops import flops_us, needed_flops

        for limit in self.job.floors_us[number : number + 1]:
            sizes = self.job.profile[number]
            flops_limit = flops_us(needed_flops(self.base, sizes), machine, self.tolerance)
            if problem := check_floor(metrics.times[0], max(limit, flops_limit)):
                raise _FailedError(failed(Status.IMPOSSIBLE_TIME, "profile", problem))
        for needed in self.job.needed_bytes[number : number + 1]:
            if problem := check_touched(metrics, needed):
                raise _FailedError(failed(Status.CHEATING, "profile", problem))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self.stage, started_s = name, time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started_s

    @contextmanager
    def _failing(self, status: Status) -> Iterator[None]:
        """What is refused within becomes a verdict; what is missing on this machine is raised on."""
        try:
            yield
        except CompileTimeoutError as error:
            raise _FailedError(failed(Status.TIMEOUT, self.stage, str(error), error.diagnostics)) from error
        except CompilerCrashError as error:
            raise _FailedError(failed(Status.CRASH, self.stage, f"the compiler {error.how}")) from error
        except UserError as error:
            if error.exit_code == ExitCode.MISSING:
                raise
            raise _FailedError(failed(status, self.stage, _shortened(str(error)), error.diagnostics)) from error


def _machine(target: str) -> Machine:
    from backends.machines import load_machine

    return load_machine(target)


def _check_launch(task: Task, sizes: Sequence[Sizes]) -> None:
    """Raises UserError `bad-launch` for a launch that has no value, or none above 0, at some size."""
    for each in sizes:
        try:
            extents = (*task.grid(each), *task.block(each), *task.cluster(each))
        except ExpressionError as error:
            raise fail("bad-launch", str(error)) from error
        if min(extents) < 1:
            raise fail("bad-launch", f"an extent of the launch is {min(extents)} at {text_of(each)}")


def _check_problem(base: Task, task: Task, sizes: Sequence[Sizes]) -> None:
    found = list(changes(base, task, sizes))
    if found:
        raise _FailedError(failed(Status.CHEATING, "parse", "; ".join(dict.fromkeys(found))))


def _check_limits(compiled: Compiled, machine: Machine) -> None:
    threads = prod(compiled.block or (1, 1, 1))
    registers = compiled.resources.registers if compiled.resources else 0
    wanted = {
        "threads in a block": (threads, min(compiled.max_threads or _THREADS, _THREADS)),
        "bytes of shared memory": (compiled.dynamic_smem_bytes + compiled.static_smem_bytes, machine.smem_bytes),
        "registers in a block": (registers * threads, machine.registers_per_sm),
    }
    over = [f"needs {got} {what}, {limit} allowed" for what, (got, limit) in wanted.items() if limit and got > limit]
    if over:
        raise _FailedError(failed(Status.RESOURCE_LIMIT, "limits", "; ".join(over)))


def verdict_of_run(outcome: Outcome, told: str = "") -> Verdict:
    """The verdict of a launch that did not pass, with the sizes, what was unusual about it, and what was seen."""
    lines = [", ".join(filter(None, (f"at {text_of(outcome.sizes)}", told))), *_seen(outcome)]
    status = _OF_RUN[outcome.status]
    return failed(status, "verify", _shortened("\n".join(lines)), outcome.diagnostics or _as_diagnostics(outcome))


def _seen(outcome: Outcome) -> Iterator[str]:
    if outcome.fault is not None:
        yield "the launch took too long" if outcome.fault.rule in LIMITS else str(outcome.fault)
    yield from (str(f) for f in outcome.findings if f.is_error)
    yield from (f"input {name} was overwritten" for name in outcome.overwritten)
    for c in (c for c in outcome.comparisons if not c.passed):
        error = "not finite" if c.error is None else f"{c.error:.3g} of the output's scale"
        yield f"{c.output}: {c.wrong} of {c.elements} elements wrong, error {error}, {c.tolerance:.3g} allowed"
        yield from (f"{c.output}{list(e.index)} is {e.got:.6g}, should be {e.want:.6g}" for e in c.worst)
    yield from (d.render() for d in outcome.diagnostics)


def _as_diagnostics(outcome: Outcome) -> tuple[Diagnostic, ...]:
    found = [f for f in (outcome.fault, *outcome.findings) if f is not None and f.is_error]
    return tuple(Diagnostic(f.rule, f.message, f.site.location if f.site else None) for f in found)


def _shortened(text: str) -> str:
    lines = text.splitlines()
    more = len(lines) - _EVIDENCE_LINES
    return "\n".join([*lines[:_EVIDENCE_LINES], f"... and {more} lines more"] if more > 0 else lines)
