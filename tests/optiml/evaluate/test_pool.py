"""The pool on real kernels: each kind of wrong candidate gets the verdict that says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ir.diagnostics import UserError
from ir.task import load_task
from optiml.candidate import Candidate, candidate_of
from optiml.evaluate.job import Job, Limits, job_document, job_of
from optiml.evaluate.memo import instructions
from optiml.evaluate.pool import Pool
from optiml.verdict import Status, Verdict

pytestmark = pytest.mark.slow
KERNELS = Path(__file__).parents[3] / "kernels"
CUDA, TRITON = load_task(KERNELS / "vector_add"), load_task(KERNELS / "softmax")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(2, "triton")
    yield pool
    pool.close()


def job(task: object = CUDA, candidate: Candidate | None = None, **more: object) -> Job:
    sizes = task.sizes["verify"][:2]  # type: ignore[attr-defined]
    made = candidate or candidate_of(task)  # type: ignore[arg-type]
    path = str(task.document.path.absolute())  # type: ignore[attr-defined]
    return replace(Job(path, "", "a100", made, 1, sizes, sizes[:1]), **more)  # type: ignore[arg-type]


def judged(pool: Pool, given: Job) -> Verdict:
    return pool.wait(pool.submit(given))


def edited(task: object, old: str, new: str, **overrides: object) -> Candidate:
    source = task.source.read_text()  # type: ignore[attr-defined]
    assert old in source
    return Candidate(task.language, source.replace(old, new), overrides)  # type: ignore[attr-defined]


def test_a_job_comes_back_from_json() -> None:
    given = job(floors_us=(1.0,), limits=Limits(wall_s=3.0))
    assert job_of(job_document(given)) == given


def test_a_right_kernel_passes_and_has_a_modelled_time(pool: Pool) -> None:
    for task in (CUDA, TRITON):
        verdict = judged(pool, job(task))
        assert verdict.is_ok, verdict.evidence
        assert verdict.metrics is not None and verdict.metrics.kind == "modelled"
        assert verdict.metrics.times[0].time_us > 1.0


def test_a_syntax_error_is_a_compile_error_with_its_line(pool: Pool) -> None:
    verdict = judged(pool, job(candidate=edited(CUDA, "{", "{ this is not C++;")))
    assert verdict.status is Status.COMPILE_ERROR
    assert verdict.diagnostics[0].location is not None and verdict.diagnostics[0].location.line
    assert judged(pool, job(TRITON, Candidate("triton", "def softmax_kernel(:"))).status is Status.COMPILE_ERROR


def test_a_wrong_result_is_told_with_the_elements(pool: Pool) -> None:
    verdict = judged(pool, job(candidate=edited(CUDA, " + ", " - ")))
    assert verdict.status in (Status.WRONG_RESULT, Status.FAULT, Status.COMPILE_ERROR)
    verdict = judged(pool, job(TRITON, edited(TRITON, "tl.exp", "tl.abs") if "tl.exp(" in TRITON.source.read_text() else
                               edited(TRITON, "tl.max", "tl.min")))  # fmt: skip
    assert verdict.status in (Status.WRONG_RESULT, Status.COMPILE_ERROR), verdict.evidence


def test_a_launch_without_a_value_is_refused(pool: Pool) -> None:
    candidate = candidate_of(CUDA).with_overrides({"launch.block": ["1 // 0"]})
    assert judged(pool, job(candidate=candidate)).status is Status.REFUSED
    candidate = candidate_of(CUDA).with_overrides({"launch.grid": [0]})
    assert "extent" in judged(pool, job(candidate=candidate)).evidence


def test_too_many_threads_are_a_resource_limit(pool: Pool) -> None:
    candidate = candidate_of(CUDA).with_overrides({"launch.block": [2048]})
    verdict = judged(pool, job(candidate=candidate))
    assert verdict.status is Status.RESOURCE_LIMIT
    assert "2048" in verdict.evidence


def test_a_time_below_the_floor_is_impossible(pool: Pool) -> None:
    assert judged(pool, job(floors_us=(1e6,))).status is Status.IMPOSSIBLE_TIME


def test_an_endless_kernel_times_out(pool: Pool) -> None:
    endless = edited(
        CUDA,
        "{",
        '{ while (true) { asm volatile("" ::: "memory"); }',
    )
    verdict = judged(pool, job(candidate=endless, limits=Limits(wall_s=8.0, launch_s=2.0)))
    assert verdict.status is Status.TIMEOUT, verdict.evidence


@pytest.mark.parametrize(
    "line",
    [
        "open('/etc/passwd').read()",
        "import socket; socket.socket()",
        "import subprocess; subprocess.run(['true'], check=True)",
        "import os; os.kill(os.getppid(), 9)",
    ],
)
def test_python_that_attacks_is_a_compile_error_with_its_reason(pool: Pool, line: str) -> None:
    verdict = judged(pool, job(TRITON, Candidate("triton", f"{line}\n{TRITON.source.read_text()}")))
    assert verdict.status is Status.COMPILE_ERROR
    assert any(word in verdict.evidence for word in ("Permission", "permitted", "FileNotFoundError", "ProcessLookup"))


def test_python_that_forges_the_answer_is_a_cheat_or_a_crash(pool: Pool) -> None:
    forged = 'import os; os.write(3, b\'{"artifacts": ["x"], "at": [0, 0, 0]}\'); os._exit(0)\n'
    assert judged(pool, job(TRITON, Candidate("triton", forged))).status is Status.CHEATING


def test_a_missing_reference_is_the_tasks_fault(pool: Pool, tmp_path: Path) -> None:
    for name in ("kernel.cu", "task.toml"):
        (tmp_path / name).write_text((KERNELS / "vector_add" / name).read_text())
    (tmp_path / "reference.py").write_text("def reference(): raise ValueError('not written')")
    with pytest.raises(UserError, match="bad-reference"):
        judged(pool, job(task=load_task(tmp_path)))


def test_comments_change_no_instruction() -> None:
    one = '//\n.file 1 "a.cu"\nadd.f32 %f1, %f2;  // x\n.loc 1 2 3\n'
    assert instructions(one) == instructions("add.f32 %f1, %f2;\n") == "add.f32 %f1, %f2;"


def test_the_same_machine_code_is_examined_once(pool: Pool) -> None:
    first = judged(pool, job(seed=5))
    second = judged(pool, job(candidate=edited(CUDA, "{", "{ // a comment\n"), seed=6))
    assert second.metrics == first.metrics
    assert "verify" not in second.seconds
