"""Runs as JSON: one object, the same bytes for the same runs except inside `timing`; null for what has no number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from backends.run.outcome import Outcome, Timing, worst_status
from backends.run.script import ScriptRun

SCHEMA_VERSION = 1


def task_document(head: Mapping[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The document of `twill run TASK --json`. `head`: task, device and settings, put before the runs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "task-run",
        **head,
        "status": str(worst_status(o.status for o in outcomes)),
        "runs": [_without_timing(o) for o in outcomes],
        "timing": _timing([o.timing for o in outcomes]),
    }


def script_document(head: Mapping[str, Any], run: ScriptRun) -> dict[str, Any]:
    """The document of `twill run script.py --json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "script-run",
        **head,
        "status": str(worst_status(r.status for r in run.launches)),
        "error": plain(run.error),
        "launches": [_without_timing(r) for r in run.launches],
        "timing": _timing([r.timing for r in run.launches]),
    }


def _without_timing(outcome: Any) -> dict[str, Any]:
    return {name: value for name, value in plain(outcome).items() if name != "timing"}


def _timing(timings: Sequence[Timing]) -> dict[str, Any]:
    totals = {f.name: sum(getattr(t, f.name) for t in timings) for f in fields(Timing) if f.name.endswith("_s")}
    return {**totals, "each": [asdict(t) for t in timings]}


def plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists; a number that is not finite as the text `nan`, `inf` or `-inf`.

    >>> plain((1.5, float("-inf")))
    [1.5, '-inf']
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, str) else value
