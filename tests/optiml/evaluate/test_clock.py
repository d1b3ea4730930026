"""What a clock decides counts only when it is decided again alone: the machine may have been busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ir.diagnostics import Diagnostic
from ir.task import load_task
from optiml.candidate import Candidate, candidate_of
from optiml.evaluate.job import Job
from optiml.evaluate.pool import Pool
from optiml.isolate.limits import ChildLimits
from optiml.verdict import Status, Verdict, document_of, failed

TASK = load_task(Path(__file__).parents[3] / "kernels" / "vector_add")
JOB = Job(str(TASK.document.path), "", "a100", candidate_of(TASK), 1, (), ())
PYTHON = replace(JOB, candidate=Candidate("triton", ""))
OK = {"answer": {"verdict": document_of(Verdict(Status.OK, "profile"))}}
BY_WALL = {"died": {"how": "timeout", "said": ""}}


def of_rule(rule: str) -> dict[str, Any]:
    verdict = failed(Status.TIMEOUT, "verify", "too long", [Diagnostic(rule, "too long")])
    return {"answer": {"verdict": document_of(verdict)}}


class Scripted:
    """Stands for the zygote's client: gives these replies, and notes who was to run alone."""

    def __init__(self, replies: list[dict[str, Any]]) -> None:
        self.replies = deque(replies)
        self.alone: list[bool] = []

    def show(self, *_folders: object) -> None: ...

    def submit(self, _request: dict[str, Any], _limits: ChildLimits, alone: bool = False) -> int:
        self.alone.append(alone)
        return len(self.alone)

    def next(self) -> dict[str, Any]:
        return {"id": len(self.alone), **self.replies.popleft()}

    def close(self) -> None: ...


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(1)
    yield pool
    pool.close()


def judged(pool: Pool, *replies: dict[str, Any], job: Job = JOB) -> tuple[Verdict, list[bool]]:
    client = Scripted(list(replies))
    pool._client = client  # type: ignore[assignment]
    return pool.wait(pool.submit(job)), client.alone


@pytest.mark.parametrize("first", [BY_WALL, of_rule("time-limit"), of_rule("compile-timeout")])
def test_a_busy_machine_refuses_nobody(pool: Pool, first: dict[str, Any]) -> None:
    verdict, alone = judged(pool, first, OK)
    assert verdict.is_ok
    assert alone == [False, True]


def test_the_second_time_counts(pool: Pool) -> None:
    verdict, alone = judged(pool, BY_WALL, BY_WALL)
    assert verdict.status is Status.TIMEOUT
    assert alone == [False, True]


@pytest.mark.parametrize("forged", [{"verdict": 5}, {"verdict": {"diagnostics": [5]}}, of_rule("time-limit")["answer"]])
def test_a_verdict_from_where_none_is_given_is_a_cheat(pool: Pool, forged: dict[str, Any]) -> None:
    verdict, alone = judged(pool, {"answer": forged}, job=PYTHON)
    assert verdict.status is Status.CHEATING
    assert alone == [False]


@pytest.mark.parametrize("reply", [of_rule("budget-spent"), {"died": {"how": "ended by SIGSEGV", "said": ""}}])
def test_what_no_clock_has_decided_counts_at_once(pool: Pool, reply: dict[str, Any]) -> None:
    verdict, alone = judged(pool, reply)
    assert not verdict.is_ok
    assert alone == [False]
