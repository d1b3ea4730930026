"""`optiml import`: a problem of another collection to a task."""

from __future__ import annotations

from pathlib import Path

import click

from ir.diagnostics import ExitCode, Location, fail


@click.command()
@click.argument("problem", metavar="kernelbench:FILE")
@click.option("--out", "-o", "folder", type=click.Path(path_type=Path), help="Folder  [default: the problem's name].")
@click.option("--kernel", type=click.Path(path_type=Path), metavar="FILE", help="Your own kernel, .cu or Triton.")
def command(problem: str, folder: Path | None, kernel: Path | None) -> int:
    """Make a task of PROBLEM, a KernelBench file with a PyTorch model.

    The model runs in a sandbox and is traced; the task's reference is what it computed, its parameters are inputs.
    Sizes follow from the file's constants. A first kernel is written where the operations are known; else hand in your
    own, whose tensors are taken by name, or in the order of the model's inputs, parameters and outputs.
    """
    from optiml.importing.importer import import_problem

    name, files = import_problem(problem, kernel)
    target = folder or Path(name)
    for file in files.texts:
        if (target / file).exists():
            raise fail("file-exists", "the file is there already", Location(str(target / file)), "choose another --out")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in files.texts.items():
        (target / file).write_text(text, encoding="utf-8")
        click.echo(target / file)
    for warning in files.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"kernel: {files.family}; next: optiml check {target}", err=True)
    return ExitCode.SUCCESS
