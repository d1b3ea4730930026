"""`optiml init`: write a task for a kernel."""

from __future__ import annotations

from pathlib import Path

import click

from ir.diagnostics import ExitCode, Location, fail


@click.command()
@click.argument("kernel", type=click.Path(path_type=Path))
@click.option("--entry", default="", metavar="NAME", help="Which kernel, where the file has several.")
def command(kernel: Path, entry: str) -> int:
    """Write task.toml and reference.py beside KERNEL, a .cu or a Triton .py file; neither may be there yet.

    Roles, shapes and the launch are read off the source; what it does not tell is named in the task file as TODO. The
    reference is yours to write.
    """
    from ir.task import load_task
    from optiml.scaffold import scaffold

    files = {kernel.parent / name: text for name, text in scaffold(kernel, entry).items()}
    for file in files:
        if file.exists():
            raise fail(
                "file-exists", "the file is there already", Location(str(file)), "move the kernel to a new folder"
            )
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    load_task(kernel.parent)
    click.echo("\n".join(map(str, files)))
    todo = [line.removeprefix("# ") for text in files.values() for line in text.splitlines() if line[:6] == "# TODO"]
    click.echo("\n".join([*todo, f"then: optiml check {kernel.parent}"]), err=True)
    return ExitCode.SUCCESS
