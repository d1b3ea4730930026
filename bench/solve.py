"""Time to a proven joint schedule of attention: the CP-SAT solver, the SMT solver in the same run, published times.

    python bench/solve.py [--repeats 3] [--time-limit 60] [--smt-limit 60] [--json]

The published times are those of Soi et al., arXiv 2512.18134, for their own graphs on one core of a server Xeon: they
are beside ours to give the scale, not as a comparison on equal terms.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ir.schedule import Schedule
from twill.pipeline import Options, PassTimes, find_solver, instances, make_problem, solve
from twill.solve.protocol import Limits

KERNELS = Path(__file__).parents[1] / "kernels"


@dataclass(frozen=True)
class Case:
    """One loop; `published_s` is what the paper reports for the like of it."""

    name: str
    source: str
    target: str
    published_s: str
    subtile: int = 2
    constants: Mapping[str, Any] | None = None


CASES = (
    Case("forward, Hopper", "attention_forward", "h100", "28"),
    Case("forward, Blackwell", "attention_forward", "b200", "18", constants={"BLOCK_M": 256}),
    Case("backward dK dV, Hopper", "attention_backward", "h100", "84"),
    Case("backward dQ, Hopper", "attention_backward/dq.toml", "h100", "84"),
    Case("backward dK dV, Blackwell", "attention_backward", "b200", "48, 242", subtile=1),
    Case("backward dQ, Blackwell", "attention_backward/dq.toml", "b200", "48, 242"),
)


@dataclass(frozen=True)
class Run:
    """Repeated solves of one case by one solver; seconds of each repeat."""

    schedule: Schedule
    seconds: tuple[float, ...]

    def document(self) -> dict[str, Any]:
        """What the JSON form has of it."""
        levels = {
            level.name: {"value": level.value, "lower_bound": level.lower_bound}
            for level in self.schedule.certificate.levels
        }
        return {
            "status": self.schedule.status,
            "ii_cycles": self.schedule.ii_cycles,
            "lower_bound_cycles": self.schedule.lower_bound_cycles,
            "length_cycles": self.schedule.length_cycles,
            "groups": len(self.schedule.groups),
            "levels": levels,
            "seconds": self.seconds,
            "timing": dict(self.schedule.timing),
        }


@click.command()
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Solves by CP-SAT.")
@click.option("--time-limit", "limit_s", type=float, default=60.0, show_default=True, help="Of each solve by CP-SAT.")
@click.option("--smt-limit", "smt_s", type=float, default=60.0, show_default=True, help="Of the one solve by SMT.")
@click.option("--case", "wanted", default="", help="Only cases whose name has this in it.")
@click.option("--json", "as_json", is_flag=True)
def main(repeats: int, limit_s: float, smt_s: float, wanted: str, as_json: bool) -> None:
    """Print the table of all cases."""
    rows = [_measure(case, repeats, limit_s, smt_s) for case in CASES if wanted in case.name]
    if as_json:
        documents = {case.name: {"cpsat": ours.document(), "smt": smt.document()} for case, ours, smt in rows}
        click.echo(json.dumps(documents, indent=1))
        return
    Console(width=170).print(_table(rows))


def _measure(case: Case, repeats: int, limit_s: float, smt_s: float) -> tuple[Case, Run, Run]:
    ours, smt = _solve(case, "cpsat", repeats, limit_s), _solve(case, "smt", 1, smt_s)
    return case, ours, smt


def _solve(case: Case, solver: str, repeats: int, limit_s: float) -> Run:
    options = Options(target=case.target, subtile=case.subtile, constants=case.constants or {})
    problem = make_problem(next(iter(instances(str(KERNELS / case.source), options, PassTimes()))), options)
    seconds = []
    for seed in range(repeats):
        started = time.perf_counter()
        schedule = solve(problem, find_solver(solver), Limits(time_s=limit_s, seed=seed))
        seconds.append(time.perf_counter() - started)
    return Run(schedule, tuple(seconds))


def _table(rows: list[tuple[Case, Run, Run]]) -> Table:
    table = Table(title="Joint schedules on raw modelled cycles; every one verified", title_justify="left")
    for name in ("loop", "ops", "II", "at least", "length", "groups", "status", "CP-SAT s", "SMT", "SMT s", "paper s"):
        table.add_column(name, justify="left" if name in ("loop", "status", "SMT") else "right")
    for case, ours, smt in rows:
        found = ours.schedule
        numbers = (found.ii_cycles, found.lower_bound_cycles, found.length_cycles, len(found.groups))
        smt_answer = f"{smt.schedule.status}, II {smt.schedule.ii_cycles}"
        cells = (*map(str, numbers), str(found.status), _spread(ours.seconds), smt_answer, _spread(smt.seconds))
        table.add_row(case.name, str(len(found.graph.ops)), *cells, case.published_s)
    return table


def _spread(seconds: tuple[float, ...]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle:.1f}" if len(seconds) == 1 else f"{middle:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
