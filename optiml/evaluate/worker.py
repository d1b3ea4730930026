"""What a worker's child does with one request: compile Python in the sandbox, or give the verdict on a job."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ir.diagnostics import UserError
from optiml.evaluate.cascade import assess
from optiml.evaluate.compiling import compile_all
from optiml.evaluate.job import job_of
from optiml.verdict import document_of


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`{"verdict": ...}`, or `{"error": {...}}` where the task or this machine is at fault, not the candidate.

    A request `{"compile": JOB}` is answered as `compile_all` does.
    """
    if "compile" in request:
        return compile_all(job_of(request["compile"]), Path.cwd())
    try:
        return {"verdict": document_of(assess(job_of(request)))}
    except UserError as error:
        return {"error": {"diagnostics": [asdict(d) for d in error.diagnostics], "exit_code": int(error.exit_code)}}
