"""`twill profile`: the modelled time of a task's kernel on a machine, what limits it, and why another one is faster."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir.diagnostics import ExitCode, fail
from twill.cli.files import write_file
from twill.cli.options import pairs
from twill.cli.progress import progress_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.model.report.report import Report
    from ir.machine import Machine
    from ir.task import Sizes, Task

_SIZE_SETS = ("search", "verify", "report")
# Issues that the trace shows.
_TIMELINE = 20_000
_REFUSED = {
    ".cu": "a bare .cu file",
    ".ptx": "a bare .ptx file",
    ".ttir": "a bare .ttir file",
    ".ttgir": "a bare .ttgir file",
}


def _list_metrics(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from backends.model.report.metrics import metric_table

    click.echo(metric_table(), nl=False)
    ctx.exit()


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="TASK[:VARIANT] [OTHER[:VARIANT]]")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="A variant of TASK; two of them compare.")
@click.option("--target", "-t", default="h100", show_default=True, metavar="MACHINE", help="Name, sm_NN or .toml file.")
@click.option("--sizes", type=click.Choice(_SIZE_SETS), default="report", show_default=True, help="Set of sizes.")
@click.option("--size", "size", multiple=True, metavar="NAME=N", help="One size in place of the set's: M=4096.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), metavar="FILE", help="One page with everything.")
@click.option(
    "--trace",
    "trace_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Perfetto trace of an SM, first size.",
)
@click.option("--lines", "with_lines", is_flag=True, help="What each source line executes, moves and waits for.")
@click.option("--metrics", "with_metrics", is_flag=True, help="Every metric by Nsight Compute's name.")
@click.option(
    "--list-metrics", is_flag=True, is_eager=True, expose_value=False, callback=_list_metrics,
    help="Which metrics are modelled, as a table in Markdown.",
)  # fmt: skip
@click.option("--no-interval", is_flag=True, help="Without the spread of the machine's parameters; quicker.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of inputs and of samples.")
@click.option("--time-passes", is_flag=True, help="Seconds of each stage, on stderr.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(
    sources: tuple[str, ...], variants: tuple[str, ...], target: str, as_json: bool, quiet: bool, **flags: Any
) -> int:
    """Model how long the kernel of TASK takes on a GPU that is not here, and say what limits it.

    TASK is a folder with a task file, or the file; TASK:VARIANT names one of its variants. Every time is modelled, with
    the interval that the spread of the machine's parameters gives it, and the model's error on published measurements
    of such kernels. Two tasks, or two variants, are compared: which is faster, and why. In place of a task there may be
    an unmodified Triton script (.py), its arguments after `--`: each of its launches is modelled, none is executed.
    """
    from backends.model.profiling import ProfileOptions

    machine = _machine(target)
    options = ProfileOptions(
        with_interval=not flags["no_interval"],
        timeline=_TIMELINE if flags["trace_file"] else 0,
        seed=flags["seed"],
    )
    run = _Run(machine, options, flags["sizes"], pairs(_split(flags["size"]), "--size"))
    if Path(sources[0]).suffix == ".py":
        if variants or flags["size"]:
            raise fail("invalid-option", "--variant and --size are for tasks, and a script was given")
        return _script(Path(sources[0]), sources[1:], run, as_json, quiet, flags)
    tasks = _tasks(sources, variants)
    _check_outputs(flags, tasks)
    with progress_line(quiet) as progress:
        reports = [run.reports(task, progress) for task in tasks]
    if len(tasks) == 2:
        return _compared(reports[0], reports[1], as_json, flags)
    return _shown(reports[0], as_json, flags)


def _script(
    path: Path, arguments: tuple[str, ...], run: _Run, as_json: bool, quiet: bool, flags: Mapping[str, Any]
) -> int:
    from backends.model.report.report import report_of
    from backends.model.scripts import profile_script

    with progress_line(quiet) as progress:
        found = profile_script(path, arguments, run.machine, run.options, progress)
    code = _shown([report_of(replace(p.modelled, launches=p.launches)) for p in found.launches], as_json, flags)
    if found.error is None:
        return code
    click.echo(f"{found.error.render()}\nno kernel was executed, and launches after this are not seen", err=True)
    return ExitCode.NEGATIVE


def _split(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for item in items for part in item.split(","))


def _tasks(sources: tuple[str, ...], variants: tuple[str, ...]) -> list[Task]:
    """One task to profile, or two to compare. Raises UserError for anything else."""
    found = [_task(source) for source in sources]
    if variants and len(found) != 1:
        raise fail("invalid-option", "--variant is for one task; write TASK:VARIANT to compare two")
    if variants:
        found = [found[0].variant(name) for name in variants]
    if len(found) > 2:
        raise fail("invalid-option", f"two kernels can be compared, not {len(found)}")
    return found


def _task(source: str) -> Task:
    from ir.task import load_task

    path, colon, variant = source.partition(":")
    kind = _REFUSED.get(Path(path).suffix)
    if kind:
        remedy = "write a task file beside it: entry, arguments, launch, sizes; see kernels/ for examples"
        raise fail("unsupported-source", f"{kind} has no launch whose time could be modelled: {path}", remedy=remedy)
    task = load_task(Path(path))
    return task.variant(variant) if colon else task


def _machine(target: str) -> Machine:
    """A machine by its name or file, or the first one of an architecture, `sm_86`."""
    from backends.machines import load_machine, machine_names

    if not target.startswith("sm_"):
        return load_machine(target)
    machines = [load_machine(name) for name in machine_names()]
    found = next((m for m in machines if m.architecture == target.rstrip("af")), None)
    if found is None:
        known = ", ".join(sorted({m.architecture for m in machines}))
        raise fail("unknown-machine", f"no machine of architecture {target}", remedy=f"architectures: {known}")
    return found


@dataclass(frozen=True)
class _Run:
    """Profiles tasks with the same settings."""

    machine: Machine
    options: Any
    size_set: str
    given: Mapping[str, str]

    def reports(self, task: Task, progress: Callable[[str], None]) -> list[Report]:
        """A report for each size."""
        from backends.model.profiling import profile_task
        from backends.model.report.report import report_of

        found = []
        sizes = self.sizes(task)
        for number, chosen in enumerate(sizes, 1):
            name = f"{task.name}:{task.variant_name}" if task.variant_name else task.name
            progress(f"{number}/{len(sizes)} {name} {' '.join(f'{k}={v}' for k, v in chosen.items())}")
            found.append(report_of(profile_task(task, chosen, self.machine, self.options)))
        return found

    def sizes(self, task: Task) -> tuple[Sizes, ...]:
        """Those of the set, or its first with what was given in place of its own."""
        rows = task.sizes[self.size_set]
        if not rows:
            raise fail(
                "no-sizes", f"task {task.name} has no sizes `{self.size_set}`", remedy="--sizes or --size NAME=N"
            )
        if not self.given:
            return rows
        for name in self.given.keys() - rows[0].keys():
            remedy = f"its sizes are: {', '.join(rows[0])}"
            raise fail("unknown-size", f"task {task.name} has no size `{name}`", remedy=remedy)
        return ({**rows[0], **{name: _integer(name, text) for name, text in self.given.items()}},)


def _integer(name: str, text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise fail("invalid-option", f"--size {name} must be a whole number of at least 1, not {text!r}")
    return int(text)


def _check_outputs(flags: Mapping[str, Any], tasks: list[Task]) -> None:
    if len(tasks) == 2 and (flags["html_file"] or flags["trace_file"]):
        raise fail("invalid-option", "--html and --trace show one kernel, and two were given")


def _shown(reports: list[Report], as_json: bool, flags: Mapping[str, Any]) -> int:
    from backends.model.report.document import profile_document
    from ir.serialize import to_text
    from twill.report.profile.text import profile_text

    _print_times(reports, flags["time_passes"])
    _write_files(reports, flags["html_file"], flags["trace_file"])
    with_lines = flags["with_lines"]
    if as_json:
        click.echo(to_text(profile_document(reports, with_lines)), nl=False)
    else:
        texts = [profile_text(report, with_lines, flags["with_metrics"]) for report in reports]
        click.echo("\n".join(texts), nl=False)
    return ExitCode.SUCCESS


def _write_files(reports: list[Report], html_file: Path | None, trace_file: Path | None) -> None:
    if html_file is not None:
        from twill.report.profile.html import profile_html

        write_file(html_file, profile_html(reports))
    if trace_file is not None:
        from twill.report.profile.trace import profile_trace

        write_file(trace_file, profile_trace(reports[0].modelled))


def _compared(first: list[Report], second: list[Report], as_json: bool, flags: Mapping[str, Any]) -> int:
    from backends.model.report.compare import compare
    from backends.model.report.document import comparison_document
    from ir.serialize import to_text
    from twill.report.profile.versus import comparison_text

    _print_times([*first, *second], flags["time_passes"])
    found = [compare(one, two) for one, two in _paired(first, second)]
    if as_json:
        click.echo(to_text(comparison_document(found)), nl=False)
    else:
        click.echo("\n".join(map(comparison_text, found)), nl=False)
    return ExitCode.SUCCESS if any(c.is_distinguishable is not False for c in found) else ExitCode.NEGATIVE


def _paired(first: list[Report], second: list[Report]) -> list[tuple[Report, Report]]:
    """Launches of the same sizes. Raises UserError `sizes-differ` where there are none."""
    found = [(a, b) for a in first for b in second if dict(a.modelled.sizes) == dict(b.modelled.sizes)]
    if not found:
        remedy = "give both the same sizes with --size NAME=N"
        raise fail("sizes-differ", "the two kernels have no sizes in common", remedy=remedy)
    return found


def _print_times(reports: list[Report], is_wanted: bool) -> None:
    for report in reports if is_wanted else ():
        for stage, seconds in report.modelled.seconds.items():
            print(f"{stage:>12} {seconds:9.3f} s", file=sys.stderr)
