"""What a worker's child does with one request: the verdict on a job, as a document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ir.diagnostics import UserError
from optiml.evaluate.cascade import assess
from optiml.evaluate.job import job_of
from optiml.verdict import document_of


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`{"verdict": ...}`, or `{"error": {...}}` where the task or this machine is at fault, not the candidate."""
    try:
        return {"verdict": document_of(assess(job_of(request)))}
    except UserError as error:
        return {"error": {"diagnostics": [asdict(d) for d in error.diagnostics], "exit_code": int(error.exit_code)}}
