"""`twill loops`: the loop tree of a kernel."""

from __future__ import annotations

from typing import Any

import click

from ir.loop import Kernel, Loop
from ir.serialize import SCHEMA_VERSION, to_text
from twill.cli.options import constant, kernel_options, pairs

# Wide enough that a line in a pipe or file is never folded.
_PLAIN_WIDTH = 1000


@click.command()
@kernel_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--dump-ir", is_flag=True, help="Print the whole kernel in text form instead.")
def command(source: str, as_json: bool, dump_ir: bool, **flags: Any) -> None:
    """List the loops of SOURCE; `twill schedule --loop NAME` takes the names shown here."""
    kernel = _load(source, **flags)
    if dump_ir:
        from ir.text import print_kernel

        click.echo(print_kernel(kernel))
    elif as_json:
        document = {"schema_version": SCHEMA_VERSION, "kernel": kernel.name, "loops": [_row(x) for x in kernel.loops()]}
        click.echo(to_text(document), nl=False)
    else:
        _tree(kernel)


def _load(source: str, arguments: tuple[str, ...], constants: tuple[str, ...], **rest: Any) -> Kernel:
    from twill.pipeline import DEFAULT_TARGET, Options, find_machine, load_kernel

    options = Options(
        arguments=pairs(arguments, "--arg"),
        constants={name: constant(text) for name, text in pairs(constants, "--const").items()},
        **rest,
    )
    return load_kernel(source, find_machine(options.target or DEFAULT_TARGET), options)


def _row(loop: Loop) -> dict[str, Any]:
    return {
        "name": loop.name,
        "location": str(loop.location) if loop.location else None,
        "innermost": loop.is_innermost,
        "trip_count": loop.trip_count,
        "carried_values": len(loop.carried),
        "operations": sum(not isinstance(item, Loop) for item in loop.body),
        "refusal": loop.refusal,
    }


def _tree(kernel: Kernel) -> None:
    from rich.console import Console
    from rich.tree import Tree

    branches = {"": Tree(f"kernel [bold]{kernel.name}[/bold]")}
    for loop in kernel.loops():
        parent = branches[loop.name.rpartition(".")[0]]
        branches[loop.name] = parent.add(_label(loop))
    if len(branches) == 1:
        branches[""].add("no loops")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    console.print(branches[""])


def _label(loop: Loop) -> str:
    row = _row(loop)
    trips = f"{loop.trip_count} trips" if loop.trip_count is not None else "trips known at run time"
    refusal = f", cannot be scheduled: {loop.refusal}" if loop.refusal else ""
    where = f" at {row['location']}" if row["location"] else ""
    return f"loop {loop.name}{where}: {row['operations']} operations, {row['carried_values']} carried, {trips}{refusal}"
