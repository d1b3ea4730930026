"""`optiml show`: the steps of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir.diagnostics import ExitCode

if TYPE_CHECKING:
    from optiml.store.reading import Reading
    from optiml.store.store import StepRow

SCHEMA_VERSION = 1


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--passed", is_flag=True, help="Only steps whose program passed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(run: Path, passed: bool, as_json: bool) -> int:
    """Tell the story of the run in the file RUN, and list its steps; it may still be going on."""
    from optiml.store.reading import read_run

    reading = read_run(run)
    steps = [s for s in reading.steps if not passed or reading.verdicts[s.key].is_ok]
    if as_json:
        click.echo(json.dumps(_document(reading, steps), indent=2, sort_keys=True))
    else:
        click.echo("\n".join(_lines(reading, steps)))
    return ExitCode.SUCCESS


def _document(reading: Reading, steps: list[StepRow]) -> dict[str, Any]:
    from optiml.cli.spent import spent_document
    from optiml.report.story import story

    return {
        "schema_version": SCHEMA_VERSION,
        "story": list(story(reading)),
        "settings": dict(reading.settings),
        "is_finished": reading.is_finished,
        "ended": reading.facts.get("ended"),
        "baseline": {"key": reading.root, "time_us": reading.baseline_us},
        "best": reading.best,
        "models": spent_document(reading.exchanges),
        "steps": [_step(reading, s) for s in steps],
        "timing": _timing(reading),
    }


def _timing(reading: Reading) -> dict[str, float]:
    """How many programs were evaluated, each once, in how many seconds of the search here, and in a minute."""
    evaluated = len({s.key for s in reading.steps} - {reading.root})
    elapsed_s = reading.steps[-1].elapsed_s if reading.steps else 0.0
    per_minute = 60.0 * evaluated / elapsed_s if elapsed_s else 0.0
    return {"evaluations": evaluated, "elapsed_s": elapsed_s, "evaluations_per_minute": per_minute}


def _step(reading: Reading, step: StepRow) -> dict[str, Any]:
    verdict = reading.verdicts[step.key]
    metrics = verdict.metrics
    return {
        "number": step.number,
        "key": step.key,
        "parent": step.parent,
        "tag": step.tag,
        "aimed_at": step.limiter,
        "why": step.why,
        "proposer": step.proposer,
        "status": str(verdict.status),
        "stage": verdict.stage,
        "evidence": verdict.evidence,
        "time_us": verdict.time_us,
        "kind": metrics.kind if metrics else None,
        "limiter": metrics.limiter if metrics else None,
        "reward": step.reward,
    }


def _lines(reading: Reading, steps: list[StepRow]) -> list[str]:
    from optiml.cli.render import aligned
    from optiml.cli.spent import spent_lines
    from optiml.report.story import story

    chosen, base_us = reading.settings, reading.baseline_us
    head = f"{chosen['task']}: {chosen['strategy']}, {chosen['proposer']}, seed {chosen['seed']}; * is the best"
    rows = [["step", "from", "edit", "came to", "speed-up", "limiter"]]
    numbers = {s.key: str(s.number) for s in reversed(reading.steps)} | {reading.root: "-"}
    for step in steps:
        verdict = reading.verdicts[step.key]
        speedup = f"{base_us / verdict.time_us:.2f}x" if verdict.time_us and base_us else ""
        came_to = f"{verdict.time_us:.4g} us" if verdict.time_us else str(verdict.status)
        limiter = verdict.metrics.limiter if verdict.metrics else verdict.evidence.partition("\n")[0][:60]
        mark = "*" if step.key == reading.best else ""
        rows.append([f"{step.number}{mark}", numbers.get(step.parent, "-"), step.tag, came_to, speedup, limiter])
    timing = _timing(reading)
    pace = "{evaluations} programs evaluated in {elapsed_s:.1f} s here: {evaluations_per_minute:.1f} a minute"
    told = [*story(reading), pace.format(**timing), *spent_lines(reading.exchanges)]
    return [*told, "", head, "", *aligned(rows, left=(2, 3, 5))]
