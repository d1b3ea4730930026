"""A result as a table for people and as a document for programs."""

from __future__ import annotations

from typing import Any

from optiml.api import Result
from optiml.evaluate.job import text_of
from optiml.search.finalists import Finalist
from optiml.verdict import SizeTime

SCHEMA_VERSION = 1


def result_document(result: Result) -> dict[str, Any]:
    """The same bytes for the same task and settings."""
    final, settings = result.final, result.settings
    return {
        "schema_version": SCHEMA_VERSION,
        "task": settings.task,
        "variant": settings.variant or None,
        "target": settings.target,
        "strategy": settings.strategy,
        "proposer": settings.proposer,
        "seed": settings.seed,
        "evaluations": sum(t.is_new for t in result.searched.told),
        "passed": sum(t.is_new and t.result.verdict.is_ok for t in result.searched.told),
        "ended": result.searched.ended,
        "speedup": result.speedup if final.winner else None,
        "baseline": _entry(final.baseline),
        "winner": _entry(final.winner) if final.winner else None,
        "finalists": [_entry(f) for f in final.finalists],
    }


def _entry(finalist: Finalist) -> dict[str, Any]:
    verdict, metrics = finalist.confirmed, finalist.confirmed.metrics
    return {
        "key": finalist.scored.key,
        "edits": list(finalist.scored.path),
        "status": str(verdict.status),
        "evidence": verdict.evidence,
        "notes": list(verdict.notes),
        "kind": metrics.kind if metrics else None,
        "time_us": metrics.time_us if metrics else None,
        "times": [_time(t) for t in metrics.times] if metrics else [],
        "limiter": metrics.limiter if metrics else None,
        "registers": metrics.registers if metrics else None,
        "smem_bytes": metrics.smem_bytes if metrics else None,
        "occupancy": metrics.occupancy if metrics else None,
        "error_percent": metrics.error_percent if metrics else None,
    }


def _time(time: SizeTime) -> dict[str, Any]:
    return {"sizes": dict(time.sizes), "time_us": time.time_us, "low_us": time.low_us, "high_us": time.high_us}


def result_text(result: Result) -> str:
    """Baseline and winner at each size, the edits between them, and where the evidence is."""
    final, told = result.final, result.searched.told
    evaluated, passed = sum(t.is_new for t in told), sum(t.is_new and t.result.verdict.is_ok for t in told)
    lines = [f"{evaluated} candidates evaluated, {passed} passed; the search ended by: {result.searched.ended}"]
    if final.winner is None:
        lines.append("nothing faster than the baseline was found")
    else:
        lines += ["", *_table(final.baseline, final.winner), "", *_story(final.baseline, final.winner)]
        lines += [f"note: {note}" for note in final.winner.confirmed.notes]
    lines += ["", f"evidence: {result.path}"]
    return "\n".join(lines) + "\n"


def _table(baseline: Finalist, winner: Finalist) -> list[str]:
    before, after = baseline.confirmed.metrics, winner.confirmed.metrics
    assert before is not None and after is not None, "both passed"
    error = "" if after.error_percent is None else f", mean error on published measurements {after.error_percent:.0f} %"
    rows = [["size", "baseline us", "winner us", "speed-up"]]
    for old, new in zip(before.times, after.times, strict=True):
        rows.append(
            [text_of(old.sizes), f"{old.time_us:.4g}", f"{new.time_us:.4g}", f"{old.time_us / new.time_us:.2f}x"]
        )
    rows.append(
        ["geometric mean", f"{before.time_us:.4g}", f"{after.time_us:.4g}", f"{before.time_us / after.time_us:.2f}x"]
    )
    return [f"times are {after.kind}{error}", *aligned(rows)]


def aligned(rows: list[list[str]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Rows as lines with columns of one width, those of `left` to the left and the others to the right.

    >>> aligned([["a", "bc"], ["def", "1"]])
    ['a    bc', 'def   1']
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(_cell(c, i, widths, left) for i, c in enumerate(row)).rstrip() for row in rows]


def _cell(text: str, column: int, widths: list[int], left: tuple[int, ...]) -> str:
    return text.ljust(widths[column]) if column in left else text.rjust(widths[column])


def _story(baseline: Finalist, winner: Finalist) -> list[str]:
    before, after = baseline.confirmed.metrics, winner.confirmed.metrics
    assert before is not None and after is not None, "both passed"
    return [
        f"limiter: {before.limiter} -> {after.limiter}",
        f"edits: {' -> '.join(winner.scored.path)}",
    ]
