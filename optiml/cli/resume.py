"""`optiml resume`: go on with a run that was stopped."""

from __future__ import annotations

from pathlib import Path

import click

from optiml.cli.optimize import resumable, show_result
from optiml.cli.progress import watching


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes  [default: one a core].")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="The run as one page; see optiml report.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(run: Path, workers: int | None, html: Path | None, as_json: bool, quiet: bool) -> int:
    """Go on with the run in the file RUN, with its own settings: it ends as if it had not been stopped."""
    from optiml.api import resume

    with watching(quiet, None) as watcher, resumable(run):
        result = resume(run, watcher, workers)
    return show_result(result, as_json, html)
