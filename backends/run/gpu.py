"""Cases on a GPU, in a child process: a kernel that faults or does not end costs that process and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, cast

from backends.compilers.artifact import Compiled
from backends.compilers.task import compile_task
from backends.cuda.device import CudaDevice
from backends.cuda.timing import Stopwatch
from backends.device import Device
from backends.findings import Finding
from backends.measured import Measured
from backends.run.devices import DeviceOptions
from backends.run.launch import prepared
from backends.run.outcome import Outcome, Status
from backends.run.task import Case, TaskRun, refused_compile
from ir.diagnostics import UserError

# What a case may take beyond its time limit, which holds for each of its launches.
_GRACE_S = 60.0


class GpuProcess:
    """A child process with the GPU, started when it is needed, and started again after a kernel has ended it."""

    def __init__(self) -> None:
        self._child: BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> GpuProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, case: Case, options: DeviceOptions, compares: bool = True) -> Outcome:
        """The outcome of a case; raises UserError for what is wrong with the task or this machine.

        compares: ask the reference; without, what did not fault has passed.
        """
        connection = self._started()
        try:
            connection.send((case, options, compares))
            if not connection.poll(options.time_limit_s + _GRACE_S):
                self._end()
                return _ended(case, "time-limit", f"the run did not end within {options.time_limit_s:g} s")
            answer, is_lost = _received(connection)
        except (EOFError, ConnectionError):
            status = self._end()
            return _ended(case, "launch-failed", f"the process that used the GPU ended with status {status}")
        if is_lost:
            self._end()
        if isinstance(answer, UserError):
            raise answer
        return answer

    def _started(self) -> Connection:
        if self._connection is None:
            context = get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._child = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._child.start()
            theirs.close()
        return self._connection

    def _end(self) -> int | None:
        """End the child, which may hang in the driver; its exit status."""
        if self._child is None or self._connection is None:
            return None
        self._connection.close()
        self._child.kill()
        self._child.join()
        status = self._child.exitcode
        self._child = self._connection = None
        return status


def _received(connection: Connection) -> tuple[Outcome | UserError, bool]:
    """An error travels as its parts, since exceptions of several arguments do not survive pickling."""
    outcome, diagnostics, code, is_lost = connection.recv()
    return (UserError(*diagnostics, exit_code=code) if diagnostics else outcome), is_lost


def _serve(connection: Connection) -> None:
    """In the child: answer cases until there are no more."""
    devices: list[tuple[CudaDevice, Stopwatch]] = []
    while True:
        try:
            case, options, compares = connection.recv()
        except EOFError:
            return
        connection.send(_answered(case, options, compares, devices))


def _answered(
    case: Case, options: DeviceOptions, compares: bool, devices: list[tuple[CudaDevice, Stopwatch]]
) -> tuple[Any, ...]:
    try:
        if not devices:
            device = CudaDevice(options.time_limit_s)
            devices.append((device, Stopwatch(device)))
        device, stopwatch = devices[0]
        device.time_limit_s = options.time_limit_s
        return run_on_gpu(case, options, device, stopwatch, compares), (), None, device.is_lost
    except UserError as error:
        return None, error.diagnostics, error.exit_code, False


def run_on_gpu(
    case: Case, options: DeviceOptions, device: CudaDevice, stopwatch: Stopwatch, compares: bool = True
) -> Outcome:
    """Compile, launch, compare, and time what passed, in this process."""
    started = time.perf_counter()
    try:
        compiled = compile_task(case.task, case.sizes, case.target)
    except UserError as error:
        return refused_compile(case, error, time.perf_counter() - started)
    compile_s = time.perf_counter() - started
    run = TaskRun(case, cast(Device, device), options.seed)
    try:
        outcome = run.launched(compiled, compares)
        measured = _measured(run, compiled, stopwatch) if outcome.status == Status.PASSED else None
        return replace(outcome, timing=replace(outcome.timing, compile_s=compile_s, measured=measured))
    finally:
        for buffer in run.buffers.values():
            device.free(buffer)


def _measured(run: TaskRun, compiled: Compiled, stopwatch: Stopwatch) -> Measured | None:
    grid = run.case.task.grid(run.case.sizes)
    if not all(grid):
        return None
    with prepared(run.device, compiled, run.arguments(), grid) as (config, arguments):
        kernel: Any = run.kernel
        return stopwatch.measure(kernel, config, arguments, run.refresh)


def _ended(case: Case, rule: str, message: str) -> Outcome:
    status = Status.TIMEOUT if rule == "time-limit" else Status.FAULT
    return Outcome(case.task.variant_name, case.target, dict(case.sizes), status, fault=Finding(rule, message))
