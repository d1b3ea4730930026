"""What a worker's child does with one request: compile Python in the sandbox, or give the verdict on a job."""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ir.diagnostics import UserError
from optiml.evaluate.cascade import assess, timed_code
from optiml.evaluate.compiling import compile_all
from optiml.evaluate.job import job_of
from optiml.evaluate.places import readable, writable
from optiml.isolate.sandbox import confine
from optiml.verdict import document_of


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`{"verdict": ..., "code": [...]}`, or `{"error": {...}}` where the task or this machine is at fault.

    code: artifacts of a candidate that passed, as JSON, where the job wants them.

    A request `{"compile": JOB}` is answered as `compile_all` does.
    """
    if "compile" in request:
        wanted = job_of(request["compile"])
        _alarm(wanted.limits.compile_s)
        return compile_all(wanted, Path.cwd())
    job = job_of(request)
    try:
        confine(Path.cwd(), readable(job), writable(job))
        verdict = assess(job, _alarm)
        code = timed_code(job) if job.wants_code and verdict.is_ok else []
        return {"verdict": document_of(verdict), "code": code}
    except UserError as error:
        return {"error": {"diagnostics": [asdict(d) for d in error.diagnostics], "exit_code": int(error.exit_code)}}


def _alarm(seconds: float) -> None:
    """End this process by SIGALRM after so many seconds; 0 takes it back."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
