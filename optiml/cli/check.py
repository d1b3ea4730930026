"""`optiml check`: prove that a task tells right from wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir.diagnostics import ExitCode
from twill.cli.progress import progress_line

if TYPE_CHECKING:
    from ir.task import Task
    from optiml.verdict import Verdict

SCHEMA_VERSION = 1


@click.command()
@click.argument("task", metavar="TASK[:VARIANT]")
@click.option("--target", "-t", default="a100", show_default=True, metavar="MACHINE", help="Name or .toml file.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of inputs.")
@click.option("--no-run", is_flag=True, help="Check the reference and its tolerance alone, not the kernel.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(task: str, target: str, seed: int, no_run: bool, as_json: bool, quiet: bool) -> int:
    """Prove that TASK tells right from wrong.

    Answers that a lazy or broken kernel might give (zeros, a constant, the answer for other inputs, a transposed one,
    one that lacks its end, ...) are compared with the reference as a kernel's would be: each must be found wrong at
    some size. Then the kernel itself must pass on the emulated device.
    """
    from ir.task import load_task
    from optiml.evaluate.mutations import check_oracle

    path, _, variant = task.partition(":")
    loaded = load_task(path).variant(variant) if variant else load_task(path)
    with progress_line(quiet) as progress:
        progress("comparing wrong answers with the reference")
        findings = list(check_oracle(loaded, seed))
        progress("running the kernel")
        verdict = None if no_run else _verdict(loaded, variant, target, seed)
    good = all(f.passed for f in findings) and (verdict is None or verdict.is_ok)
    if as_json:
        click.echo(json.dumps(_document(task, findings, verdict, good), indent=2, sort_keys=True))
    else:
        click.echo("\n".join(_lines(findings, verdict)))
    return ExitCode.SUCCESS if good else ExitCode.NEGATIVE


def _verdict(task: Task, variant: str, target: str, seed: int) -> Verdict:
    from optiml.candidate import candidate_of
    from optiml.evaluate.job import Job, by_work
    from optiml.evaluate.pool import Pool

    sizes = by_work([*task.sizes["verify"], *task.sizes["search"]])
    job = Job(str(Path(task.document.path).absolute()), variant, target, candidate_of(task), seed, sizes, ())
    pool = Pool(1, task.language)
    try:
        return pool.wait(pool.submit(job))
    finally:
        pool.close()


def _document(task: str, findings: list[Any], verdict: Verdict | None, good: bool) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "task": task,
        "passed": good,
        "mutations": [
            {"output": f.output, "mutation": f.mutation, "found": f.found, "tried": f.tried, "passed": f.passed}
            for f in findings
        ],
        "kernel": None if verdict is None else {"status": str(verdict.status), "evidence": verdict.evidence},
    }


def _lines(findings: list[Any], verdict: Verdict | None) -> list[str]:
    from optiml.cli.render import aligned

    rows = [["output", "wrong answer", "found out at", ""]]
    rows += [
        [f.output, f.mutation, f"{f.found} of {f.tried} sizes", "" if f.passed else "PASSES AS RIGHT"] for f in findings
    ]
    lines = aligned(rows, left=(0, 1, 3))
    if verdict is not None:
        lines += ["", f"the kernel itself: {verdict.status}", *verdict.evidence.splitlines()]
    return lines
