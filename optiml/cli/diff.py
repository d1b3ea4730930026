"""`optiml diff`: what changed between two programs of a run."""

from __future__ import annotations

from pathlib import Path

import click

from ir.diagnostics import ExitCode


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("old", default="baseline")
@click.argument("new", default="best")
@click.option("--steps", is_flag=True, help="A diff for each step on the way to NEW.")
def command(run: Path, old: str, new: str, steps: bool) -> int:
    """Show what changed from OLD to NEW in the run in the file RUN, as a unified diff.

    OLD and NEW are a step's number, the beginning of a program's key, `baseline` or `best`.
    """
    from optiml.difference import difference
    from optiml.store.reading import read_run

    reading = read_run(run)
    if new == "best" and reading.best is None:
        click.echo("nothing faster than the baseline was found", err=True)
        return ExitCode.NEGATIVE
    if not steps:
        first, second = reading.key_of(old), reading.key_of(new)
        lines = difference(reading.candidates[first], reading.candidates[second])
        click.echo("\n".join(line.text for line in lines))
        return ExitCode.SUCCESS
    for row in reading.way(reading.key_of(new)):
        click.echo(f"# {row.tag} ({row.limiter}): {row.why}")
        lines = difference(reading.candidates[row.parent], reading.candidates[row.key])
        click.echo("\n".join(line.text for line in lines) + "\n")
    return ExitCode.SUCCESS
