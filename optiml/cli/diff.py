"""`optiml diff`: what changed between two programs of a run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ir.diagnostics import ExitCode

if TYPE_CHECKING:
    from optiml.candidate import Candidate


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("old", default="baseline")
@click.argument("new", default="best")
@click.option("--steps", is_flag=True, help="A diff for each step on the way to NEW.")
def command(run: Path, old: str, new: str, steps: bool) -> int:
    """Show what changed from OLD to NEW in the run in the file RUN, as a unified diff.

    OLD and NEW are a step's number, the beginning of a program's key, `baseline` or `best`.
    """
    from optiml.store.reading import read_run

    reading = read_run(run)
    if new == "best" and reading.best is None:
        click.echo("nothing faster than the baseline was found", err=True)
        return ExitCode.NEGATIVE
    if not steps:
        first, second = reading.key_of(old), reading.key_of(new)
        click.echo("\n".join(difference(reading.candidates[first], reading.candidates[second])))
        return ExitCode.SUCCESS
    for row in reading.way(reading.key_of(new)):
        click.echo(f"# {row.tag} ({row.limiter}): {row.why}")
        click.echo("\n".join(difference(reading.candidates[row.parent], reading.candidates[row.key])) + "\n")
    return ExitCode.SUCCESS


def difference(old: Candidate, new: Candidate) -> Iterator[str]:
    """Lines of a unified diff of the source, then the keys of the task file that changed."""
    names = (f"a/{old.key[:8]}", f"b/{new.key[:8]}")
    yield from difflib.unified_diff(old.source.splitlines(), new.source.splitlines(), *names, lineterm="")
    for key in sorted(old.overrides.keys() | new.overrides.keys()):
        before, after = old.overrides.get(key), new.overrides.get(key)
        if before != after:
            yield f"-{key} = {json.dumps(before)}" if before is not None else f"-{key} as in the task file"
            yield f"+{key} = {json.dumps(after)}" if after is not None else f"+{key} as in the task file"
