"""CUDA sources of the tests, compiled and run with counters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from backends.compilers.nvrtc import CudaOptions, compile_source
from backends.device import LaunchConfig, LaunchResult
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator

pytest.importorskip("cuda.bindings")

WORDS = 1 << 18
"""32-bit words of each of the two buffers that a kernel gets."""


@cache
def ptx(source: str, architecture: str = "sm_90a") -> str:
    """PTX of a kernel `k`."""
    return compile_source(source, "k", architecture, CudaOptions(cubin=False)).ptx


def run(
    source: str, grid: int = 1, block: int | tuple[int, int, int] = 32, numbers: Sequence[int] = (), words: int = WORDS,
    architecture: str = "sm_90a", **settings: object,
) -> LaunchResult:  # fmt: skip
    """`k(unsigned* out, unsigned* in, numbers...)` on buffers of zeros; `settings` are those of the launch."""
    text = ptx(f'extern "C" __global__ void k{source}', architecture)
    device = Emulator(Settings(**{"counters": True, **settings}))  # type: ignore[arg-type]
    buffers = [device.allocate(4 * words, name) for name in ("out", "in")]
    for buffer in buffers:
        device.write(buffer, np.zeros(words, np.uint32))
    threads = (block, 1, 1) if isinstance(block, int) else block
    result = device.launch(device.load(text), LaunchConfig((grid, 1, 1), threads), [*buffers, *numbers])
    assert result.fault is None, result.fault
    return result


def counted(result: LaunchResult, *names: str) -> tuple[float, ...]:
    """Counters in order, `.sum` added to their names."""
    return tuple(result.counters[f"{name}.sum"] for name in names)
