"""The CUDA driver API: the first GPU, what it states of itself, and every failed call as an error with its name."""

from __future__ import annotations

import functools
from typing import Any

from ir.diagnostics import Diagnostic, UserError, missing

_INSTALL = "pip install 'twill-optiml[cuda]', and NVIDIA's driver"
_WITHOUT = "`--device emulator` works without a GPU"


class DriverError(UserError):
    """A call of the driver that failed. `code`: the name in `CUresult`, such as `CUDA_ERROR_ILLEGAL_ADDRESS`."""

    def __init__(self, function: str, code: str) -> None:
        super().__init__(Diagnostic("cuda-driver", f"{function} fails: {code}"))
        self.code = code


class Driver:
    """The first GPU's primary context. Raises UserError: missing-part without the bindings, a driver or a GPU."""

    def __init__(self) -> None:
        try:
            from cuda.bindings import driver
        except ImportError:
            raise missing("cuda-bindings", _INSTALL, _WITHOUT) from None
        self.api: Any = driver
        try:
            self.call("cuInit", 0)
            self.device = self.call("cuDeviceGet", 0)
        except (RuntimeError, DriverError) as error:
            raise missing(f"a GPU with its driver ({_first_line(error)})", _INSTALL, _WITHOUT) from None
        self.call("cuCtxSetCurrent", self.call("cuDevicePrimaryCtxRetain", self.device))
        self.description: str = self.call("cuDeviceGetName", 128, self.device).split(b"\0")[0].decode()
        major, minor = (self.attribute(f"COMPUTE_CAPABILITY_{part}") for part in ("MAJOR", "MINOR"))
        self.architecture = f"sm_{major}{minor}"

    def call(self, function: str, *arguments: Any) -> Any:
        """A driver function's result, or results as a tuple; the bindings return its status before them."""
        status, *results = getattr(self.api, function)(*arguments)
        if int(status) != 0:
            raise DriverError(function, str(status.name))
        return results[0] if len(results) == 1 else tuple(results)

    def attribute(self, name: str) -> int:
        """An attribute of the GPU, such as `L2_CACHE_SIZE`."""
        attribute = getattr(self.api.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(self.call("cuDeviceGetAttribute", attribute, self.device))

    def facts(self) -> dict[str, float]:
        """Rates of a machine file that the GPU states of itself."""
        return {
            "sm_count": self.attribute("MULTIPROCESSOR_COUNT"),
            "clock_mhz": round(self.attribute("CLOCK_RATE") / 1e3),
            "l2_bytes": self.attribute("L2_CACHE_SIZE"),
            "max_threads_per_sm": self.attribute("MAX_THREADS_PER_MULTIPROCESSOR"),
            "max_ctas_per_sm": self.attribute("MAX_BLOCKS_PER_MULTIPROCESSOR"),
        }


@functools.cache
def open_driver() -> Driver:
    """The driver, initialised once in a process. Raises UserError (missing-part)."""
    return Driver()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
