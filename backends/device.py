"""The device protocol: load compiled kernels, keep buffers, launch, read back. True to the CUDA driver's semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backends.findings import Finding
from backends.profile import Profile

Extent = tuple[int, int, int]
CHECKS = ("memory", "race", "sync", "async", "init")
"""Checkers that a launch may ask for; deadlocks and bad addresses are always found on the emulated device."""


@dataclass(frozen=True)
class Buffer:
    """Device memory: `nbytes` from `address` on."""

    address: int
    nbytes: int
    label: str = ""


@dataclass(frozen=True)
class TensorMap:
    """A CUtensorMap argument: the parameters of `cuTensorMapEncodeTiled`, sizes in elements, innermost first.

    `dtype` and `swizzle` are the driver's enumerators by name (`FLOAT16`, `B128`); `fill_nan` makes elements out of
    bounds NaN instead of 0.
    """

    buffer: Buffer
    dtype: str
    extents: tuple[int, ...]
    strides_bytes: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: str = "NONE"
    element_strides: tuple[int, ...] = ()
    fill_nan: bool = False


Argument = Buffer | TensorMap | int | float | bool | bytes | np.generic
"""A kernel argument; bytes are a struct passed by value."""


@dataclass(frozen=True)
class LaunchConfig:
    """Grid in CTAs, block in threads, cluster in CTAs, along x, y, z. `cooperative`: CTAs may wait for each other."""

    grid: Extent
    block: Extent
    dynamic_shared_bytes: int = 0
    cluster: Extent = (1, 1, 1)
    cooperative: bool = False


@dataclass(frozen=True)
class LaunchResult:
    """What a launch came to. `fault` ended it; `findings` are what checkers found in a launch that went on.

    counters: by Nsight Compute's names. profile: the same by instruction, where it was asked for. output: what the
    kernel printed. time_s: wall clock of this machine, which says nothing about a GPU when the device is emulated.
    """

    fault: Finding | None = None
    findings: tuple[Finding, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    profile: Profile | None = None
    output: str = ""
    time_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found wrong; warnings may have been found."""
        return self.fault is None and not any(f.is_error for f in self.findings)


class Kernel(Protocol):
    """An entry of a loaded module."""

    name: str


class Device(Protocol):
    """A machine that runs kernels."""

    name: str

    def load(self, ptx: str, entry: str | None = None, file: str = "<ptx>", cubin: bytes | None = None) -> Kernel:
        """Load PTX and return an entry (the only one, if no name is given). UserError for what cannot be loaded.

        cubin: what the compiler made of that PTX, for a device that runs machine code.
        """

    def allocate(self, nbytes: int, label: str = "") -> Buffer:
        """Uninitialised memory, aligned to at least 256 bytes. MemoryError when there is none left."""

    def free(self, buffer: Buffer) -> None:
        """Give memory back."""

    def write(self, buffer: Buffer, data: NDArray[Any]) -> None:
        """Copy a contiguous array to the start of a buffer."""

    def read(self, buffer: Buffer, dtype: Any, shape: Sequence[int]) -> NDArray[Any]:
        """Copy the start of a buffer out."""

    def launch(self, kernel: Kernel, config: LaunchConfig, arguments: Sequence[Argument]) -> LaunchResult:
        """Run a kernel and wait for it. UserError for a launch that the driver would refuse."""
