"""Verdicts with a GPU's times: the pool is real, and what stands for the GPU's process says what one would say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backends.compilers.artifact import Compiled
from backends.findings import Finding
from backends.measured import Measured
from backends.run.devices import DeviceOptions
from backends.run.outcome import Outcome, Timing
from backends.run.outcome import Status as RunStatus
from backends.run.task import Case
from ir.diagnostics import ExitCode, UserError
from ir.task import load_task
from optiml.api import Settings, optimize
from optiml.candidate import Candidate, candidate_of
from optiml.evaluate.job import Job
from optiml.evaluate.on_gpu import OnGpu
from optiml.evaluate.pool import Pool
from optiml.search.budget import Budget
from optiml.verdict import Status

KERNELS = Path(__file__).parents[3] / "kernels"
TASKS = {"cuda": load_task(KERNELS / "vector_add"), "triton": load_task(KERNELS / "softmax")}


@dataclass
class SomeGpu:
    """Takes what a GPU's process takes, keeps it, and answers with one status and times around 5 us."""

    status: RunStatus = RunStatus.PASSED
    asked: list[tuple[Case, Compiled]] = field(default_factory=list)

    def run(self, case: Case, _options: DeviceOptions, compiled: Compiled) -> Outcome:
        self.asked.append((case, compiled))
        passed = self.status == RunStatus.PASSED
        measured = Measured("GPU", (4.0, 5.0, 6.0), 2.0, 1980.0) if passed else None
        fault = None if passed else Finding("out-of-bounds", "beyond a buffer")
        return Outcome("", case.target, dict(case.sizes), self.status, fault=fault, timing=Timing(measured=measured))

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(1, "triton")
    yield pool
    pool.close()


def job(language: str, **more: object) -> Job:
    task = TASKS[language]
    sizes = tuple(task.sizes["verify"][:1])
    made = Job(str(task.document.path.absolute()), "", "h100", candidate_of(task), 1, sizes, sizes)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("language", ["cuda", "triton"])
def test_the_machine_code_that_passed_is_what_is_timed(pool: Pool, language: str) -> None:
    gpu = SomeGpu()
    evaluator = OnGpu(pool, gpu)  # type: ignore[arg-type]
    verdict = evaluator.wait(evaluator.submit(job(language)))
    assert verdict.is_ok and verdict.metrics is not None
    assert verdict.metrics.kind == "measured" and verdict.metrics.error_percent is None
    [time] = verdict.metrics.times
    assert time.low_us < time.time_us == 5.0 < time.high_us
    [(case, compiled)] = gpu.asked
    assert case.target == "sm_90" and compiled.cubin and compiled.entry in compiled.ptx


@pytest.mark.slow
def test_what_the_gpu_finds_wrong_is_a_verdict(pool: Pool) -> None:
    evaluator = OnGpu(pool, SomeGpu(RunStatus.FAULT))  # type: ignore[arg-type]
    verdict = evaluator.wait(evaluator.submit(job("cuda")))
    assert verdict.status is Status.FAULT and verdict.stage == "gpu"
    assert "beyond a buffer" in verdict.evidence


@pytest.mark.slow
def test_what_fails_before_does_not_reach_the_gpu(pool: Pool) -> None:
    gpu = SomeGpu()
    evaluator = OnGpu(pool, gpu)  # type: ignore[arg-type]
    wrong = Candidate("cuda", TASKS["cuda"].source.read_text().replace("+", "-"))
    assert not evaluator.wait(evaluator.submit(job("cuda", candidate=wrong))).is_ok
    assert not gpu.asked


def test_a_search_on_a_gpu_that_is_not_here_begins_no_run(tmp_path: Path) -> None:
    run = tmp_path / "run.optiml"
    settings = Settings(str(KERNELS / "transpose"), target="h100", device="cuda", budget=Budget(1))
    try:
        optimize(settings, run)
    except UserError as error:
        assert error.exit_code in (ExitCode.MISSING, ExitCode.USAGE)
        assert not run.exists()
    else:
        pytest.skip("there is an H100")
