"""Judge everything on a real GPU: right results, agreement with the emulated device, measured beside modelled time.

    python -m bench.hardware --machine h100 [TASK ...] [--only softmax,gemm] [--sets search,report] [--json FILE]
    python -m bench.hardware --machine h100 --measured bench/hardware/h100.json    # no GPU: what was measured on one

Every shipped task and variant for the GPU's architecture runs at its verified sizes on the GPU and on the emulated
device: each is compared with the reference, and their outputs with each other, bit by bit. Then each is timed on the
GPU at the sizes of the sets, one at a time, and modelled with the GPU's clock as it was measured after that kernel.
Exit code 1 where a run on the GPU is anything but right. With --json everything is written down, and --measured reads
that again: modelled times are then those of the code that the compilers on this machine make.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np

from backends.compilers.isolated import CompilerCrashError, isolated
from backends.compilers.ptxas import CompileTimeoutError
from backends.compilers.task import compile_task
from backends.cuda.device import CudaDevice
from backends.cuda.driver import open_driver
from backends.device import Device
from backends.machines import load_machine
from backends.model.profiling import ProfileOptions, profile_task
from backends.run.devices import DeviceOptions, open_device
from backends.run.gpu import GpuProcess
from backends.run.inputs import as_bytes
from backends.run.outcome import Outcome, Status
from backends.run.task import Case, TaskRun
from bench.fidelity_score import Score, score
from ir.diagnostics import UserError
from ir.task import Sizes, Task, load_task, task_files

KERNELS = Path(__file__).parents[1] / "kernels"
_LONGEST_S = 300.0
_OPTIONS = DeviceOptions(("none",), time_limit_s=120.0)


@dataclass(frozen=True)
class Timed:
    """A case on the GPU. Times in us, None where it did not pass; empty_us: of a launch that does nothing.

    modelled_us is None where the model gives none, and failure says why.
    """

    case: str
    status: str
    measured_us: float | None = None
    spread: float = 0.0
    empty_us: float = 0.0
    clock_mhz: float = 0.0
    modelled_us: float | None = None
    limiter: str = ""
    kernel_class: str = ""
    failure: str = ""

    @property
    def error(self) -> float | None:
        """Of the modelled time, as a share of the measured one."""
        known = self.measured_us is not None and self.modelled_us is not None
        return cast(float, self.modelled_us) / cast(float, self.measured_us) - 1 if known else None


@dataclass(frozen=True)
class Agreement:
    """Outputs of both devices: statuses, how many elements are not the same, of how many, and why there is nothing."""

    case: str
    gpu: str
    emulator: str
    different: int = 0
    total: int = 0
    failure: str = ""


def label(case: Case) -> str:
    """Task, variant and sizes."""
    sizes = " ".join(f"{name}={value}" for name, value in case.sizes.items())
    return ":".join(filter(None, (case.task.name, case.task.variant_name))) + f" {sizes}"


def tasks_for(architecture: str, words: Sequence[str], places: Sequence[str] = ()) -> list[Task]:
    """Tasks (the shipped ones where none is named) and variants that name this architecture and one of the words."""
    every = (one for file in places or task_files(KERNELS) for one in load_task(file).all_variants())
    return [t for t in every if architecture in t.targets and any(w in f"{t.name}:{t.variant_name}" for w in words)]


def timed_cases(
    tasks: Sequence[Task], architecture: str, sets: Sequence[str], largest_bytes: float = math.inf
) -> Iterator[Case]:
    """Each size of the sets once, where the arguments take no more memory."""
    for task in tasks:
        rows = {tuple(sorted(sizes.items())): sizes for name in sets for sizes in task.sizes[name]}
        yield from (Case(task, architecture, row) for row in rows.values() if _bytes(task, row) <= largest_bytes)


def _bytes(task: Task, sizes: Sizes) -> int:
    values = task.values(sizes)
    tensors = [a for a in task.arguments if a.kind != "scalar"]
    return sum(math.prod(a.shape_at(values)) * a.element_bits // 8 for a in tensors)


def compiles(case: Case) -> bool:
    """Compile a case into the cache, so that nothing is compiled while the GPU waits."""
    try:
        compile_task(case.task, case.sizes, case.target)
    except UserError:
        return False
    return True


def time_cases(cases: Sequence[Case]) -> Iterator[Timed]:
    """One after the other on the GPU."""
    with GpuProcess() as process:
        for case in cases:
            found = _timed(case, process.run(case, _OPTIONS, compares=False))
            print(f"{found.case}: {found.status} {found.measured_us or 0:.1f} us", file=sys.stderr, flush=True)
            yield found


def _shown(timed: Timed) -> Timed:
    print(_row(timed), file=sys.stderr, flush=True)
    return timed


def _timed(case: Case, outcome: Outcome) -> Timed:
    measured = outcome.timing.measured
    told = [str(outcome.fault)] if outcome.fault else [d.render() for d in outcome.diagnostics]
    told += [f"{c.output}: error {c.error} of {c.tolerance}" for c in outcome.comparisons if not c.passed]
    if measured is None:
        return Timed(label(case), outcome.status, failure="; ".join(told))
    return Timed(
        label(case), outcome.status, measured.median_us, measured.spread, measured.empty_us, measured.clock_mhz
    )


def modelled(case: Case, timed: Timed, machine_name: str) -> Timed:
    """With the modelled time at the clock that was measured."""
    machine = load_machine(machine_name)
    if timed.measured_us is None:
        return timed
    machine = replace(machine, rates={**machine.rates, "clock_mhz": timed.clock_mhz})
    try:
        found = profile_task(case.task, case.sizes, machine, ProfileOptions(with_interval=False))
    except (UserError, MemoryError) as error:
        return replace(timed, failure=str(error).partition("\n")[0])
    return replace(
        timed, modelled_us=found.time_us.value, limiter=found.limits.limiter, kernel_class=found.kernel_class
    )


def agreement(case: Case) -> Agreement:
    """Outputs of one case on the GPU and on the emulated device, from the same compiled kernel and the same inputs.

    In a process of its own, since a kernel that faults ends a process' use of the GPU.
    """
    try:
        found: Agreement = isolated(partial(_agreement, case), _LONGEST_S)
    except CompileTimeoutError:
        return Agreement(label(case), "-", "-", failure=f"not done within {_LONGEST_S:g} s")
    except (CompilerCrashError, UserError) as error:
        return Agreement(label(case), "-", "-", failure=str(error).partition("\n")[0])
    return found


def _agreement(case: Case) -> Agreement:
    compiled = compile_task(case.task, case.sizes, case.target)
    devices = (cast(Device, CudaDevice(_OPTIONS.time_limit_s)), open_device("emulator", _OPTIONS))
    runs = [TaskRun(case, device, _OPTIONS.seed) for device in devices]
    gpu, emulator = (run.launched(compiled).status for run in runs)
    if Status.FAULT in (gpu, emulator):
        return Agreement(label(case), gpu, emulator)
    return Agreement(label(case), gpu, emulator, *_differences(*(run.outputs() for run in runs)))


def _told(found: Agreement) -> Agreement:
    print(_agreed(found), file=sys.stderr, flush=True)
    return found


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[int, int]:
    """Elements whose bits are not the same, of all."""
    pairs = [(as_bytes(ours[n]), as_bytes(theirs[n]), ours[n].itemsize) for n in ours]
    unequal = sum(int(np.any((a != b).reshape(-1, size), axis=1).sum()) for a, b, size in pairs)
    return unequal, sum(len(a) // size for a, _, size in pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the three parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", required=True, help="machine file of the GPU, by name or path")
    parser.add_argument("tasks", nargs="*", help="tasks in place of the shipped ones")
    parser.add_argument("--only", default="", help="tasks and variants whose names contain one of these")
    parser.add_argument("--sets", default="search,report", help="sets of sizes to time")
    parser.add_argument("--largest-mib", type=float, default=math.inf, help="of a case; larger ones are left out")
    parser.add_argument("--measure-only", action="store_true", help="without the model, while the GPU is there")
    parser.add_argument("--measured", type=Path, help="a file that --json has written, in place of a GPU")
    parser.add_argument("--processes", type=int, default=8, help="for the emulated device and the model")
    parser.add_argument("--json", type=Path, help="write everything as one JSON object")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)


def _run(options: argparse.Namespace) -> int:
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        gpu, timed, agreements = _read(options) if options.measured else _measured(options, pool)
        if not options.measure_only:
            cases = _cases(options, load_machine(options.machine).architecture)
            known = [t for t in timed if t.case in cases]
            if len(known) < len(timed):
                print(f"{len(timed) - len(known)} measured cases are none of those asked for", file=sys.stderr)
            every = pool.map(modelled, [cases[t.case] for t in known], known, [options.machine] * len(known))
            timed = [_shown(t) for t in every]
    _save(options.json, gpu, timed, agreements)
    print(report(gpu, timed, agreements))
    wrong = [t for t in timed if t.status != Status.PASSED] + [a for a in agreements if a.gpu != Status.PASSED]
    return 1 if wrong else 0


def _cases(options: argparse.Namespace, architecture: str) -> dict[str, Case]:
    tasks = tasks_for(architecture, options.only.split(","), options.tasks)
    largest_bytes = options.largest_mib * (1 << 20)
    return {label(c): c for c in timed_cases(tasks, architecture, options.sets.split(","), largest_bytes)}


def _measured(options: argparse.Namespace, pool: Executor) -> tuple[str, list[Timed], list[Agreement]]:
    """On this machine's GPU."""
    driver = open_driver()
    cases = list(_cases(options, driver.architecture).values())
    tasks = tasks_for(driver.architecture, options.only.split(","), options.tasks)
    agreements = [_told(a) for a in pool.map(agreement, timed_cases(tasks, driver.architecture, ["verify"]))]
    _save(options.json, driver.description, (), agreements)
    list(pool.map(compiles, cases))
    timed = list(time_cases(cases))
    _save(options.json, driver.description, timed, agreements)
    return driver.description, timed, agreements


def _read(options: argparse.Namespace) -> tuple[str, list[Timed], list[Agreement]]:
    """What another run has measured."""
    found = json.loads(options.measured.read_text(encoding="utf-8"))
    return found["gpu"], [Timed(**t) for t in found["timed"]], [Agreement(**a) for a in found["agreements"]]


def _save(path: Path | None, gpu: str, timed: Sequence[Timed], agreements: Sequence[Agreement]) -> None:
    if path is None:
        return
    rows = {"timed": [asdict(t) for t in timed], "agreements": [asdict(a) for a in agreements]}
    found = {"gpu": gpu, "made_with": {name: version(name) for name in _compilers()}, **rows}
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _compilers() -> Iterator[str]:
    """Packages whose code was measured, those that are installed."""
    for name in ("triton", "nvidia-cuda-nvrtc"):
        with contextlib.suppress(PackageNotFoundError):
            version(name)
            yield name


def report(gpu: str, timed: Sequence[Timed], agreements: Sequence[Agreement]) -> str:
    """Both tables, and the errors of all modelled times and of each class of kernels."""
    lines = [
        f"{gpu}: measured and modelled",
        f"{'case':<64}{'measured':>11}{'±':>5}{'modelled':>11}{'off':>7}  limiter",
    ]
    lines += [_row(t) for t in timed]
    known = [t for t in timed if t.error is not None]
    classes = sorted({t.kernel_class for t in known})
    lines += [_errors(name, [t for t in known if t.kernel_class == name]) for name in classes]
    lines += [_errors("all", known)] if known else []
    lines += ["", "outputs of the GPU and of the emulated device: elements whose bits differ"]
    return "\n".join([*lines, *(_agreed(a) for a in agreements)])


def _row(t: Timed) -> str:
    if t.measured_us is None or t.modelled_us is None:
        time = f"{t.measured_us:.1f} us" if t.measured_us else t.status
        return f"{t.case:<64}{time:>11}  {t.failure}"
    off = f"{t.error:+.0%}"
    return f"{t.case:<64}{t.measured_us:>11.1f}{t.spread / 2:>5.0%}{t.modelled_us:>11.1f}{off:>7}  {t.limiter}"


def _errors(name: str, known: Sequence[Timed]) -> str:
    found: Score = score([cast(float, t.modelled_us) for t in known], [cast(float, t.measured_us) for t in known])
    return (
        f"{name}: {found.count} cases, mean error {found.mean:.1%}, p90 {found.p90:.1%}, worst {found.worst:.1%}, "
        f"rank correlation {found.spearman or 1:.3f}"
    )


def _agreed(a: Agreement) -> str:
    if a.failure:
        return f"{a.case:<64} {a.failure}"
    return f"{a.case:<64} {a.gpu:>14} {a.emulator:>14} {a.different:>10} of {a.total}"


if __name__ == "__main__":
    sys.exit(main())
