"""Which search finds more at the same budget: every strategy on the naive and untuned tasks, several seeds each.

    python -m bench.search [--tasks softmax,matvec] [--strategies mcts,random] [--seeds 5] [--budget 16] [--out FOLDER]

Each search is kept in FOLDER as a run (`optiml report` reads it), and every verdict is shared by all of them, so that
the comparison costs as many evaluations as there are different programs. It can be stopped at any moment and goes on
where it was; a folder holds what one version of the code found. Reported are speed-ups of the fastest program that
passed, modelled at the first report size, which is not examined again as a winner of `optiml optimize` is; their
geometric means by strategy with bootstrap intervals of 95 % over tasks and seeds; the ratio of one strategy to each
other one, paired by task and seed; and the best so far after so many evaluations.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.search_statistics import Cell, Duel, Estimate, complete, duel, estimate, speedups
from bench.search_verdicts import SharedVerdicts
from ir.task import load_task
from optiml.api import Settings, search
from optiml.evaluate.pool import Pool
from optiml.report.curve import best_so_far, points
from optiml.search.budget import Budget
from optiml.search.strategies import STRATEGIES
from optiml.store.reading import Reading, read_run

ROOT = Path(__file__).parents[1]
# Name -> task file in kernels/, and its variant; the ones that are quick to evaluate first.
TASKS = {
    "softmax": ("softmax_cuda/task", ""),
    "transpose": ("transpose/task", ""),
    "matvec": ("matvec/task", ""),
    "reduction": ("reduction/task", ""),
    "histogram": ("histogram/task", "global"),
    "layer-norm": ("layer_norm_cuda/naive", ""),
    "stencil": ("stencil/task", "naive"),
    "sgemm": ("sgemm/task", ""),
    "gemm": ("gemm/untuned", ""),
    "attention": ("attention_forward/untuned", ""),
}


@dataclass(frozen=True)
class Options:
    """What is compared."""

    tasks: tuple[str, ...]
    strategies: tuple[str, ...]
    seeds: int
    budget: int
    target: str
    workers: int | None
    folder: Path


@click.command()
@click.option("--tasks", default=",".join(TASKS), show_default=True)
@click.option("--strategies", default=",".join(STRATEGIES), show_default=True, help="The first is paired with others.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--budget", type=click.IntRange(min=1), default=16, show_default=True, help="Evaluations of a search.")
@click.option("--target", default="a100", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Processes  [default: one a core].")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/search"), show_default=True)
@click.option("--seconds", type=float, default=None, help="Begin no search after so many.")
@click.option("--json", "as_json", is_flag=True)
def main(
    tasks: str, strategies: str, out: Path, seconds: float | None, as_json: bool, **rest: int | str | None
) -> None:
    """Search, and print the tables."""
    code = version()
    options = Options(_chosen(tasks, TASKS), _chosen(strategies, STRATEGIES), folder=out / code, **rest)  # type: ignore[arg-type]
    started_s, cells = time.monotonic(), list[Cell]()
    for cell in searched(options):
        cells.append(cell)
        click.echo(
            f"{time.monotonic() - started_s:6.0f} s  {cell.task} {cell.strategy} {cell.seed}: {cell.speedup:.2f}x",
            err=True,
        )
        if seconds is not None and time.monotonic() - started_s > seconds:
            break
    if as_json:
        click.echo(json.dumps(document(cells, options, code), indent=1))
    else:
        for item in tables(cells, options, code):
            Console(width=160).print(item)


def _chosen(text: str, known: Sequence[str] | dict[str, tuple[str, str]]) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'}; known: {', '.join(known)}")
    return names


def version() -> str:
    """The commit, with `-dirty` where the tree differs from it: then a folder may hold what several states found."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def searched(options: Options) -> Iterator[Cell]:
    """Every search, task by task; those that were done before are read."""
    for name in options.tasks:
        path, _ = TASKS[name]
        language = load_task(ROOT / "kernels" / f"{path}.toml").language
        evaluator = SharedVerdicts(partial(Pool, options.workers, language), options.folder / "verdicts")
        try:
            for seed in range(options.seeds):
                for strategy in options.strategies:
                    yield cell_of(_run(name, strategy, seed, options, evaluator), name, strategy, seed)
        finally:
            evaluator.close()


def _run(name: str, strategy: str, seed: int, options: Options, evaluator: SharedVerdicts) -> Reading:
    task, variant = TASKS[name]
    path = options.folder / f"{name}.{options.target}.{options.budget}.{strategy}.{seed}.optiml"
    settings = Settings(
        task=str(ROOT / "kernels" / f"{task}.toml"), variant=variant, target=options.target, strategy=strategy,
        seed=seed, budget=Budget(options.budget),
    )  # fmt: skip
    search(settings, path, evaluator)
    return read_run(path)


def cell_of(reading: Reading, task: str, strategy: str, seed: int) -> Cell:
    """What a search came to."""
    return Cell(task, strategy, seed, best_so_far(points(reading)))


def tables(cells: Sequence[Cell], options: Options, code: str) -> Iterator[Table | str]:
    """By task; by strategy; over time."""
    whole = complete(cells, options.strategies)
    pairs = {(c.task, c.seed) for c in whole}
    yield (
        f"commit {code}, {options.target}, {options.budget} evaluations a search; {len(cells)} searches, of which "
        f"{len(whole)} at the {len(pairs)} tasks and seeds that all strategies have; every speed-up is modelled"
    )
    if not whole:
        return
    yield _by_task(whole, options)
    yield _by_strategy(whole, options)
    yield _over_time(whole, options)


def _by_task(cells: Sequence[Cell], options: Options) -> Table:
    table = Table(
        "task", "seeds", *options.strategies, title="speed-up of the best program: geometric mean (least to most)"
    )
    for task in dict.fromkeys(c.task for c in cells):
        values = [speedups(cells, s)[task] for s in options.strategies]
        told = (f"{estimate({task: v}).value:.2f} ({min(v):.2f} to {max(v):.2f})" for v in values)
        table.add_row(task, str(len(values[0])), *told)
    return table


def _by_strategy(cells: Sequence[Cell], options: Options) -> Table:
    first = options.strategies[0]
    title = f"geometric mean over tasks [95 %], and {first} over the others, paired by task and seed"
    table = Table("strategy", "speed-up", f"{first} over it", "wins", "ties", "losses", title=title)
    for strategy in options.strategies:
        found = duel(cells, first, strategy)
        against = (_told(found.ratio), *(str(n) for n in (found.wins, found.ties, found.losses)))
        own = _told(estimate(speedups(cells, strategy)))
        table.add_row(strategy, own, *(against if strategy != first else ("", "", "", "")))
    return table


def _over_time(cells: Sequence[Cell], options: Options) -> Table:
    title = "best so far at the first report size after so many evaluations: geometric mean over tasks [95 %]"
    table = Table("evaluations", *options.strategies, title=title)
    for count in moments(options.budget):
        found = (estimate(speedups(cells, s, count)) for s in options.strategies)
        table.add_row(str(count), *map(_told, found))
    return table


def moments(budget: int) -> list[int]:
    """Powers of two, and the budget.

    >>> moments(24)
    [1, 2, 4, 8, 16, 24]
    """
    powers = (2**n for n in range(budget.bit_length()))
    return [*(p for p in powers if p < budget), budget]


def _told(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def document(cells: Sequence[Cell], options: Options, code: str) -> dict[str, object]:
    """Everything, for programs; `mean`, `paired` and `curve` are of the tasks and seeds that all strategies have."""
    whole, first = complete(cells, options.strategies), options.strategies[0]
    known = options.strategies if whole else ()
    duels: dict[str, Duel] = {s: duel(whole, first, s) for s in known if s != first}
    return {
        "commit": code,
        "kind": "modelled",
        "target": options.target,
        "budget": options.budget,
        "cells": [{**asdict(c), "speedup": c.speedup} for c in cells],
        "mean": {s: asdict(estimate(speedups(whole, s))) for s in known},
        "paired": {f"{first} over {s}": asdict(d) for s, d in duels.items()},
        "curve": {
            s: {n: asdict(estimate(speedups(whole, s, n))) for n in moments(options.budget)} for s in known
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
