"""CUDA sources of the tests, compiled and made ready to be counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from backends.compilers.nvrtc import CudaOptions, compile_source
from backends.emulator.arguments import packed
from backends.emulator.geometry import Geometry
from backends.machines.loader import load_machine
from backends.model.counts.count import count
from backends.model.counts.launch import Launch
from backends.model.counts.loaded import load_slice
from backends.model.counts.result import KernelCounts, MemoryCounts

pytest.importorskip("cuda.bindings")


@cache
def ptx(source: str, architecture: str = "sm_90a") -> str:
    """PTX of a kernel `k`."""
    return compile_source(source, "k", architecture, CudaOptions(cubin=False)).ptx


def launch_of(
    source: str, grid: tuple[int, int, int], block: int = 256, numbers: Sequence[int] = (), words: int = 1 << 24,
    fill: Sequence[int] = (),
) -> Launch:  # fmt: skip
    """`k(unsigned* out, unsigned* in, numbers...)`; `in` begins with `fill`, all else is zero."""
    loaded = load_slice(ptx(f'extern "C" __global__ void k{source}'), "k")
    buffers = [loaded.arena.allocate(4 * words, name, poison=False).address for name in ("out", "in")]
    parameters = packed(loaded.program.entry, [*(np.uint64(b) for b in buffers), *numbers])
    geometry = Geometry(grid, (block, 1, 1), (1, 1, 1), loaded.program.static_shared_bytes)
    contents = {buffers[1]: np.array(fill, np.uint32).view(np.uint8)}
    launch = Launch(loaded, geometry, parameters, contents=contents)
    launch.restore()
    return launch


def counted(source: str, grid: int | tuple[int, int, int], **options: object) -> KernelCounts:
    """Counts on an H100."""
    extent = (grid, 1, 1) if isinstance(grid, int) else grid
    return count(launch_of(source, extent, **options), load_machine("h100"))  # type: ignore[arg-type]


def column(counts: KernelCounts, opcode: str, name: str, per: str = "") -> list[float]:
    """A column at the instructions whose text begins so; divided by another if one is named."""
    memory: MemoryCounts = counts.memory
    values = memory.each(name, per) if per else getattr(memory, name)
    return [float(v) for v, site in zip(values, counts.sites, strict=True) if site.text.startswith(opcode)]
