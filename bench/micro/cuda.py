"""A GPU as a timer: a kernel's own clock, or events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import numpy as np

from backends.compilers.artifact import Compiled
from backends.compilers.task import compile_task
from backends.cuda.device import CudaDevice, CudaKernel
from backends.cuda.timing import Stopwatch
from backends.device import Device
from backends.run.launch import prepared
from backends.run.task import Case, TaskRun
from ir.diagnostics import fail
from ir.task import Sizes, Task

REPEATS = 5
# The argument that kernels write their own time to.
CLOCK = "cycles"


@dataclass
class CudaTimer:
    """The first GPU. A launch is timed by its own `cycles` where it has them, else by events at the SM's clock.

    Each time is the smallest of `REPEATS`, after one launch to warm up; the L2 is cold at the start of each. Raises
    UserError: missing-part without a driver or a GPU, cuda-driver for a call that fails, bad-probe for a launch that
    ends in a fault.
    """

    device: CudaDevice = field(default_factory=CudaDevice)

    def __post_init__(self) -> None:
        self.stopwatch = Stopwatch(self.device)
        self.architecture, self.description = self.device.driver.architecture, self.device.driver.description

    def facts(self) -> dict[str, float]:
        """Rates that the device states of itself."""
        return self.device.driver.facts()

    def cycles(self, task: Task, sizes: Sizes) -> float:
        """See `Timer.cycles`."""
        compiled = compile_task(task, sizes, self.architecture)
        run = TaskRun(Case(task, self.architecture, sizes), cast(Device, self.device), 0)
        try:
            outcome = run.launched(compiled, lambda: {})
            told = [str(f) for f in (outcome.fault, *outcome.findings) if f] + [d.message for d in outcome.diagnostics]
            if told:
                raise fail("bad-probe", f"{task.name} does not run: {told[0]}")
            return min(self._timed(run, compiled) for _ in range(REPEATS))
        finally:
            for buffer in run.buffers.values():
                self.device.free(buffer)

    def _timed(self, run: TaskRun, compiled: Compiled) -> float:
        run.write_inputs()
        with prepared(run.device, compiled, run.arguments(), run.case.task.grid(run.case.sizes)) as (config, arguments):
            elapsed_us = self.stopwatch.once_us(cast(CudaKernel, run.kernel), config, arguments)
        if CLOCK in run.buffers:
            return float(self.device.read(run.buffers[CLOCK], np.int64, (1,))[0])
        return elapsed_us * self.facts()["clock_mhz"]
