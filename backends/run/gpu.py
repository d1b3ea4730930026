"""Cases on a GPU, in a child process: a kernel that faults or does not end costs that process and nothing else."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, cast

from backends.compilers.artifact import Compiled
from backends.compilers.task import compile_task
from backends.cuda.device import CudaDevice
from backends.cuda.driver import DriverError
from backends.cuda.faults import kernel_fault
from backends.cuda.timing import Stopwatch
from backends.device import Device
from backends.findings import Finding
from backends.measured import Measured
from backends.run.devices import DeviceOptions
from backends.run.launch import prepared
from backends.run.oracle import Expected, expected_outputs
from backends.run.outcome import Outcome, Status
from backends.run.task import Case, TaskRun, refused_compile
from ir.diagnostics import UserError

# Of the last sizes; what a search asks for again and again.
_KEPT_REFERENCES = 8
# What a case may take beyond its time limit, which the child keeps for each launch: to compile, and for the reference.
_GRACE_S = 600.0
# What a child that is dying may take for it.
_LEAVE_S = 2.0


class GpuProcess:
    """A child process with the GPU, started when it is needed, and started again after a kernel has ended it."""

    def __init__(self) -> None:
        self._open: tuple[BaseProcess, Connection] | None = None

    def __enter__(self) -> GpuProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        self._end()

    def run(
        self, case: Case, options: DeviceOptions, compares: bool = True, compiled: Compiled | None = None
    ) -> Outcome:
        """The outcome of a case; raises UserError for what is wrong with the task or this machine.

        compares: ask the reference; without, what did not fault has passed. compiled: the kernel, if it is there.
        """
        child, connection = self._started()
        try:
            connection.send((case, options, compares, compiled))
            if not connection.poll(options.time_limit_s + _GRACE_S):
                self._end()
                return _ended(case, "time-limit", f"the run did not end within {options.time_limit_s:g} s")
            answer, is_lost = _received(connection)
        except (EOFError, ConnectionError):
            child.join(_LEAVE_S)
            return _ended(case, "launch-failed", f"the process that used the GPU ended with status {self._end()}")
        if is_lost:
            self._end()
        if isinstance(answer, UserError):
            raise answer
        return answer

    def _started(self) -> tuple[BaseProcess, Connection]:
        if self._open is None:
            context = get_context("spawn")
            ours, theirs = context.Pipe()
            # No daemon, which could have no children: compilers run in those.
            child = context.Process(target=_serve, args=(theirs,))
            child.start()
            theirs.close()
            self._open = child, ours
        return self._open

    def _end(self) -> int | None:
        """End the child, which has nothing to lose and may hang in the driver; its exit status."""
        if self._open is None:
            return None
        (child, connection), self._open = self._open, None
        connection.close()
        child.kill()
        child.join()
        return child.exitcode


def _received(connection: Connection) -> tuple[Outcome | UserError, bool]:
    """An error travels as its parts, since exceptions of several arguments do not survive pickling."""
    outcome, diagnostics, code, is_lost = connection.recv()
    return (UserError(*diagnostics, exit_code=code) if diagnostics else outcome), is_lost


def _serve(connection: Connection) -> None:
    """In the child: answer cases until there are no more."""
    gpu = None
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            gpu = gpu or Gpu()
            outcome = gpu.outcome(*request)
            connection.send((outcome, (), None, gpu.device.is_lost))
        except UserError as error:
            # After a failed call of the driver nothing is known of the GPU's state in this process.
            connection.send((None, error.diagnostics, error.exit_code, isinstance(error, DriverError)))


class Gpu:
    """The GPU in this process, with what it needs to time kernels and what references gave before."""

    def __init__(self) -> None:
        self.device = CudaDevice()
        self.stopwatch = Stopwatch(self.device)
        self._expected: OrderedDict[tuple[Any, ...], dict[str, Expected]] = OrderedDict()

    def outcome(self, case: Case, options: DeviceOptions, compares: bool, compiled: Compiled | None) -> Outcome:
        """Compile, launch, compare, and time what passed. Raises UserError for what is wrong with the task."""
        self.device.time_limit_s = options.time_limit_s
        started = time.perf_counter()
        try:
            compiled = compiled or compile_task(case.task, case.sizes, case.target)
        except UserError as error:
            return refused_compile(case, error, time.perf_counter() - started)
        compile_s = time.perf_counter() - started
        run = TaskRun(case, cast(Device, self.device), options.seed)
        try:
            outcome = run.launched(compiled, lambda: self._reference(run) if compares else {})
            measured = self._measured(run, compiled) if outcome.status == Status.PASSED else None
            return replace(outcome, timing=replace(outcome.timing, compile_s=compile_s, measured=measured))
        except DriverError as error:
            # A kernel may pass once and fault in a later launch.
            self.device.is_lost = True
            return Outcome(
                case.task.variant_name, case.target, dict(case.sizes), Status.FAULT, fault=kernel_fault(error)
            )
        finally:
            for buffer in run.buffers.values():
                self.device.free(buffer)

    def _reference(self, run: TaskRun) -> dict[str, Expected]:
        """What the task's reference gives for these inputs, kept for the kernels that come after."""
        task, sizes = run.case.task, run.case.sizes
        key = (str(task.document.path), task.variant_name, tuple(sizes.items()), run.seed)
        if key not in self._expected:
            self._expected[key] = expected_outputs(task, sizes, run.inputs)
        while len(self._expected) > _KEPT_REFERENCES:
            self._expected.popitem(last=False)
        return self._expected[key]

    def _measured(self, run: TaskRun, compiled: Compiled) -> Measured | None:
        grid = run.case.task.grid(run.case.sizes)
        if not all(grid):
            return None
        with prepared(run.device, compiled, run.arguments(), grid) as (config, arguments):
            kernel: Any = run.kernel
            return self.stopwatch.measure(kernel, config, arguments, run.refresh)


def _ended(case: Case, rule: str, message: str) -> Outcome:
    status = Status.TIMEOUT if rule == "time-limit" else Status.FAULT
    return Outcome(case.task.variant_name, case.target, dict(case.sizes), status, fault=Finding(rule, message))
