"""A GPU as a timer, through the CUDA driver API: machine code, events, and what the device says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from backends.compilers import launch as call
from backends.compilers.artifact import Compiled
from backends.compilers.task import compile_task
from ir.argument import Argument
from ir.diagnostics import fail, missing
from ir.task import Sizes, Task

REPEATS = 5
# The argument that kernels write their own time to.
CLOCK = "cycles"
_NEEDED = "pip install 'twill-optiml[cuda]', and a machine with NVIDIA's driver"


def _driver() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError:
        raise missing("cuda-bindings", _NEEDED, "--device emulator works") from None
    return driver


@dataclass
class CudaTimer:
    """The first GPU. A launch is timed by its own `cycles` where it has them, else by events at the SM's clock.

    Each time is the smallest of `REPEATS`, after one launch to warm up. Raises UserError: missing-part without a driver
    or a GPU, cuda-driver for a call that fails.
    """

    architecture: str = ""
    description: str = ""
    clock_hz: float = 0.0
    loaded: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.driver = _driver()
        try:
            self._call("cuInit", 0)
        except RuntimeError:
            raise missing("libcuda", _NEEDED, "--device emulator works") from None
        self.device = self._call("cuDeviceGet", 0)
        self.context = self._call("cuDevicePrimaryCtxRetain", self.device)
        self._call("cuCtxSetCurrent", self.context)
        major, minor = self._attribute("COMPUTE_CAPABILITY_MAJOR"), self._attribute("COMPUTE_CAPABILITY_MINOR")
        self.architecture = f"sm_{major}{minor}"
        self.description = self._call("cuDeviceGetName", 128, self.device).split(b"\0")[0].decode()
        self.clock_hz = 1e3 * self._attribute("CLOCK_RATE")

    def facts(self) -> dict[str, float]:
        """Rates that the device states of itself."""
        return {
            "sm_count": self._attribute("MULTIPROCESSOR_COUNT"),
            "clock_mhz": round(self.clock_hz / 1e6),
            "l2_bytes": self._attribute("L2_CACHE_SIZE"),
            "max_threads_per_sm": self._attribute("MAX_THREADS_PER_MULTIPROCESSOR"),
            "max_ctas_per_sm": self._attribute("MAX_BLOCKS_PER_MULTIPROCESSOR"),
        }

    def cycles(self, task: Task, sizes: Sizes) -> float:
        """See `Timer.cycles`."""
        compiled = compile_task(task, sizes, self.architecture)
        function = self._function(compiled)
        buffers = {a.name: self._allocated(a, task, sizes) for a in task.arguments if a.kind != "scalar"}
        try:
            arguments = self._arguments(task, sizes, buffers)
            return min(self._timed(compiled, function, arguments, task, sizes, buffers) for _ in range(REPEATS + 1))
        finally:
            for buffer in buffers.values():
                self._call("cuMemFree", buffer)

    def _function(self, compiled: Compiled) -> Any:
        """Modules are kept, since a measurement launches each several times."""
        key = compiled.ptx
        if key not in self.loaded:
            module = self._call("cuModuleLoadData", compiled.cubin)
            self.loaded[key] = self._call("cuModuleGetFunction", module, compiled.entry.encode())
        return self.loaded[key]

    def _allocated(self, argument: Argument, task: Task, sizes: Sizes) -> Any:
        return self._call("cuMemAlloc", _nbytes(argument, task, sizes))

    def _fill(self, task: Task, sizes: Sizes, buffers: Mapping[str, Any]) -> None:
        """Write the inputs before each launch, so that none finds in the L2 what the one before has read."""
        from backends.run.inputs import as_bytes, draw_inputs

        small = [a for a in task.inputs if a.distribution.kind != "zeros"]
        drawn = draw_inputs(task, sizes, 0) if small else {}
        for argument in (a for a in task.arguments if a.kind != "scalar"):
            self._call("cuMemsetD8", buffers[argument.name], 0, _nbytes(argument, task, sizes))
        for argument in small:
            host = np.ascontiguousarray(as_bytes(drawn[argument.name]))
            self._call("cuMemcpyHtoD", buffers[argument.name], host.ctypes.data, host.nbytes)

    def _arguments(self, task: Task, sizes: Sizes, buffers: Mapping[str, Any]) -> dict[str, Any]:
        values = task.values(sizes)
        return {a.parameter: a.value_at(values) if a.kind == "scalar" else int(buffers[a.name]) for a in task.arguments}

    def _timed(
        self, compiled: Compiled, function: Any, arguments: Mapping[str, Any], task: Task, sizes: Sizes, buffers: Any
    ) -> float:
        self._fill(task, sizes, buffers)
        shape = call.launch_shape(compiled, task.grid(sizes))
        values = call.parameter_values(compiled, arguments)
        packed = [call.encode(p, v) for p, v in zip(compiled.parameters, values, strict=True)]
        storage = [np.frombuffer(data, np.uint8).copy() for data in packed]
        pointers = np.array([s.ctypes.data for s in storage], np.uint64)
        if shape.dynamic_smem_bytes > 48 * 1024:
            limit = self.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._call("cuFuncSetAttribute", function, limit, shape.dynamic_smem_bytes)
        start, stop = self._call("cuEventCreate", 0), self._call("cuEventCreate", 0)
        self._call("cuEventRecord", start, 0)
        self._call(
            "cuLaunchKernel", function, *shape.grid, *shape.block, shape.dynamic_smem_bytes, 0, pointers.ctypes.data, 0
        )
        self._call("cuEventRecord", stop, 0)
        self._call("cuEventSynchronize", stop)
        milliseconds = self._call("cuEventElapsedTime", start, stop)
        for event in (start, stop):
            self._call("cuEventDestroy", event)
        return self._own_clock(buffers) if CLOCK in buffers else milliseconds * 1e-3 * self.clock_hz

    def _own_clock(self, buffers: Mapping[str, Any]) -> float:
        host = np.zeros(1, np.int64)
        self._call("cuMemcpyDtoH", host.ctypes.data, buffers[CLOCK], host.nbytes)
        return float(host[0])

    def _attribute(self, name: str) -> int:
        attribute = getattr(self.driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(self._call("cuDeviceGetAttribute", attribute, self.device))

    def _call(self, name: str, *arguments: Any) -> Any:
        """A driver function's result; the bindings return its status first."""
        status, *results = getattr(self.driver, name)(*arguments)
        if int(status) != 0:
            raise fail("cuda-driver", f"{name} fails: {status.name}")
        return results[0] if results else None


def _nbytes(argument: Argument, task: Task, sizes: Sizes) -> int:
    return max(prod(argument.shape_at(task.values(sizes))) * argument.element_bits // 8, 1)
