"""A GPU behind the device protocol: machine code as the compilers made it, launched and waited for by the driver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.compilers.entry_header import ptx_target, read_heads
from backends.compilers.ptxas import assemble
from backends.cuda.configuration import ask_for_limits, encoded_config
from backends.cuda.driver import Driver, DriverError, open_driver
from backends.cuda.faults import kernel_fault, refused
from backends.cuda.guards import GUARD_BYTES, POISON, Guarded
from backends.cuda.parameters import Parameters
from backends.cuda.printed import captured_output
from backends.device import Argument, Buffer, LaunchConfig, LaunchResult
from backends.findings import Finding
from ir.diagnostics import fail

_LONGEST_NAP_S = 0.01


@dataclass(frozen=True)
class CudaKernel:
    """A loaded entry. `prints`: whether its module calls printf."""

    name: str
    module: Any
    function: Any
    prints: bool = False


@dataclass
class CudaDevice:
    """The first GPU. Once a kernel has faulted or has not ended in time, `is_lost`: a new process is needed.

    Raises UserError: missing-part without a driver or a GPU, lost-device for use of a lost one.
    """

    time_limit_s: float = 600.0
    name: str = "cuda"
    is_lost: bool = False
    driver: Driver = field(default_factory=open_driver)

    def __post_init__(self) -> None:
        self._allocations: dict[int, Guarded] = {}

    def load(self, ptx: str, entry: str | None = None, file: str = "<ptx>", cubin: bytes | None = None) -> CudaKernel:
        """Load machine code, or PTX that is assembled here; the entry may go unnamed where there is but one."""
        self._require_alive()
        name = entry or _only_entry(ptx, file)
        code = cubin or assemble(ptx, self._assembled_for(ptx), file=file).cubin
        try:
            module = self.driver.call("cuModuleLoadData", code)
            function = self.driver.call("cuModuleGetFunction", module, name.encode())
        except DriverError as error:
            raise fail("bad-module", f"{file} does not load on {self.driver.description}: {error.code}") from error
        return CudaKernel(name, module, function, "vprintf" in ptx)

    def allocate(self, nbytes: int, label: str = "buffer") -> Buffer:
        """Memory filled with a poison byte, with guard bands around it. MemoryError when there is none left."""
        self._require_alive()
        try:
            base = int(self.driver.call("cuMemAlloc", nbytes + 2 * GUARD_BYTES))
        except DriverError as error:
            if error.code != "CUDA_ERROR_OUT_OF_MEMORY":
                raise
            raise MemoryError(f"{nbytes} bytes for `{label}` do not fit the GPU's memory") from error
        guarded = Guarded(base, nbytes, label)
        self.driver.call("cuMemsetD8", base, POISON, guarded.total_bytes)
        self._allocations[guarded.address] = guarded
        return Buffer(guarded.address, nbytes, label)

    def free(self, buffer: Buffer) -> None:
        """Give memory back; that of a lost device goes with its process."""
        guarded = self._guarded(buffer)
        del self._allocations[buffer.address]
        if not self.is_lost:
            self.driver.call("cuMemFree", guarded.base)

    def write(self, buffer: Buffer, data: NDArray[Any]) -> None:
        """Copy a contiguous array to the start of a buffer."""
        raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self._require_room(buffer, len(raw))
        if len(raw):
            self.driver.call("cuMemcpyHtoD", buffer.address, raw.ctypes.data, len(raw))

    def read(self, buffer: Buffer, dtype: Any, shape: Sequence[int]) -> NDArray[Any]:
        """Copy the start of a buffer out."""
        found: NDArray[Any] = np.empty(shape, dtype)
        self._require_room(buffer, found.nbytes)
        if found.nbytes:
            self.driver.call("cuMemcpyDtoH", found.ctypes.data, buffer.address, found.nbytes)
        return found

    def launch(self, kernel: CudaKernel, config: LaunchConfig, arguments: Sequence[Argument]) -> LaunchResult:
        """Run a kernel; raises UserError for a launch that the driver refuses."""
        self._require_alive()
        parameters = Parameters(self.driver, kernel.name, kernel.function, arguments)
        started = time.perf_counter()
        with captured_output(kernel.prints) as output:
            fault = self._run(kernel, config, parameters)
        time_s = time.perf_counter() - started
        self.is_lost = fault is not None
        findings = () if fault else tuple(self._overrun())
        return LaunchResult(fault, findings, output="".join(output), time_s=time_s)

    def submit(self, kernel: CudaKernel, config: LaunchConfig, parameters: Parameters) -> None:
        """Begin a launch and do not wait for it. Raises UserError (bad-launch)."""
        try:
            ask_for_limits(self.driver, kernel.function, config)
            self.driver.call(
                "cuLaunchKernelEx", encoded_config(self.driver, config), kernel.function, parameters.pointers, 0
            )
        except DriverError as error:
            raise refused(kernel.name, error) from error

    def _run(self, kernel: CudaKernel, config: LaunchConfig, parameters: Parameters) -> Finding | None:
        done = self.driver.call("cuEventCreate", 0)
        self.submit(kernel, config, parameters)
        self.driver.call("cuEventRecord", done, 0)
        try:
            fault = self._waited(done)
        except DriverError as error:
            return kernel_fault(error)
        if fault is None:
            self.driver.call("cuEventDestroy", done)
        return fault

    def _waited(self, event: Any) -> Finding | None:
        """Poll, since a wait in the driver cannot be ended."""
        deadline_s, nap_s = time.monotonic() + self.time_limit_s, 1e-6
        while not self._is_done(event):
            if time.monotonic() > deadline_s:
                return Finding("time-limit", f"the kernel did not end within {self.time_limit_s:g} s")
            time.sleep(nap_s)
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)
        self.driver.call("cuCtxSynchronize")
        return None

    def _is_done(self, event: Any) -> bool:
        try:
            self.driver.call("cuEventQuery", event)
        except DriverError as error:
            if error.code != "CUDA_ERROR_NOT_READY":
                raise
            return False
        return True

    def _overrun(self) -> list[Finding]:
        return [
            finding
            for guarded in self._allocations.values()
            for finding in guarded.broken(self._band(guarded.base), self._band(guarded.after))
        ]

    def _band(self, address: int) -> NDArray[np.uint8]:
        band = np.empty(GUARD_BYTES, np.uint8)
        self.driver.call("cuMemcpyDtoH", band.ctypes.data, address, GUARD_BYTES)
        return band

    def _assembled_for(self, ptx: str) -> str:
        """PTX for one architecture alone (`sm_90a`) is assembled for that, other PTX for this GPU."""
        target = ptx_target(ptx)
        return target if target and not target[-1].isdigit() else self.driver.architecture

    def _require_alive(self) -> None:
        if self.is_lost:
            raise fail("lost-device", "a kernel before has ended this process' use of the GPU", remedy="a new process")

    def _require_room(self, buffer: Buffer, nbytes: int) -> None:
        self._require_alive()
        if nbytes > self._guarded(buffer).nbytes:
            message = f"{nbytes} bytes do not fit buffer `{buffer.label}` of {buffer.nbytes} bytes"
            raise fail("bad-copy", message)

    def _guarded(self, buffer: Buffer) -> Guarded:
        if buffer.address not in self._allocations:
            raise fail("bad-buffer", f"buffer `{buffer.label}` is not allocated on this device")
        return self._allocations[buffer.address]


def _only_entry(ptx: str, file: str) -> str:
    names = [head.name for head in read_heads(ptx)]
    if len(names) != 1:
        wanted = f"{len(names)} kernels, and none was named"
        raise fail("unknown-kernel", f"{file}: {wanted}", remedy=f"its kernels: {', '.join(names) or 'none'}")
    return names[0]
