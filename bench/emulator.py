"""Measure the emulated device against Triton's own interpreter, on the same kernels, sizes and inputs, in the same run.

    python bench/emulator.py [--target sm_90] [--repeats 3] [--only gemm] [--json]

Each kernel runs on the emulated device without checkers (its real PTX, compiled and loaded before the clock starts),
then under `TRITON_INTERPRET=1` in a process of its own; the ratio is interpreter / device, of medians. `cold` is the
device's first launch, with the native engine's compilation in it. Then SGEMM in lane-instructions per second, in a full
batch and in a single CTA.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from backends.compilers.task import compile_task
from backends.compilers.triton import load_task_kernel
from backends.device import Device
from backends.run.devices import DeviceOptions, open_device
from backends.run.inputs import DTYPES, as_bytes, draw_inputs
from backends.run.launch import run_compiled
from ir.task import Sizes, Task, load_task

WARP_LANES = 32
KERNELS = Path(__file__).parents[1] / "kernels"
# Sizes at which either takes more than 0.2 s.
COMPARED: Mapping[str, Sizes] = {
    "attention_forward": {"BATCH": 1, "HEADS": 8, "SEQ_Q": 1024, "SEQ_K": 1024},
    "gemm": {"M": 2048, "N": 1024, "K": 1024},
    "softmax": {"ROWS": 8192, "COLS": 4096},
    "layer_norm": {"ROWS": 8192, "COLS": 4096},
}
SGEMM = {"M": 1024, "N": 1024, "K": 512}
SGEMM_VARIANTS = ("", "vectorised", "warp_tiled")


@dataclass(frozen=True)
class Row:
    """Times in seconds: medians, and the spread (largest / smallest) of the repeats."""

    kernel: str
    sizes: Sizes
    device_s: float
    device_spread: float
    cold_s: float
    interpreter_s: float
    interpreter_spread: float
    lane_instructions: float

    @property
    def ratio(self) -> float:
        """How many times faster the device is."""
        return self.interpreter_s / self.device_s


@dataclass(frozen=True)
class Rate:
    """SGEMM: lane-instructions per second in a full batch, and in a grid of one CTA."""

    variant: str
    per_s: float
    single_cta_per_s: float


def device_times(name: str, variant: str, sizes: Sizes, target: str, repeats: int) -> tuple[list[float], float]:
    """Seconds of each launch, the first one cold; and lane instructions of one."""
    task = load_task(KERNELS / name)
    task = task.variant(variant) if variant else task
    device = open_device("emulator", DeviceOptions(checks=("none",)))
    compiled = compile_task(task, sizes, target, cubin=False)
    kernel = device.load(compiled.ptx, compiled.entry)
    arguments = placed_arguments(device, task, sizes)
    times, instructions = [], 0.0
    for _ in range(repeats + 1):
        result = run_compiled(device, kernel, compiled, arguments, task.grid(sizes))
        if result.fault is not None:
            raise RuntimeError(f"{name}: {result.fault}")
        times.append(result.time_s)
        instructions = result.counters["smsp__inst_executed.sum"] * WARP_LANES
    return times, instructions


def placed_arguments(device: Device, task: Task, sizes: Sizes) -> dict[str, Any]:
    """Parameter -> number, or the address of a buffer with its input."""
    values, inputs = task.values(sizes), draw_inputs(task, sizes, 0)
    found: dict[str, Any] = {a.parameter: a.value_at(values) for a in task.arguments if a.kind == "scalar"}
    for argument in (a for a in task.arguments if a.kind == "tensor"):
        shape = argument.shape_at(values)
        buffer = device.allocate(math.prod(shape) * argument.element_bits // 8, argument.name)
        if argument.name in inputs:
            device.write(buffer, as_bytes(inputs[argument.name]))
        found[argument.parameter] = buffer.address
    return found


def interpreter_times(name: str, sizes: Sizes, repeats: int) -> list[float]:
    """Seconds of each launch under Triton's interpreter, in a process of its own."""
    command = [sys.executable, __file__, "--interpreter", name, json.dumps(sizes), str(repeats)]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    times: list[float] = json.loads(done.stdout)
    return times


def run_interpreter(name: str, sizes: Sizes, repeats: int) -> list[float]:
    """What the process of `interpreter_times` does."""
    task = load_task(KERNELS / name)
    kernel = load_task_kernel(task)
    values, inputs = task.values(sizes), draw_inputs(task, sizes, 0)
    outputs = {a.name: torch.empty(a.shape_at(values), dtype=DTYPES[a.dtype]) for a in task.outputs}
    tensors = {**outputs, **inputs}
    arguments = {a.parameter: a.value_at(values) if a.kind == "scalar" else tensors[a.name] for a in task.arguments}
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        kernel[task.grid(sizes)](**arguments, **task.constants)
        times.append(time.perf_counter() - started)
    return times


def compare(name: str, sizes: Sizes, target: str, repeats: int) -> Row:
    """Both, by turns."""
    times, instructions = device_times(name, "", sizes, target, repeats)
    interpreted = interpreter_times(name, sizes, repeats)
    cold, warm = times[0], times[1:]
    return Row(
        name, sizes, statistics.median(warm), max(warm) / min(warm), cold, statistics.median(interpreted),
        max(interpreted) / min(interpreted), instructions,
    )  # fmt: skip


def rate(variant: str, repeats: int) -> Rate:
    """Lane-instructions per second of one SGEMM kernel."""
    full, many = device_times("sgemm", variant, SGEMM, "sm_80", repeats)
    task = load_task(KERNELS / "sgemm")
    constants = (task.variant(variant) if variant else task).constants
    one = {"M": int(constants["BM"]), "N": int(constants["BN"]), "K": 4096}
    single, few = device_times("sgemm", variant, one, "sm_80", repeats)
    return Rate(variant or "naive", many / min(full[1:]), few / min(single[1:]))


def report(rows: Sequence[Row], rates: Sequence[Rate]) -> str:
    """The tables as text."""
    lines = [f"{'kernel':<20}{'device s':>10}{'spread':>8}{'cold s':>9}{'interpreter s':>15}{'spread':>8}{'ratio':>8}"]
    lines += [
        f"{r.kernel:<20}{r.device_s:>10.3f}{r.device_spread:>8.2f}{r.cold_s:>9.3f}{r.interpreter_s:>15.3f}"
        f"{r.interpreter_spread:>8.2f}{r.ratio:>8.1f}"
        for r in rows
    ]
    if rows:
        mean = math.exp(statistics.fmean(math.log(r.ratio) for r in rows))
        lines.append(f"geometric mean of the ratios: {mean:.1f}")
    lines += [
        f"sgemm {r.variant:<14}{r.per_s / 1e9:6.2f} G lane-instructions/s, one CTA {r.single_cta_per_s / 1e9:6.2f}"
        for r in rates
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return "\n".join([*lines, f"peak memory {peak:.0f} MiB"])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="sm_90")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--interpreter", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.interpreter:
        name, sizes, repeats = arguments.interpreter
        print(json.dumps(run_interpreter(name, json.loads(sizes), int(repeats))))
        return
    chosen = {k: v for k, v in COMPARED.items() if arguments.only in k}
    rows = [compare(name, sizes, arguments.target, arguments.repeats) for name, sizes in chosen.items()]
    rates = [rate(variant, arguments.repeats) for variant in SGEMM_VARIANTS if arguments.only in "sgemm"]
    print(json.dumps(_document(rows, rates)) if arguments.json else report(rows, rates))


def _document(rows: Sequence[Row], rates: Sequence[Rate]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "rows": [{**asdict(r), "ratio": r.ratio} for r in rows],
        "sgemm": [asdict(r) for r in rates],
    }


if __name__ == "__main__":
    main()
