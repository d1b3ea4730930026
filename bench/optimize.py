"""What `optiml optimize` makes of the naive and untuned tasks, beside the best kernel that a person wrote for each.

    python -m bench.optimize [--tasks sgemm,matvec] [--budget 60] [--seed 0] [--runs FOLDER] [--twice] [--json]

Each search is kept in FOLDER and goes on, or is read again, when the script is started again. Times are modelled, of
the geometric mean over the task's report sizes. Exit status 1 where a search has no verified winner that is faster
than its baseline by the task's goal, or, with --twice, where a second search with the same seed has another winner.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from backends.machines import load_machine
from backends.model.profiling import ProfileOptions, profile_task
from ir.machine import Machine
from ir.task import Task, load_task
from optiml.api import Result, Settings, optimize, resume
from optiml.search.budget import Budget
from optiml.store.reading import read_run
from twill.cli.entry import run

KERNELS = Path(__file__).parents[1] / "kernels"


@dataclass(frozen=True)
class Subject:
    """A task to start from, the least speed-up that is asked for, and the kernels that people wrote for it."""

    name: str
    task: str
    goal: float
    written: tuple[str, ...] = ()


SUBJECTS = (
    Subject("matvec", "matvec", 1.0),
    Subject("histogram", "histogram:global", 1.0, ("histogram", "histogram:copies", "histogram:match")),
    Subject(
        "transpose", "transpose", 2.0,
        ("transpose:shared", "transpose:padded", "transpose:swizzled", "transpose:float4"),
    ),
    Subject(
        "reduction", "reduction", 2.0,
        ("reduction:add_on_load", "reduction:last_warp", "reduction:unrolled", "reduction:many", "reduction:shuffle"),
    ),
    Subject("softmax, three passes", "softmax_cuda/naive", 2.0, ("softmax_cuda", "softmax_cuda:warp")),
    # What it reads and writes once takes two thirds of its time already.
    Subject("softmax, two passes", "softmax_cuda", 1.0, ("softmax_cuda:warp", "softmax_cuda:fast_math")),
    Subject("layer norm", "layer_norm_cuda/naive", 2.0, ("layer_norm_cuda",)),
    Subject("stencil", "stencil:naive", 1.0, ("stencil",)),
    Subject("attention", "attention_forward/untuned", 1.0, ("attention_forward",)),
    Subject("gemm", "gemm/untuned", 1.0, ("gemm",)),
    Subject("sgemm", "sgemm", 10.0, ("sgemm:square", "sgemm:vectorised", "sgemm:tuned", "sgemm:warp_tiled")),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A step on the way to the winner, at the first report size."""

    tag: str
    time_us: float
    limiter: str


@dataclass(frozen=True)
class Row:
    """What came of one search; winner_us and key are None where nothing faster was found."""

    name: str
    goal: float
    baseline_us: float
    baseline_limiter: str
    winner_us: float | None
    key: str | None
    way: tuple[Step, ...]
    written: str
    written_us: float | None
    evaluations: int
    passed: int
    seconds: float
    is_same: bool | None = None

    @property
    def speedup(self) -> float:
        """Over the baseline."""
        return self.baseline_us / self.winner_us if self.winner_us else 1.0

    @property
    def is_reached(self) -> bool:
        """Whether the goal was."""
        return self.speedup >= self.goal and self.speedup > 1.0 and self.is_same is not False


@click.command()
@click.option("--tasks", default="", help="Names, or parts of names, with commas.  [default: all]")
@click.option("--budget", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--time-limit", "seconds", type=click.FloatRange(min=0.0), metavar="S", help="Of each search.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--target", default="a100", show_default=True)
@click.option("--strategy", default="mcts", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Processes  [default: one a core].")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder.")
@click.option("--twice", is_flag=True, help="Search again with the same seed and compare the winners.")
@click.option("--json", "as_json", is_flag=True)
def main(tasks: str, target: str, workers: int | None, runs: Path, twice: bool, as_json: bool, **chosen: Any) -> None:
    """Search and print the table."""
    subjects = [s for s in SUBJECTS if any(part in s.name for part in tasks.split(","))]
    if not subjects:
        raise click.BadParameter(f"no task is called like {tasks}; known: {', '.join(s.name for s in SUBJECTS)}")
    machine, rows = load_machine(target), []
    for subject in subjects:
        row = _row(subject, machine, _searched(subject, runs, workers, target, chosen))
        if twice:
            other = _searched(subject, runs / "again", workers, target, chosen)
            row = replace(row, is_same=_key(other) == row.key)
        rows.append(row)
        click.echo(f"{row.name}: {row.speedup:.2f}x in {row.seconds:.0f} s", err=True)
    _show(rows, as_json)
    sys.exit(0 if all(r.is_reached for r in rows) else 1)


def _searched(
    subject: Subject, runs: Path, workers: int | None, target: str, chosen: dict[str, Any]
) -> tuple[Result, float]:
    """The search's result, and how long all of it took, here or before."""
    runs.mkdir(parents=True, exist_ok=True)
    budget, seed, strategy = (chosen[name] for name in ("budget", "seed", "strategy"))
    path = runs / f"{subject.task.replace('/', '-').replace(':', '-')}.{target}.{strategy}.{budget}.{seed}.optiml"
    task, _, variant = subject.task.partition(":")
    started_s = time.monotonic()
    if path.exists():
        result = resume(path, workers=workers)
    else:
        settings = Settings(
            task=str(_file(task)), variant=variant, target=target, strategy=strategy, seed=seed,
            budget=Budget(budget, chosen["seconds"]),
        )  # fmt: skip
        result = optimize(settings, path, workers=workers)
    steps = read_run(path).steps
    return result, max(time.monotonic() - started_s, steps[-1].elapsed_s if steps else 0.0)


def _file(task: str) -> Path:
    folder, _, file = task.partition("/")
    return KERNELS / folder / f"{file or 'task'}.toml"


def _key(searched: tuple[Result, float]) -> str | None:
    winner = searched[0].final.winner
    return winner.scored.key if winner else None


def _row(subject: Subject, machine: Machine, searched: tuple[Result, float]) -> Row:
    result, seconds = searched
    final, reading = result.final, read_run(result.path)
    baseline, winner = final.baseline.confirmed.metrics, final.winner
    assert baseline is not None, "a baseline passed, or there is no result"
    way = [(step.tag, reading.verdicts[step.key].metrics) for step in reading.way(winner.scored.key if winner else "")]
    written, written_us = _best_written(subject, machine)
    new = [t for t in result.searched.told if t.is_new]
    return Row(
        name=subject.name,
        goal=subject.goal,
        baseline_us=baseline.time_us,
        baseline_limiter=baseline.limiter,
        winner_us=winner.time_us if winner else None,
        key=winner.scored.key if winner else None,
        way=tuple(Step(tag, m.time_us, m.limiter) for tag, m in way if m is not None),
        written=written,
        written_us=written_us,
        evaluations=len(new),
        passed=sum(t.result.verdict.is_ok for t in new),
        seconds=seconds,
    )


def _best_written(subject: Subject, machine: Machine) -> tuple[str, float | None]:
    """The fastest of the kernels that people wrote, and its time; no time where there is none."""
    times = {name: _time_us(_task(name), machine) for name in subject.written}
    best = min(times, key=lambda name: times[name], default="")
    return best, times.get(best)


def _task(name: str) -> Task:
    file, _, variant = name.partition(":")
    task = load_task(_file(file))
    return task.variant(variant) if variant else task


def _time_us(task: Task, machine: Machine) -> float:
    """The geometric mean over the report sizes."""
    options = ProfileOptions(with_interval=False)
    times = [profile_task(task, sizes, machine, options).time_us.value for sizes in task.sizes["report"]]
    return geometric_mean(times)


def _show(rows: Iterable[Row], as_json: bool) -> None:
    if as_json:
        documents = [{**asdict(row), "speedup": row.speedup, "is_reached": row.is_reached} for row in rows]
        click.echo(json.dumps(documents, indent=1))
        return
    Console(width=170).print(_table(rows))


def _table(rows: Iterable[Row]) -> Table:
    table = Table(title="optiml optimize, rules alone; every time is modelled", title_justify="left")
    columns = ("task", "baseline us", "winner us", "speed-up", "goal", "by hand us", "by hand / winner", "s", "the way")
    for name in columns:
        table.add_column(name, justify="left" if name in ("task", "the way") else "right")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    told = {None: "", True: ", twice the same", False: ", ANOTHER WINNER"}[row.is_same]
    way = [f"({row.baseline_limiter})", *(f"{s.tag} {s.time_us:.4g} us ({s.limiter})" for s in row.way)]
    ratio = f"{row.written_us / row.winner_us:.2f}" if row.written_us and row.winner_us else ""
    hand = f"{row.written_us:.4g} {row.written.partition(':')[2] or 'task'}" if row.written_us else "none"
    winner = f"{row.winner_us:.4g}" if row.winner_us else "none"
    speedup = f"{row.speedup:.2f}x{told}"
    times = (f"{row.baseline_us:.4g}", winner, speedup, f"{row.goal:.3g}x", hand, ratio, f"{row.seconds:.0f}")
    return (row.name, *times, "\n".join(way))


if __name__ == "__main__":
    run(main, "python -m bench.optimize", None)
