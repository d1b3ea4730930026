"""Runs every shipped task and variant on every architecture, under every order of completion, with all checks.

    python bench/sweep.py [--only NAME] [--targets sm_80,sm_90] [--completions late] [--checks none] [--json FILE]

Sizes are those of `--size-set` (verify). Where two architectures get the same code, the second runs once without
checks, which is where its limits can differ. Exit status 1 if a run is anything but `passed`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from backends.compilers.artifact import Compiled
from backends.compilers.task import compile_task
from backends.run.devices import DeviceOptions, open_device
from backends.run.outcome import Outcome, Status
from backends.run.task import Case, TaskRun
from ir.diagnostics import UserError
from ir.task import Task, load_task, task_files

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
COMPLETIONS = ("early", "late", "random")
_TIME_LIMIT_S = 300.0
_KIB = 1024


@dataclass(frozen=True)
class Run:
    """One launch: what it was and what became of it; `told`: rules of findings and faults, or why it was refused.

    `same_code`: the architecture whose identical code was run with all checks instead.
    """

    task: str
    variant: str
    target: str
    sizes: dict[str, int]
    completion: str
    checks: str
    status: str
    told: tuple[str, ...] = ()
    same_code: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Right, with nothing found."""
        return self.status == Status.PASSED

    def __str__(self) -> str:
        size = " ".join(f"{name}={value}" for name, value in self.sizes.items())
        how = f"{self.completion}, checks {self.checks}"
        return f"{self.task} {self.variant or '-'} {self.target} {size} ({how}): {self.status} {', '.join(self.told)}"


@dataclass(frozen=True)
class Plan:
    """What to run; empty `targets` are those that each task names."""

    targets: tuple[str, ...]
    completions: tuple[str, ...]
    checks: str
    engine: str
    size_set: str


def runs_of(task: Task, plan: Plan) -> Iterator[Run]:
    """All runs of a task or variant."""
    seen: dict[tuple[str, tuple[int, ...]], str] = {}
    for target in plan.targets or task.targets:
        for sizes in task.sizes[plan.size_set]:
            case = Case(task, target, sizes)
            try:
                compiled = compile_task(task, sizes, target)
            except UserError as error:
                yield _row(case, "-", plan.checks, Status.FAILED_COMPILE, tuple(d.rule for d in error.diagnostics))
                continue
            twin = seen.setdefault((_code(compiled), tuple(sizes.values())), target)
            if twin == target:
                yield from (launched(case, compiled, c, plan.checks, plan.engine) for c in plan.completions)
            else:
                yield launched(case, compiled, "late", "none", "auto", twin)


def _code(compiled: Compiled) -> str:
    """The code without the lines that name the architecture and the version."""
    lines = (x for x in compiled.ptx.splitlines() if not x.startswith((".target", ".version", "//")))
    return "\n".join((*lines, str(compiled.dynamic_smem_bytes)))


def launched(
    case: Case, compiled: Compiled, completion: str, checks: str, engine: str, same_code: str = ""
) -> Run:  # fmt: skip
    """One launch on a fresh device."""
    options = DeviceOptions((checks,), completion, engine, time_limit_s=_TIME_LIMIT_S)
    started = time.perf_counter()
    outcome = TaskRun(case, open_device("emulator", options), options.seed).launched(compiled)
    seconds = round(time.perf_counter() - started, 3)
    return _row(case, completion, checks, outcome.status, _told(outcome), same_code, seconds)


def _row(
    case: Case, completion: str, checks: str, status: str, told: tuple[str, ...], same_code: str = "",
    seconds: float = 0.0,
) -> Run:  # fmt: skip
    return Run(
        case.task.name, case.task.variant_name, case.target, dict(case.sizes), completion, checks, str(status), told,
        same_code, seconds,
    )  # fmt: skip


def _told(outcome: Outcome) -> tuple[str, ...]:
    found = [f"{f.rule} ({f.site})" for f in (outcome.fault, *outcome.findings) if f is not None and f.is_error]
    found += [d.render() for d in outcome.diagnostics]
    return tuple(found + [f"{c.output}: error {c.error} of {c.tolerance}" for c in outcome.comparisons if not c.passed])


def table(runs: Sequence[Run]) -> str:
    """Rows: tasks and variants; columns: architectures, with the runs that passed of those made; =80: as sm_80."""
    cells: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        cells[f"{run.task} {run.variant}".strip(), run.target].append(run)
    names = list(dict.fromkeys(name for name, _ in cells))
    targets = sorted({target for _, target in cells}, key=lambda t: (len(t), t))
    lines = [f"{'':44}" + "".join(f"{target:>12}" for target in targets)]
    lines += [f"{name:44}" + "".join(f"{_cell(cells.get((name, t), [])):>12}" for t in targets) for name in names]
    return "\n".join(lines)


def _cell(runs: Sequence[Run]) -> str:
    if not runs:
        return "-"
    count = f"{sum(r.passed for r in runs)}/{len(runs)}"
    twins = {r.same_code for r in runs}
    return f"{count} ={next(iter(twins))[3:]}" if len(twins) == 1 and twins != {""} else count


def summary(runs: Sequence[Run]) -> str:
    """Totals, and every run that did not pass."""
    failed = [r for r in runs if not r.passed]
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / _KIB
    total = (
        f"{len(runs)} runs, {len(failed)} failed; {sum(r.seconds for r in runs):.0f} s; peak memory {peak_mib:.0f} MiB"
    )
    return "\n".join([total, *map(str, failed)])


def in_child(task: Task, plan: Plan) -> Iterator[Run]:
    """`runs_of` in a process of its own: one that dies, of a compiler's abort, leaves the others alone."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(task, plan, sender))
    child.start()
    sender.close()
    with contextlib.suppress(EOFError):
        while True:
            yield receiver.recv()
    child.join()
    if child.exitcode:
        targets = ",".join(plan.targets or task.targets)
        yield Run(task.name, task.variant_name, targets, {}, "-", plan.checks, f"exit code {child.exitcode}")


def _send(task: Task, plan: Plan, sender: Connection) -> None:
    for run in runs_of(task, plan):
        sender.send(run)


def main() -> int:
    """Run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="tasks whose file's path below kernels/ contains this")
    parser.add_argument("--targets", default="", help="separated by commas; those that the tasks name if left out")
    parser.add_argument("--completions", default=",".join(COMPLETIONS), help="separated by commas")
    parser.add_argument("--checks", default="all", help="`all`, `none` or one check")
    parser.add_argument("--engine", default="auto", choices=("auto", "numpy", "native"))
    parser.add_argument("--size-set", default="verify")
    parser.add_argument("--json", type=Path, help="write the runs here, one a line, as they come")
    options = parser.parse_args()
    targets = tuple(t for t in options.targets.split(",") if t)
    plan = Plan(targets, tuple(options.completions.split(",")), options.checks, options.engine, options.size_set)
    files = [f for f in task_files(KERNELS) if options.only in str(f.relative_to(KERNELS))]
    tasks = [task for path in files for task in load_task(path).all_variants()]
    torch.set_num_threads(1)
    runs = []
    with Path(options.json or os.devnull).open("w") as lines:
        for run in (run for task in tasks for run in in_child(task, plan)):
            runs.append(run)
            print(json.dumps(asdict(run)), file=lines, flush=True)
            if not run.passed:
                print(run, file=sys.stderr, flush=True)
    print(table(runs))
    print(summary(runs))
    return int(not runs or any(not r.passed for r in runs))


if __name__ == "__main__":
    sys.exit(main())
