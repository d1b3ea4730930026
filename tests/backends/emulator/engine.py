"""Small PTX kernels run on the emulated device: buffers in, buffers and the launch's result out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from backends.device import LaunchConfig, LaunchResult
from backends.emulator import launch
from backends.emulator.batch import Batch, Settings
from backends.emulator.counters.executed import Executed
from backends.emulator.device import EmulatedKernel, Emulator

Array = NDArray[Any]
REGISTERS = """
    .reg .pred %p<64>; .reg .b16 %h<400>; .reg .b32 %r<400>; .reg .f32 %f<64>; .reg .b64 %rd<400>; .reg .f64 %d<32>;
"""


def kernel(body: str, parameters: int = 1, target: str = "sm_90", declarations: str = "", module: str = "") -> str:
    """A module with one entry `k`; pointer parameter i is in %rd<90 + i> as a global address.

    `declarations` go into the entry, `module` before it. %r0 is %tid.x, %r1 the thread's number in the grid (one
    dimension), %rd0 that number in 64 bits.
    """
    names = ", ".join(f".param .u64 p{i}" for i in range(parameters))
    loads = "\n".join(
        f"ld.param.u64 %rd{90 + i}, [p{i}]; cvta.to.global.u64 %rd{90 + i}, %rd{90 + i};" for i in range(parameters)
    )
    return f"""
.version 8.7
.target {target}
.address_size 64
{module}
.visible .entry k({names})
{{
    {REGISTERS}
    {declarations}
    {loads}
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mad.lo.s32 %r1, %r1, %r2, %r0;
    cvt.u64.u32 %rd0, %r1;
    {body}
    ret;
}}
"""


class Launched:
    """What a launch left: its result, the buffers, the device, the kernel and how often each instruction ran."""

    def __init__(
        self, device: Emulator, loaded: EmulatedKernel, result: LaunchResult, buffers: list[Array], executed: Executed
    ) -> None:
        self.executed = executed
        self.device = device
        self.kernel = loaded
        self.result = result
        self.buffers = buffers

    @property
    def rule(self) -> str | None:
        """The rule of the fault that ended the launch, or None."""
        return None if self.result.fault is None else self.result.fault.rule

    @property
    def message(self) -> str:
        assert self.result.fault is not None
        return self.result.fault.message


def run(
    ptx: str, buffers: Sequence[Array], *, grid: int = 1, block: int | tuple[int, int, int] = 32, shared_bytes: int = 0,
    extra: Sequence[Any] = (), **settings: Any,
) -> Launched:  # fmt: skip
    """Launch the only entry with `buffers` (copied in and out), then `extra` arguments."""
    device = Emulator(replace(Settings(), **settings))
    loaded = device.load(ptx)
    held = [device.allocate(max(b.nbytes, 1), f"b{i}") for i, b in enumerate(buffers)]
    for place, data in zip(held, buffers, strict=True):
        device.write(place, data)
    shape = (block, 1, 1) if isinstance(block, int) else block
    config = LaunchConfig((grid, 1, 1), shape, shared_bytes)
    batches: list[Batch] = []

    def recorded(*positional: Any, **named: Any) -> Batch:
        batches.append(Batch(*positional, **named))
        return batches[-1]

    with patch.object(launch, "Batch", recorded):
        result = device.launch(loaded, config, [*held, *extra])
    executed = Executed.of(len(loaded.loaded.program.instructions))
    for batch in batches:
        executed.add(batch)
    out = [device.read(place, data.dtype, data.shape) for place, data in zip(held, buffers, strict=True)]
    return Launched(device, loaded, result, out, executed)


def values(ptx: str, buffers: Sequence[Array], **arguments: Any) -> list[Array]:
    """The buffers after a launch that must end well."""
    launched = run(ptx, buffers, **arguments)
    assert launched.result.fault is None, str(launched.result.fault)
    return launched.buffers


def both(ptx: str, buffers: Sequence[Array], **arguments: Any) -> tuple[Launched, Launched]:
    """The launch on the NumPy engine and on the native one; some of it must have run natively."""
    reference = run(ptx, buffers, engine="numpy", **arguments)
    native = run(ptx, buffers, engine="native", **arguments)
    assert native.kernel.loaded.engines.start("native", False)[1] != native.kernel.loaded.blocks
    return reference, native


def agree(ptx: str, buffers: Sequence[Array], together: bool = True, **arguments: Any) -> Launched:
    """Both engines give the same bytes, the same fault rule and the same counts; returns NumPy's launch.

    The lanes of a warp that have parted may go on together from other moments on: unless the warps of a kernel stay
    `together`, only the threads that executed each instruction are compared, not the warps.
    """
    reference, native = both(ptx, buffers, **arguments)
    assert native.rule == reference.rule
    if reference.rule is None:
        np.testing.assert_array_equal(reference.executed.threads, native.executed.threads)
        assert native.executed.threads.any()
        if together:
            assert native.result.counters == reference.result.counters
        for mine, other in zip(reference.buffers, native.buffers, strict=True):
            np.testing.assert_array_equal(mine.view(np.uint8), other.view(np.uint8))
    return reference
