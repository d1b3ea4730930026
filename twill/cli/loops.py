"""`twill loops`: the loop tree of a kernel."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ir.loop import Kernel
from ir.serialize import SCHEMA_VERSION, to_text
from twill.cli.options import constant, kernel_options, pairs
from twill.frontend.loops import LoopRow, loop_tree

# Wide enough that a line in a pipe or file is never folded.
_PLAIN_WIDTH = 1000


@click.command()
@kernel_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--dump-ir", is_flag=True, help="Print the whole kernel in text form instead.")
def command(source: str, as_json: bool, dump_ir: bool, **flags: Any) -> None:
    """List the loops of SOURCE; `twill schedule --loop NAME` takes the names shown here."""
    kernel = _load(source, **flags)
    rows = loop_tree(kernel)
    if dump_ir:
        from ir.text import print_kernel

        click.echo(print_kernel(kernel))
    elif as_json:
        document = {"schema_version": SCHEMA_VERSION, "kernel": kernel.name, "loops": [_document(r) for r in rows]}
        click.echo(to_text(document), nl=False)
    else:
        _print_tree(kernel.name, rows)


def _load(source: str, arguments: tuple[str, ...], constants: tuple[str, ...], **rest: Any) -> Kernel:
    from twill.pipeline import DEFAULT_TARGET, Options, find_machine, load_kernel

    options = Options(
        arguments=pairs(arguments, "--arg"),
        constants={name: constant(text) for name, text in pairs(constants, "--const").items()},
        **rest,
    )
    return load_kernel(source, find_machine(options.target or DEFAULT_TARGET), options)


def _document(row: LoopRow) -> dict[str, Any]:
    return {**asdict(row), "location": str(row.location) if row.location else None}


def _print_tree(kernel: str, rows: tuple[LoopRow, ...]) -> None:
    from rich.console import Console
    from rich.tree import Tree

    branches = {"": Tree(f"kernel [bold]{kernel}[/bold]")}
    for row in rows:
        branches[row.name] = branches[row.name.rpartition(".")[0]].add(_label(row))
    if not rows:
        branches[""].add("no loops")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    console.print(branches[""])


def _label(row: LoopRow) -> str:
    trips = f"{row.trip_count} trips" if row.trip_count is not None else "trips known at run time"
    refusal = f", cannot be scheduled: {row.refusal}" if row.refusal else ""
    where = f" at {row.location}" if row.location else ""
    return f"loop {row.name}{where}: {row.operations} operations, {row.carried_values} carried, {trips}{refusal}"
