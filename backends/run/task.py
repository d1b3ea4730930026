"""Run a task: compile its kernel for each target, launch it at each size, compare with the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import torch

from backends.compilers.artifact import Compiled
from backends.compilers.launch import Descriptor
from backends.compilers.ptxas import CompileTimeoutError
from backends.compilers.task import compile_task
from backends.device import Buffer, Device, Kernel, LaunchResult
from backends.run.devices import DEFAULTS, DeviceOptions, open_device
from backends.run.inputs import DTYPES, as_bytes, draw_inputs, from_bytes
from backends.run.launch import run_compiled
from backends.run.oracle import Expected, compare, expected_elsewhere, expected_outputs
from backends.run.outcome import LIMITS, REFUSALS, Outcome, Status, Timing
from backends.run.regimes import draw_regime
from ir.diagnostics import Diagnostic, ExitCode, UserError
from ir.task import Sizes, Task

# What outputs hold before a launch: NaN in every floating-point format.
POISON = 0xFF
# A launch is given at least so long, however little time is left.
_SHORTEST_S = 0.1


@dataclass(frozen=True)
class Case:
    """One thing to run: a task (which may be a variant of another), a target such as `sm_90`, and sizes."""

    task: Task
    target: str
    sizes: Sizes


def cases(tasks: Sequence[Task], size_set: str, targets: Sequence[str] = ()) -> Iterator[Case]:
    """Every combination, tasks first; without `targets`, those that each task names."""
    for task in tasks:
        for target in targets or task.targets:
            yield from (Case(task, target, sizes) for sizes in task.sizes[size_set])


def run_cases(
    todo: Sequence[Case],
    device: str = "emulator",
    options: DeviceOptions = DEFAULTS,
    progress: Callable[[str], None] = lambda _line: None,
) -> list[Outcome]:
    """Run cases in order; `options.time_limit_s` bounds all of them, and those not begun by then are timeouts.

    Raises UserError for what is wrong with the task itself (`bad-reference`, missing files), not with its kernel.
    """
    deadline_s = time.monotonic() + options.time_limit_s
    found = []
    with runner_of(device) as run:
        for number, case in enumerate(todo, 1):
            left_s = deadline_s - time.monotonic()
            limited = replace(options, time_limit_s=max(round(left_s, 1), _SHORTEST_S))
            outcome = run(case, limited) if left_s > 0 else _not_begun(case)
            found.append(outcome)
            progress(f"{number}/{len(todo)} {_label(case)}: {outcome.status}")
    return found


@contextmanager
def runner_of(device: str) -> Iterator[Callable[[Case, DeviceOptions], Outcome]]:
    """What runs a case on that device: here where it is emulated, and in a child process on a GPU."""
    if device != "cuda":
        yield lambda case, options: run_case(case, device, options)
        return
    from backends.run.gpu import GpuProcess

    with GpuProcess() as process:
        yield process.run


def run_case(case: Case, device: str = "emulator", options: DeviceOptions = DEFAULTS) -> Outcome:
    """Compile, launch and compare one case on a fresh device."""
    machine = open_device(device, options)
    started = time.perf_counter()
    try:
        compiled = compile_task(case.task, case.sizes, case.target)
    except UserError as error:
        return refused_compile(case, error, time.perf_counter() - started)
    compile_s = time.perf_counter() - started
    outcome = TaskRun(case, machine, options.seed).launched(compiled)
    return replace(outcome, timing=replace(outcome.timing, compile_s=compile_s))


@dataclass
class TaskRun:
    """One case on one device: its inputs on the host, its buffers and its kernel on the device.

    is_blind: what memory held before a further launch with the same inputs would have passed for its result.
    """

    case: Case
    device: Device
    seed: int
    inputs: Mapping[str, torch.Tensor] = field(default_factory=dict)
    buffers: Mapping[str, Buffer] = field(default_factory=dict)
    kernel: Kernel | None = None
    is_blind: bool = False

    def launched(self, compiled: Compiled, expected: Callable[[], Mapping[str, Expected]] | None = None) -> Outcome:
        """Load and launch; what the device refuses is an outcome. expected: what asks another than the reference."""
        started = time.perf_counter()
        try:
            self.kernel = self.device.load(compiled.ptx, compiled.entry, f"{compiled.entry}.ptx", compiled.cubin)
            load_s = time.perf_counter() - started
            self.buffers = self._allocated()
            self.inputs = draw_inputs(self.case.task, self.case.sizes, self.seed)
            self.write_inputs()
            result = self._launch(compiled)
        except UserError as error:
            return _refused(self.case, error)
        except MemoryError as error:
            return _outcome(self.case, Status.FAULT, diagnostics=(Diagnostic("out-of-memory", str(error)),))
        run_s = time.perf_counter() - started - load_s
        task, sizes = self.case.task, self.case.sizes
        outcome = self._judged(result, expected or (lambda: expected_outputs(task, sizes, self.inputs)))
        return replace(outcome, timing=Timing(load_s=load_s, run_s=run_s))

    def again(self, compiled: Compiled, regime: str = "") -> Outcome | None:
        """Launch what is loaded once more in the same memory, its outputs poisoned: with the same inputs or a regime's.

        None where the reference is not sound on those. Whatever the kernel keeps between launches is still there.
        """
        task, sizes = self.case.task, self.case.sizes
        self.inputs = draw_regime(task, sizes, self.seed, regime) if regime else draw_inputs(task, sizes, self.seed)
        known = expected_elsewhere(task, sizes, self.inputs) if regime else expected_outputs(task, sizes, self.inputs)
        if known is None:
            return None
        for argument in task.outputs:
            buffer = self.buffers[argument.name]
            self.device.write(buffer, np.full(buffer.nbytes, POISON, np.uint8))
        self.write_inputs()
        if not regime:
            self.is_blind = all(compare(name, got, known[name]).passed for name, got in self.outputs().items())
        try:
            return self._judged(self._launch(compiled), lambda: known)
        except UserError as error:
            return _refused(self.case, error)

    def outputs(self) -> dict[str, torch.Tensor]:
        """What the outputs hold now."""
        values = self.case.task.values(self.case.sizes)
        return {a.name: self._read(self.buffers[a.name], a.dtype, a.shape_at(values)) for a in self.case.task.outputs}

    def write_inputs(self) -> None:
        """Copy the inputs to the device."""
        for name, tensor in self.inputs.items():
            self.device.write(self.buffers[name], as_bytes(tensor))

    def refresh(self) -> None:
        """Write anew the inputs that the kernel overwrites."""
        for argument in self.case.task.inputs:
            if argument.role != "in":
                self.device.write(self.buffers[argument.name], as_bytes(self.inputs[argument.name]))

    def arguments(self) -> dict[str, Any]:
        """Parameter -> what `run_compiled` takes."""
        values = self.case.task.values(self.case.sizes)
        found: dict[str, Any] = {}
        for a in self.case.task.arguments:
            if a.kind == "scalar":
                found[a.parameter] = a.value_at(values)
            elif a.kind == "descriptor":
                shape = a.shape_at(values)
                found[a.parameter] = Descriptor(self.buffers[a.name].address, shape, _row_major(shape))
            else:
                found[a.parameter] = self.buffers[a.name].address
        return found

    def _launch(self, compiled: Compiled) -> LaunchResult:
        assert self.kernel is not None, "it is loaded before"
        grid = self.case.task.grid(self.case.sizes)
        return run_compiled(self.device, self.kernel, compiled, self.arguments(), grid)

    def _allocated(self) -> dict[str, Buffer]:
        """Memory for the tensors; that of outputs is left as the device allocates it."""
        values = self.case.task.values(self.case.sizes)
        tensors = [a for a in self.case.task.arguments if a.kind != "scalar"]
        return {a.name: self.device.allocate(_nbytes(a.dtype, a.shape_at(values)), a.name) for a in tensors}

    def _judged(self, result: LaunchResult, expected: Callable[[], Mapping[str, Expected]]) -> Outcome:
        seen: dict[str, Any] = {
            "counters": dict(result.counters),
            "printed": result.output,
            "findings": result.findings,
        }
        if result.fault is not None:
            status = LIMITS.get(result.fault.rule, Status.FAULT)
            return _outcome(self.case, status, fault=result.fault, **seen)
        known, got = expected(), self.outputs()
        comparisons = tuple(compare(name, got[name], wanted) for name, wanted in known.items())
        overwritten = self._overwritten(self.buffers)
        wrong = overwritten or not all(c.passed for c in comparisons)
        found = any(f.is_error for f in result.findings)
        status = Status.WRONG_RESULT if wrong else Status.FINDINGS if found else Status.PASSED
        return _outcome(self.case, status, comparisons=comparisons, overwritten=overwritten, **seen)

    def _overwritten(self, buffers: Mapping[str, Buffer]) -> tuple[str, ...]:
        """Inputs that are no outputs and no longer hold what they were given."""
        inputs = [a for a in self.case.task.inputs if a.role == "in"]
        return tuple(a.name for a in inputs if not self._unchanged(buffers[a.name], self.inputs[a.name]))

    def _unchanged(self, buffer: Buffer, tensor: torch.Tensor) -> bool:
        before = as_bytes(tensor)
        return bool(np.array_equal(self.device.read(buffer, np.uint8, before.shape), before))

    def _read(self, buffer: Buffer, dtype: str, shape: tuple[int, ...]) -> torch.Tensor:
        return from_bytes(self.device.read(buffer, np.uint8, (_nbytes(dtype, shape),)), DTYPES[dtype], shape)


def _nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    return prod(shape) * int(DTYPES[dtype].itemsize)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements.

    >>> _row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1]
    for extent in shape[:0:-1]:
        strides.append(strides[-1] * extent)
    return tuple(reversed(strides))


def _outcome(case: Case, status: Status, **seen: Any) -> Outcome:
    return Outcome(case.task.variant_name, case.target, dict(case.sizes), status, **seen)


def refused_compile(case: Case, error: UserError, compile_s: float) -> Outcome:
    """Why there is no compiled kernel; a missing compiler is the user's to install, so it is raised on."""
    if error.exit_code == ExitCode.MISSING:
        raise error
    status = Status.TIMEOUT if isinstance(error, CompileTimeoutError) else Status.FAILED_COMPILE
    return _outcome(case, status, diagnostics=error.diagnostics, timing=Timing(compile_s=compile_s))


def _refused(case: Case, error: UserError) -> Outcome:
    """The device does not implement something, or refuses the launch as the driver would."""
    unsupported = any(d.rule in REFUSALS for d in error.diagnostics)
    return _outcome(case, Status.UNSUPPORTED if unsupported else Status.FAULT, diagnostics=error.diagnostics)


def _not_begun(case: Case) -> Outcome:
    return _outcome(case, Status.TIMEOUT, diagnostics=(Diagnostic("time-limit", "not begun within the time limit"),))


def _label(case: Case) -> str:
    sizes = " ".join(f"{name}={value}" for name, value in case.sizes.items())
    return " ".join(part for part in (case.task.name, case.task.variant_name, case.target, sizes) if part)
