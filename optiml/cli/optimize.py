"""`optiml optimize`: search for a faster kernel that passes the task's checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir.diagnostics import ExitCode
from optiml.cli.models import model_flags, taken_options
from optiml.cli.progress import watching

if TYPE_CHECKING:
    from optiml.api import Result, Settings


# Those of backends.run.devices, which is not imported for `--help`.
DEVICES = ("emulator", "cuda")


@click.command()
@click.argument("task", metavar="TASK[:VARIANT]")
@click.option("--proposer", "-p", default="rules", show_default=True, help="Who proposes edits, see below.")
@click.option("--strategy", "-s", default="mcts", show_default=True, help="How the search goes on.")
@click.option("--target", "-t", default="a100", show_default=True, metavar="MACHINE", help="Name or .toml file.")
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="emulator",
    show_default=True,
    help="Modelled times, or the GPU's.",
)
@click.option("--budget", "-b", type=click.IntRange(min=1), default=60, show_default=True, help="Evaluations.")
@click.option("--time-limit", "seconds", type=click.FloatRange(min=0.0), metavar="S", help="Seconds of search.")
@click.option("--cost-limit", "cost", type=click.FloatRange(min=0.0), metavar="X", help="Money for models.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the search and of inputs.")
@click.option(
    "--width", type=click.IntRange(min=1), default=4, show_default=True, help="Evaluations under way at once."
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes  [default: one a core].")
@click.option("--all-sizes", is_flag=True, help="Time every report size in the search, not the first alone.")
@click.option(
    "--candidate-limit", "wall_s", type=click.FloatRange(min=1.0), default=300.0, show_default=True, metavar="S"
)
@click.option(
    "--run", "path", type=click.Path(path_type=Path), metavar="FILE", help="Evidence  [default: NAME.optiml]."
)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="The run as one page; see optiml report.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Use what earlier runs learnt, add to it.")
@model_flags
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(
    task: str, path: Path | None, workers: int | None, html: Path | None, as_json: bool, quiet: bool, **flags: Any
) -> int:
    """Search for a kernel that is faster than TASK's own and passes all of its checks.

    TASK is a folder with a task file, or the file. Every candidate is compiled, verified on the emulated device, and
    timed by the model of the target; every time is called modelled. The winner is verified again with fresh inputs.
    With --device cuda what passed is launched on this machine's GPU too, compared again, and timed there: measured.
    All evidence goes to one file, from which a run that was stopped goes on: `optiml resume FILE`.

    Proposers: rules, twill, llm:openai:MODEL, llm:anthropic:MODEL, cmd:COMMAND (prompt on stdin, answer on stdout),
    dir:FOLDER (prompts and answers as files), replay:RUN.optiml, or several joined by +. Keys of models come from the
    environment (OPENAI_API_KEY, ANTHROPIC_API_KEY) and are kept nowhere.
    """
    from optiml.api import optimize

    settings = _settings(task, **flags)
    file = path or _free(Path(settings.task).absolute())
    with watching(quiet, settings.budget.evaluations) as watcher, resumable(file):
        result = optimize(settings, file, watcher, workers)
    return show_result(result, as_json, html)


def _settings(
    task: str, wall_s: float, budget: int, seconds: float | None, cost: float | None, **rest: Any
) -> Settings:
    from optiml.api import Settings
    from optiml.evaluate.job import Limits
    from optiml.search.budget import Budget

    path, _, variant = task.partition(":")
    file = Path(path) / "task.toml" if Path(path).is_dir() else Path(path)
    models, spend, limits = taken_options(rest), Budget(budget, seconds, cost), Limits(wall_s=wall_s)
    return Settings(task=str(file), variant=variant, budget=spend, limits=limits, models=models, **rest)


def _free(task: Path) -> Path:
    """`NAME.optiml` in the working folder, with a number if there is one already."""
    name = task.parent.name if task.name == "task.toml" else task.stem
    candidates = (Path(f"{name}{'' if n == 1 else f'-{n}'}.optiml") for n in range(1, 10_000))
    return next(c for c in candidates if not c.exists())


class resumable:  # noqa: N801 - a context manager
    """Says how to go on when the run is interrupted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            click.echo(f"\nall that was found is kept; go on with: optiml resume {self._path}", err=True)


def show_result(result: Result, as_json: bool, html: Path | None) -> int:
    """Print it, and write its page if one is wanted; the exit code says whether something faster was found."""
    from optiml.cli.render import result_document, result_text
    from optiml.cli.report import write_report

    if html is not None:
        write_report(result.path, html)
    text = json.dumps(result_document(result), indent=2, sort_keys=True) + "\n" if as_json else result_text(result)
    click.echo(text, nl=False)
    return ExitCode.SUCCESS if result.final.winner else ExitCode.NEGATIVE
