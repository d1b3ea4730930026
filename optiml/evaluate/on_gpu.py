"""Verdicts with times of a real GPU: what passed on the emulated device is launched there, compared again, and timed.

A candidate reaches the GPU as machine code that every checker has watched, and in a process of its own.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from backends.compilers.artifact import from_json
from backends.machines import load_machine
from backends.measured import Measured
from backends.run.devices import DeviceOptions
from backends.run.gpu import GpuProcess
from backends.run.outcome import Outcome
from backends.run.outcome import Status as RunStatus
from backends.run.task import Case
from ir.diagnostics import fail
from ir.machine import Machine
from ir.task import Task, load_task
from optiml.candidate import as_task
from optiml.evaluate.cascade import verdict_of_run
from optiml.evaluate.job import Job, Sizes
from optiml.evaluate.pool import Pool
from optiml.verdict import SizeTime, Status, Verdict, failed

_STAGE = "gpu"


class OnGpu:
    """An evaluator: the pool's verdicts, whose times are then measured, one candidate at a time."""

    def __init__(self, pool: Pool, gpu: GpuProcess | None = None) -> None:
        self._pool, self._gpu = pool, gpu or GpuProcess()
        self._jobs: dict[int, Job] = {}

    def submit(self, job: Job) -> int:
        """Queue a job."""
        job = replace(job, wants_code=bool(job.profile))
        number = self._pool.submit(job)
        self._jobs[number] = job
        return number

    def wait(self, number: int) -> Verdict:
        """The verdict. Raises UserError where the task itself is at fault."""
        verdict, job = self._pool.wait(number), self._jobs.pop(number)
        code = self._pool.code(number)
        return self._timed(verdict, job, code) if verdict.is_ok and job.profile else verdict

    def close(self) -> None:
        """End the workers and the process with the GPU."""
        self._pool.close()
        self._gpu.close()

    def _timed(self, verdict: Verdict, job: Job, code: list[str]) -> Verdict:
        assert verdict.metrics is not None, "it was profiled"
        times = []
        for sizes, outcome in self._outcomes(job, code):
            measured = outcome.timing.measured
            if outcome.status != RunStatus.PASSED:
                return replace(verdict_of_run(outcome), stage=_STAGE)
            if measured is None:
                return failed(Status.REFUSED, _STAGE, "a launch of no blocks has no time")
            times.append(_size_time(sizes, measured))
        metrics = replace(verdict.metrics, kind="measured", times=tuple(times), error_percent=None)
        return replace(verdict, metrics=metrics)

    def _outcomes(self, job: Job, code: list[str]) -> Iterator[tuple[Sizes, Outcome]]:
        options = DeviceOptions(("none",), seed=job.timing_seed, time_limit_s=job.limits.launch_s)
        with tempfile.TemporaryDirectory(prefix="optiml-") as folder:
            task = _task(job, Path(folder))
            architecture = load_machine(job.target).architecture
            for sizes, text in zip(job.profile, code, strict=True):
                case = Case(task, architecture, sizes)
                yield sizes, self._gpu.run(case, options, compiled=from_json(text))


def require_gpu(machine: Machine) -> None:
    """Raises UserError: missing-part without a GPU; wrong-target where it is not of the machine's architecture."""
    from backends.cuda.driver import open_driver

    driver = open_driver()
    if driver.architecture != machine.architecture:
        message = f"{driver.description} is {driver.architecture}, and {machine.name} is {machine.architecture}"
        raise fail("wrong-target", message, remedy="--target with the machine that is here")


def _task(job: Job, folder: Path) -> Task:
    base = load_task(job.task)
    return as_task(job.candidate, base.variant(job.variant) if job.variant else base, folder)


def _size_time(sizes: Sizes, measured: Measured) -> SizeTime:
    """The median, between the tenth and the ninetieth percentile."""
    low, *_, high = statistics.quantiles(measured.times_us, n=10, method="inclusive")
    return SizeTime(dict(sizes), measured.median_us, low, high)
