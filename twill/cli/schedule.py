"""`twill schedule`: the main job, from a kernel to a proven, explained schedule."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ir.diagnostics import ExitCode, fail
from ir.schedule import Schedule, Status
from twill.cli.files import write_file
from twill.cli.options import constant, kernel_options, pairs

EXIT_CODES = {
    Status.OPTIMAL: ExitCode.SUCCESS,
    Status.FEASIBLE: ExitCode.SUCCESS,
    Status.INFEASIBLE: ExitCode.NEGATIVE,
    Status.TIMEOUT: ExitCode.TIME_LIMIT,
}


class SubtileType(click.ParamType[Any]):
    """A positive number, or `auto`."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number or the word itself."""
        if value == "auto":
            return value
        return click.IntRange(min=1).convert(value, param, ctx)


@click.command()
@kernel_options
@click.option(
    "--loop", metavar="NAME", help="Loop by its name in `twill loops`  [default: the one with most products]."
)
@click.option("--subtile", type=SubtileType(), default=1, show_default=True, help="Split the rows into N copies.")
@click.option("--modulo/--joint", "modulo", default=None, help="One instruction stream only, or all constraints.")
@click.option("--max-groups", type=click.IntRange(min=1), help="At most so many warp groups.")
@click.option("--max-stages", type=click.IntRange(min=1), help="At most so many stages; 1 forbids pipelining.")
@click.option("--max-ii", type=click.IntRange(min=1), help="Give up above this II, in cycles.")
@click.option("--forbid-register-handoff", is_flag=True, help="No register tile crosses warp groups.")
@click.option("--pins", metavar="FILE|triton", help="Groups, stages and order that are fixed (TOML).")
@click.option("--solver", default="cpsat", show_default=True, help="cpsat, smt, ims (heuristic) or brute (tiny).")
@click.option("--normalize", type=click.IntRange(min=1), metavar="SUM", help="Solve over small costs of this sum.")
@click.option("--certify", is_flag=True, help="Re-prove every negative claim with another solver.")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=0.0), default=60.0, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Solver threads.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--emit", "-e", multiple=True, metavar="FORMAT[:FILE]", help="table, gantt, listing, dot, trace, html, json."
)
@click.option("--json", "as_json", is_flag=True, help="The schedule as one JSON object on stdout.")
@click.option("--dump-ir", type=click.Choice(["kernel", "graph"]), help="Print this stage instead of solving.")
@click.option("--time-passes", is_flag=True, help="Seconds of each stage, on stderr.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(source: str, emit: tuple[str, ...], as_json: bool, dump_ir: str | None, **flags: Any) -> int:
    """Schedule one loop of SOURCE and print what was found, why, and the proof.

    SOURCE is `file.py[:kernel]`, `package.module:kernel`, a .ttir, .ttgir, .mlir, .ptx or .cu file, a graph .json, a
    folder with a task file, or a launch `launches.json#0` recorded by `twill capture`.
    """
    from twill.cli.progress import progress_line
    from twill.pipeline import run
    from twill.solve.protocol import Limits

    time_passes, quiet = flags.pop("time_passes"), flags.pop("quiet")
    outputs = _outputs(emit, as_json)
    limits = Limits(time_s=flags.pop("time_limit_s"), workers=flags.pop("workers"), seed=flags.pop("seed"))
    options = _options(**flags)
    if dump_ir is not None:
        return _dump(source, options, dump_ir)
    with progress_line(quiet) as progress:
        outcome = run(source, options, replace(limits, progress=progress))
    _write(outcome, outputs)
    if time_passes:
        _print_times(outcome.schedule)
    return EXIT_CODES[outcome.schedule.status]


def _options(modulo: bool | None, arguments: tuple[str, ...], constants: tuple[str, ...], **rest: Any) -> Any:
    from twill.pipeline import Options

    return Options(
        arguments=pairs(arguments, "--arg"),
        constants={name: constant(text) for name, text in pairs(constants, "--const").items()},
        joint=None if modulo is None else not modulo,
        **rest,
    )


def _outputs(emit: tuple[str, ...], as_json: bool) -> list[tuple[str, Path | None]]:
    """(format, file or None for stdout) in order. Raises UserError for an unknown format or mixed output."""
    from twill.report.formats import FORMATS

    wanted = [item.partition(":") for item in emit]
    outputs = [(name, Path(file) if file else None) for name, _colon, file in wanted]
    for name, _file in outputs:
        if name not in (*FORMATS, "json"):
            raise fail("unknown-format", f"no format {name!r}", remedy=f"formats: {', '.join(FORMATS)}, json")
    if as_json:
        outputs.append(("json", None))
    if ("json", None) in outputs and sum(file is None for _name, file in outputs) > 1:
        raise fail(
            "invalid-option", "JSON on stdout must be alone there", remedy="give the others a file: html:out.html"
        )
    return outputs if any(file is None for _name, file in outputs) else [*outputs, ("table", None)]


def _dump(source: str, options: Any, stage: str) -> int:
    from ir.serialize import graph_document, to_text
    from twill.pipeline import PassTimes, instances

    instance = next(iter(instances(source, options, PassTimes())))
    if stage == "graph":
        click.echo(to_text(graph_document(instance.graph, instance.machine.name)), nl=False)
        return ExitCode.SUCCESS
    if instance.kernel is None:
        raise fail("no-kernel", "a bare graph has no kernel to print")
    from ir.text import print_kernel

    click.echo(print_kernel(instance.kernel))
    return ExitCode.SUCCESS


def _write(outcome: Any, outputs: list[tuple[str, Path | None]]) -> None:
    from twill.cli.render import render

    for name, file in outputs:
        text = render(outcome, name)
        if file is None:
            click.echo(text, nl=not text.endswith("\n"))
            continue
        write_file(file, text)


def _print_times(schedule: Schedule) -> None:
    for stage, seconds in schedule.timing.items():
        print(f"{stage.removesuffix('_s'):>12} {seconds:9.3f} s", file=sys.stderr)
