"""`optiml export`: the best kernel as a task of its own, with its evidence."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ir.diagnostics import ExitCode


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--program", default="best", show_default=True, metavar="STEP|KEY", help="Which one; see optiml show.")
def command(run: Path, folder: Path, program: str) -> int:
    """Write a program of the run in the file RUN into FOLDER, which must not be there yet.

    FOLDER then has the kernel, a task file with its launch, the reference, and evidence.json; `twill run FOLDER` checks
    it again.
    """
    from optiml.cli.best import document
    from optiml.store.export import export_task
    from optiml.store.reading import read_run

    reading = read_run(run)
    if program == "best" and reading.best is None:
        click.echo("nothing faster than the baseline was found", err=True)
        return ExitCode.NEGATIVE
    key = reading.key_of(program)
    files = export_task(reading, key, folder)
    verdict = reading.verdicts[key]
    evidence = document(reading, key) if verdict.is_ok else {"key": key, "status": str(verdict.status)}
    (folder / "evidence.json").write_text(json.dumps(evidence, indent=2, sort_keys=True) + "\n")
    click.echo("\n".join(str(f) for f in (*files, folder / "evidence.json")))
    return ExitCode.SUCCESS
