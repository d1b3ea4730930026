"""`twill capture`: run a user's script and record each kernel launch."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("launches.json"), show_default=True)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(output: Path, script: Path, arguments: tuple[str, ...]) -> None:
    """Run SCRIPT with ARGUMENTS and write its kernel launches to a file; `twill schedule FILE#0` schedules the first.

    No kernel is executed and no GPU is needed: each launch is recorded with its types, constexprs and grid.
    """
    from twill.frontend.capture import capture, save_launches

    launches = capture(script, list(arguments))
    save_launches(launches, output)
    for number, launch in enumerate(launches):
        click.echo(f"{output}#{number}: {launch.summary}")
    if not launches:
        click.echo(f"{script} launched no Triton kernel", err=True)
