"""The pool: jobs to verdicts over the cores, each in a child of its own."""

from __future__ import annotations

import os
from typing import Any, Protocol

from ir.diagnostics import Diagnostic, ExitCode, Location, UserError
from optiml.evaluate.job import Job, job_document
from optiml.isolate.client import ZygoteClient
from optiml.isolate.limits import ChildLimits
from optiml.verdict import Status, Verdict, failed, verdict_of

_HANDLER = "optiml.evaluate.worker:answer"
# Imported once before the first child is forked: what every evaluation needs.
_PRELOAD = (
    "torch", "backends.compilers.task", "backends.compilers.nvrtc", "backends.run.task", "backends.run.oracle",
    "backends.emulator.device", "backends.model.profiling", "backends.machines",
)  # fmt: skip
_PRELOAD_TRITON = ("triton", "triton.compiler", "triton.backends.nvidia.compiler", "backends.compilers.triton")


class Evaluator(Protocol):
    """Takes jobs, gives verdicts; several may be under way at once."""

    def submit(self, job: Job) -> int:
        """Begin; the number under which `wait` gives the verdict."""

    def wait(self, number: int) -> Verdict:
        """The verdict, as soon as it is there. Raises UserError where the task itself is at fault."""

    def close(self) -> None:
        """Stop all that is under way."""


class Pool:
    """Evaluates in up to `workers` children at once (default: one for each core)."""

    def __init__(self, workers: int | None = None, language: str = "cuda") -> None:
        preload = _PRELOAD if language == "cuda" else (*_PRELOAD, *_PRELOAD_TRITON)
        self._client = ZygoteClient(_HANDLER, workers or os.cpu_count() or 1, preload)

    def submit(self, job: Job) -> int:
        """Queue a job."""
        limits = ChildLimits(job.limits.wall_s, job.limits.memory_bytes, job.limits.answer_bytes)
        return self._client.submit(job_document(job), limits)

    def wait(self, number: int) -> Verdict:
        """The verdict; a child that died is one too. Raises UserError where the task itself is at fault."""
        reply = self._client.wait(number)
        if "died" in reply:
            return _of_death(reply["died"])
        answer = reply["answer"]
        if "error" in answer:
            raise _error(answer["error"])
        return verdict_of(answer["verdict"])

    def close(self) -> None:
        """End the workers."""
        self._client.close()


def _of_death(died: dict[str, str]) -> Verdict:
    status = Status.TIMEOUT if died["how"] == "timeout" else Status.CRASH
    how = "took too long" if status is Status.TIMEOUT else died["how"]
    evidence = "\n".join(filter(None, (f"the evaluation {how}", died["said"])))
    return failed(status, "child", evidence)


def _error(document: dict[str, Any]) -> UserError:
    found = [
        Diagnostic(**{**d, "location": None if d["location"] is None else Location(**d["location"])})
        for d in document["diagnostics"]
    ]
    return UserError(*found, exit_code=ExitCode(document["exit_code"]))
