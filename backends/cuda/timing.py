"""How long a launch takes on the GPU: by events around it, from a cold L2, beside what an empty launch takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from backends.cuda.device import CudaDevice, CudaKernel
from backends.cuda.parameters import Parameters
from backends.device import Argument, LaunchConfig
from backends.measured import Measured

# Kernels that read memory, do nothing, and read two clocks.
HELPERS = Path(__file__).with_name("helpers.ptx")
# The memory that is read between launches, in L2s.
_SWEPT_L2S = 4
_SWEEP_BLOCK = 256
_CTAS_PER_SM = 8
# The clock is read over about half a millisecond.
_CLOCK_CYCLES = 1 << 20
_EMPTY_LAUNCHES = 50
_FEWEST, _MOST = 10, 200
_SHORTEST_S = 0.2


class Stopwatch:
    """Times launches on a device. Its own memory and kernels are loaded once."""

    def __init__(self, device: CudaDevice) -> None:
        self.device = device
        nbytes = _SWEPT_L2S * device.driver.attribute("L2_CACHE_SIZE")
        self._swept = device.allocate(nbytes, "swept")
        self._clocks = device.allocate(16, "clocks")
        text = HELPERS.read_text(encoding="utf-8")
        self._sweep, self._nothing, self._clock = (
            device.load(text, name, HELPERS.name) for name in ("sweep", "nothing", "clocks")
        )
        self._empty_us = statistics.median(
            self.once_us(self._nothing, LaunchConfig((1, 1, 1), (32, 1, 1)), ()) for _ in range(_EMPTY_LAUNCHES)
        )

    def measure(
        self,
        kernel: CudaKernel,
        config: LaunchConfig,
        arguments: Sequence[Argument],
        refresh: Callable[[], None] = lambda: None,
    ) -> Measured:
        """Times of 10 launches or more, for a fifth of a second. `refresh` renews what the kernel overwrites.

        Raises UserError (bad-launch), DriverError for a kernel that faults: launch it before.
        """
        times_us: list[float] = []
        started_s = time.monotonic()
        while len(times_us) < _FEWEST or (time.monotonic() - started_s < _SHORTEST_S and len(times_us) < _MOST):
            refresh()
            times_us.append(self.once_us(kernel, config, arguments))
        return Measured(self.device.driver.description, tuple(times_us[1:]), self._empty_us, self._clock_mhz())

    def once_us(self, kernel: CudaKernel, config: LaunchConfig, arguments: Sequence[Argument]) -> float:
        """Microseconds of one launch. All of it waits behind the sweep, so that the host's time does not count."""
        driver, parameters = self.device.driver, self._parameters(kernel, arguments)
        start, stop = driver.call("cuEventCreate", 0), driver.call("cuEventCreate", 0)
        self._evict()
        driver.call("cuEventRecord", start, 0)
        self.device.submit(kernel, config, parameters)
        driver.call("cuEventRecord", stop, 0)
        driver.call("cuEventSynchronize", stop)
        elapsed_us = 1e3 * float(driver.call("cuEventElapsedTime", start, stop))
        for event in (start, stop):
            driver.call("cuEventDestroy", event)
        return elapsed_us

    def _evict(self) -> None:
        ctas = _CTAS_PER_SM * self.device.driver.attribute("MULTIPROCESSOR_COUNT")
        config = LaunchConfig((ctas, 1, 1), (_SWEEP_BLOCK, 1, 1))
        self.device.submit(self._sweep, config, self._parameters(self._sweep, (self._swept, self._swept.nbytes)))

    def _clock_mhz(self) -> float:
        arguments = (self._clocks, _CLOCK_CYCLES)
        config = LaunchConfig((1, 1, 1), (1, 1, 1))
        self.device.submit(self._clock, config, self._parameters(self._clock, arguments))
        cycles, nanoseconds = map(int, self.device.read(self._clocks, np.uint64, (2,)))
        return min(1e3 * cycles / nanoseconds, self.device.driver.attribute("CLOCK_RATE") / 1e3)

    def _parameters(self, kernel: CudaKernel, arguments: Sequence[Argument]) -> Parameters:
        return Parameters(self.device.driver, kernel.name, kernel.function, arguments)
