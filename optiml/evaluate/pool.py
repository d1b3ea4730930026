"""The pool: jobs to verdicts over the cores, each in a child of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ir.diagnostics import Diagnostic, ExitCode, Location, UserError
from optiml.evaluate.compiling import artifacts_in
from optiml.evaluate.job import Job, job_document, without_secrets
from optiml.evaluate.places import readable, writable
from optiml.isolate.client import ZygoteClient
from optiml.isolate.folders import OwnFolder
from optiml.isolate.limits import ChildLimits
from optiml.verdict import Status, Verdict, failed, verdict_of

_HANDLER = "optiml.evaluate.worker:answer"
# Imported once before the first child is forked: what every evaluation needs.
_PRELOAD = (
    "torch", "backends.compilers.task", "backends.compilers.nvrtc", "backends.run.task", "backends.run.oracle",
    "backends.emulator.device", "backends.model.profiling", "backends.machines", "optiml.evaluate.repeats",
    "optiml.evaluate.warm",
)  # fmt: skip
_PRELOAD_PYTHON = ("triton", "triton.compiler", "triton.backends.nvidia.compiler", "backends.compilers.triton")

# What a child dies of, or what a verdict says, where a clock has decided.
_CLOCK_DEATHS = ("timeout", "ended by SIGALRM")
_CLOCK_RULES = ("time-limit", "compile-timeout")

# How a child died -> what is made of it.
_DEATHS = {
    "timeout": (Status.TIMEOUT, "the evaluation took too long"),
    "ended by SIGALRM": (Status.TIMEOUT, "the compiler took too long"),
    "ended by SIGXCPU": (Status.TIMEOUT, "the evaluation took too long"),
}


class Evaluator(Protocol):
    """Takes jobs, gives verdicts; several may be under way at once."""

    def submit(self, job: Job) -> int:
        """Begin; the number under which `wait` gives the verdict."""

    def wait(self, number: int) -> Verdict:
        """The verdict, as soon as it is there. Raises UserError where the task itself is at fault."""

    def close(self) -> None:
        """Stop all that is under way."""


class Pool:
    """Evaluates in up to `workers` children at once (default: one for each core).

    A candidate in Python takes two: one that runs it in the sandbox, and one that examines what came out.
    """

    def __init__(self, workers: int | None = None, language: str = "cuda") -> None:
        preload = _PRELOAD if language == "cuda" else (*_PRELOAD, *_PRELOAD_PYTHON)
        self._client = ZygoteClient(_HANDLER, workers or os.cpu_count() or 1, preload)
        self._sent: dict[int, _Sent] = {}
        self._verdicts: dict[int, Verdict | UserError] = {}
        self._code: dict[int, list[str]] = {}
        self._count = 0
        self._memo = OwnFolder()

    def submit(self, job: Job) -> int:
        """Queue a job."""
        self._count += 1
        job = replace(job, memo=self._memo.name)
        self._client.show(readable(job), writable(job))
        if job.candidate.language == "cuda":
            self._send(job_document(job), self._count, job)
        else:
            self._send({"compile": job_document(without_secrets(job))}, self._count, job)
        return self._count

    def wait(self, number: int) -> Verdict:
        """The verdict; a child that died is one too. Raises UserError where the task itself is at fault."""
        while number not in self._verdicts:
            self._take(self._client.next())
        found = self._verdicts.pop(number)
        if isinstance(found, UserError):
            raise found
        return found

    def code(self, number: int) -> list[str]:
        """The machine code that a verdict came with, once; see `Job.wants_code`."""
        return self._code.pop(number, [])

    def close(self) -> None:
        """End the workers."""
        self._client.close()
        self._memo.cleanup()

    def _send(self, request: dict[str, Any], number: int, job: Job, alone: bool = False) -> None:
        limits = ChildLimits(job.limits.wall_s, job.limits.memory_bytes, job.limits.answer_bytes)
        self._sent[self._client.submit(request, limits, alone)] = _Sent(number, job, request, alone)

    def _take(self, reply: dict[str, Any]) -> None:
        sent = self._sent.pop(reply["id"])
        if not sent.alone and _is_of_clock(reply, "compile" in sent.request):
            # The machine may have been busy: the clock's word counts once nothing else runs here.
            self._send(sent.request, sent.number, sent.job, alone=True)
            return
        self._conclude(reply, sent.number, sent.job)

    def _conclude(self, reply: dict[str, Any], number: int, job: Job) -> None:
        is_compiled = job.candidate.language == "cuda" or bool(job.artifacts)
        if "died" in reply:
            self._verdicts[number] = _of_death(reply["died"])
        elif is_compiled:
            self._verdicts[number] = _of_answer(reply["answer"])
            if job.wants_code:
                self._code[number] = reply["answer"].get("code", [])
        else:
            self._go_on(reply["answer"], number, job)

    def _go_on(self, answer: dict[str, Any], number: int, job: Job) -> None:
        """From the compiled candidate to its examination; whatever the sandbox says is about the candidate alone."""
        if "error" in answer:
            self._verdicts[number] = failed(Status.COMPILE_ERROR, "compile", str(answer["error"]))
            return
        try:
            texts, at = artifacts_in(answer, job)
        except UserError as error:
            status = Status.REFUSED if error.diagnostics[0].rule == "unverified-code" else Status.CHEATING
            self._verdicts[number] = failed(status, "compile", str(error), error.diagnostics)
            return
        whole = replace(job, artifacts=texts, artifact_at=at)
        self._send(job_document(whole), number, whole)


@dataclass(frozen=True)
class _Sent:
    """A request under way."""

    number: int
    job: Job
    request: dict[str, Any]
    alone: bool


def _is_of_clock(reply: dict[str, Any], is_forgeable: bool) -> bool:
    """Whether it was a clock that ended an evaluation, which says as much of the machine's load as of the candidate.

    is_forgeable: a candidate's Python may have written the answer, of which no form can be taken for granted.
    """
    if "died" in reply:
        return reply["died"]["how"] in _CLOCK_DEATHS
    answer = reply["answer"]
    if is_forgeable:
        return any(f"[{rule}]" in str(answer.get("error", "")) for rule in _CLOCK_RULES)
    return any(d["rule"] in _CLOCK_RULES for d in answer.get("verdict", {}).get("diagnostics", ()))


def _of_answer(answer: dict[str, Any]) -> Verdict | UserError:
    return _error(answer["error"]) if "error" in answer else verdict_of(answer["verdict"])


def _of_death(died: dict[str, str]) -> Verdict:
    status, how = _DEATHS.get(died["how"], (Status.CRASH, f"the evaluation {died['how']}"))
    return failed(status, "child", "\n".join(filter(None, (how, died["said"]))))


def _error(document: dict[str, Any]) -> UserError:
    found = [
        Diagnostic(**{**d, "location": None if d["location"] is None else Location(**d["location"])})
        for d in document["diagnostics"]
    ]
    return UserError(*found, exit_code=ExitCode(document["exit_code"]))
