"""`optiml report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from ir.diagnostics import ExitCode
from twill.cli.files import write_file


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The page  [default: RUN with .html].")
def command(run: Path, out: Path | None) -> int:
    """Write the run in the file RUN as one page, which loads nothing from elsewhere; the run may still be going on.

    It has the story in words, the best program so far over the evaluations, a diff with the profiler's evidence for
    each step on the way to the best, the whole search tree with the reason of each failure, launch and environment.
    """
    write_report(run, out or run.with_suffix(".html"))
    return ExitCode.SUCCESS


def write_report(run: Path, file: Path) -> None:
    """Write the page of a run, and say so on stderr. Raises UserError: missing-file, no-run, unwritable-file."""
    from optiml.report.page import run_html
    from optiml.store.reading import read_run

    write_file(file, run_html(read_run(run)))
