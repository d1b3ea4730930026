"""`twill run`: run a task or a Triton script on a device, and say whether its kernels are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ir.diagnostics import ExitCode, fail
from twill.cli.progress import progress_line

if TYPE_CHECKING:
    from backends.run.devices import DeviceOptions
    from ir.task import Task

_COMPLETIONS = ("early", "late", "random")
_SIZE_SETS = ("search", "verify", "report")
_ENGINES = ("auto", "numpy", "native")
_SCRIPT_TARGET = "sm_90"
_CONFIGS = ("first", "all")
_EMULATED = {
    "checks": "--check",
    "completion": "--completion",
    "engine": "--engine",
    "counters": "--counters",
    "budget": "--budget",
}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--device", default="emulator", show_default=True, help="Where kernels run.")
@click.option("--variant", metavar="NAME|all", help="A variant of the task  [default: the task as it is].")
@click.option(
    "--target", "-t", "targets", multiple=True, metavar="ARCH", help="sm_90, h100, ...  [default: those of the task]"
)
@click.option("--sizes", type=click.Choice(_SIZE_SETS), default="verify", show_default=True, help="Set of sizes.")
@click.option(
    "--check", "checks", default="all", show_default=True, metavar="LIST", help="all, none or race,memory,..."
)
@click.option("--completion", type=click.Choice(_COMPLETIONS), default="late", show_default=True, help="Of async work.")
@click.option("--engine", type=click.Choice(_ENGINES), default="auto", show_default=True, help="Of the emulator.")
@click.option("--counters", is_flag=True, help="Count sectors, bank conflicts and more, by Nsight Compute's names.")
@click.option("--configs", type=click.Choice(_CONFIGS), default="first", show_default=True, help="Of @autotune.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of inputs and of scheduling.")
@click.option("--budget", type=click.IntRange(min=1), metavar="N", help="Warp instructions of one launch.")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=0.0), default=600.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(
    source: Path, arguments: tuple[str, ...], variant: str | None, sizes: str, as_json: bool, quiet: bool, **flags: Any
) -> int:
    """Run the kernels of SOURCE and report results, findings and counters.

    SOURCE is a task (a folder or a .toml file): its kernel is compiled for each target, launched at each size, and
    compared with its reference in fp64. Or it is an unmodified Triton script (.py), run with ARGUMENTS after `--`:
    every launch on its tensors goes to the device.
    """
    device, configs = flags.pop("device"), flags.pop("configs")
    if device == "cuda":
        _refuse_emulated()
    targets, options = flags.pop("targets"), _options(**flags)
    if source.suffix == ".py":
        if variant is not None:
            raise fail("invalid-option", "--variant is for tasks, and a script was given")
        return _script(source, arguments, targets, device, options, configs, as_json, quiet)
    if arguments:
        raise fail("invalid-option", f"a task takes no arguments, got `{' '.join(arguments)}`")
    return _task(source, variant, targets, sizes, device, options, as_json, quiet)


def _refuse_emulated() -> None:
    """Flags of the emulated device say nothing about a GPU."""
    context = click.get_current_context()
    for name, flag in _EMULATED.items():
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            remedy = "leave it out, or use --device emulator"
            raise fail("unused-option", f"{flag} is for the emulated device, and --device is cuda", remedy=remedy)


def _options(checks: str, budget: int | None, **rest: Any) -> DeviceOptions:
    from backends.run.devices import DeviceOptions, chosen_checks

    names = tuple(name.strip() for name in checks.split(","))
    chosen_checks(names)
    options = DeviceOptions(names, **rest)
    return options if budget is None else replace(options, instruction_budget=budget)


def _task(
    source: Path,
    variant: str | None,
    targets: tuple[str, ...],
    sizes: str,
    device: str,
    options: DeviceOptions,
    as_json: bool,
    quiet: bool,
) -> int:
    from backends.run.devices import architecture_of_target, open_device, own_targets
    from ir.task import load_task

    task = load_task(source)
    tasks = _variants(task, variant)
    open_device(device, options)
    wanted = [architecture_of_target(t) for t in targets] or own_targets(device)
    from backends.run.outcome import exit_code
    from backends.run.task import cases, run_cases

    with progress_line(quiet) as progress:
        outcomes = run_cases(list(cases(tasks, sizes, wanted)), device, options, progress)
    head = {"task": task.name, "size_set": sizes, **_settings(device, options)}
    (_print_json if as_json else _print_table)(head, outcomes)
    return exit_code(o.status for o in outcomes)


def _variants(task: Task, name: str | None) -> tuple[Task, ...]:
    if name is None:
        return (task,)
    return task.all_variants() if name == "all" else (task.variant(name),)


def _settings(device: str, options: DeviceOptions) -> dict[str, Any]:
    from backends.run.devices import chosen_checks

    if device == "cuda":
        return {"device": device, "checks": [], "seed": options.seed, "counters": False}
    checks = list(chosen_checks(options.checks))
    return {
        "device": device,
        "engine": options.engine,
        "checks": checks,
        "completion": options.completion,
        "seed": options.seed,
        "counters": options.counters,
    }


def _print_json(head: dict[str, Any], outcomes: Any) -> None:
    from backends.run.document import task_document
    from ir.serialize import to_text

    click.echo(to_text(task_document(head, outcomes)), nl=False)


def _print_table(head: dict[str, Any], outcomes: Any) -> None:
    from backends.run.render import counter_lines, details, task_table

    _print(_title(head["task"], head), task_table(outcomes))
    for o in outcomes:
        sizes = " ".join(f"{k}={v}" for k, v in o.sizes.items())
        _print_details(
            f"{o.variant or head['task']} {o.target} {sizes}",
            [*details(o), *(counter_lines(o.counters) if head["counters"] else ())],
        )


def _print_details(what: str, lines: list[str]) -> None:
    if lines:
        click.echo("\n".join(["", what, *lines]))


def _title(name: str, head: dict[str, Any]) -> str:
    if head["device"] == "cuda":
        return f"{name} on the GPU, without checks but for stores around the buffers"
    checks = ", ".join(head["checks"]) or "bounds and deadlocks only"
    return f"{name} on {head['device']}, completion {head['completion']}, checks: {checks}"


def _print(title: str, table: Any) -> None:
    """A table at its own width where nobody looks at a terminal."""
    from rich.console import Console

    click.echo(title)
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)


def _script(
    source: Path,
    arguments: tuple[str, ...],
    targets: tuple[str, ...],
    device: str,
    options: DeviceOptions,
    configs: str,
    as_json: bool,
    quiet: bool,
) -> int:
    from backends.run.devices import architecture_of_target, open_device, own_targets
    from backends.run.outcome import exit_code
    from backends.run.script import run_script

    if len(targets) > 1:
        raise fail("invalid-option", f"a script runs on one target, got {', '.join(targets)}")
    machine = open_device(device, options)
    target = architecture_of_target([*targets, *own_targets(device), _SCRIPT_TARGET][0])
    with progress_line(quiet) as progress:
        run = run_script(
            source,
            arguments,
            machine,
            target,
            configs == "all",
            lambda r: progress(f"{r.kernel} {r.grid}: {r.status}"),
        )
    head = {"script": str(source), "target": target, "configs": configs, **_settings(device, options)}
    (_print_script_json if as_json else _print_script_table)(head, run)
    code = exit_code(r.status for r in run.launches)
    return ExitCode.NEGATIVE if run.error and code == ExitCode.SUCCESS else code


def _print_script_json(head: dict[str, Any], run: Any) -> None:
    from backends.run.document import script_document
    from ir.serialize import to_text

    click.echo(to_text(script_document(head, run)), nl=False)


def _print_script_table(head: dict[str, Any], run: Any) -> None:
    from backends.run.render import counter_lines, launch_details, launch_table

    _print(_title(head["script"], head), launch_table(run.launches))
    for launch in run.launches:
        _print_details(
            f"{launch.kernel} {launch.grid}",
            [*launch_details(launch), *(counter_lines(launch.counters) if head["counters"] else ())],
        )
    if run.error:
        click.echo(f"\n{run.error.render()}")
