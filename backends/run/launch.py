"""From a compiled kernel and its arguments by name to one launch on a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

from backends.compilers import launch as call
from backends.compilers.artifact import Compiled
from backends.device import Argument, Buffer, Device, Extent, Kernel, LaunchConfig, LaunchResult, TensorMap
from ir.diagnostics import fail

# CUtensorMapDataType and CUtensorMapSwizzle of the CUDA driver API, in the order of their numbers.
_DATA_TYPES = (
    "UINT8", "UINT16", "UINT32", "INT32", "UINT64", "INT64", "FLOAT16", "FLOAT32", "FLOAT64", "BFLOAT16",
    "FLOAT32_FTZ", "TFLOAT32", "TFLOAT32_FTZ",
)  # fmt: skip
_SWIZZLES = ("NONE", "B32", "B64", "B128")


def run_compiled(
    device: Device, kernel: Kernel, compiled: Compiled, arguments: Mapping[str, Any], grid: Extent
) -> LaunchResult:
    """Launch `compiled`, which is loaded as `kernel`, and wait for it.

    `arguments`: parameter -> number, bytes, address, `compilers.launch.Descriptor`, object with `data_ptr()`.
    `grid` counts programs of Triton and Gluon, which do nothing when there are none, and blocks of CUDA C++.
    Raises UserError: missing-argument, wrong-specialisation, bad-launch, bad-arguments, bad-tensor-map; MemoryError.
    """
    if not prod(grid) and compiled.language in ("triton", "gluon"):
        return LaunchResult()
    with prepared(device, compiled, arguments, grid) as (config, values):
        return device.launch(kernel, config, values)


@contextmanager
def prepared(
    device: Device, compiled: Compiled, arguments: Mapping[str, Any], grid: Extent
) -> Iterator[tuple[LaunchConfig, list[Argument]]]:
    """What `Device.launch` is told; the launch's scratch memory is there within. Raises as `run_compiled`."""
    shape = call.launch_shape(compiled, grid)
    config = LaunchConfig(shape.grid, shape.block, shape.dynamic_smem_bytes, shape.cluster, shape.cooperative)
    scratch = {role: device.allocate(size, role) for role, size in call.scratch_bytes(compiled, grid).items()}
    try:
        addresses = {role: buffer.address for role, buffer in scratch.items()}
        yield config, device_arguments(compiled, arguments, addresses)
    finally:
        for buffer in scratch.values():
            device.free(buffer)


def device_arguments(
    compiled: Compiled, arguments: Mapping[str, Any], scratch: Mapping[str, int] | None = None
) -> list[Argument]:
    """The arguments of `Device.launch`, in the order of PTX."""
    values = call.parameter_values(compiled, arguments, scratch)
    return [
        _tensor_map(p.argument, v) if isinstance(v, call.TensorMap) else call.encode(p, v)
        for p, v in zip(compiled.parameters, values, strict=True)
    ]


def _tensor_map(name: str, tensor_map: call.TensorMap) -> TensorMap:
    """Triton counts dimensions from the outermost, the driver from the innermost."""
    layout = tensor_map.layout
    if layout.im2col:
        raise fail("unsupported-tensor-map", f"`{name}` is read through an im2col tensor map, which is not supported")
    nbytes = prod(tensor_map.shape) * layout.element_bytes
    return TensorMap(
        buffer=Buffer(tensor_map.address, nbytes, name),
        dtype=_DATA_TYPES[layout.element_type],
        extents=tensor_map.shape[::-1],
        strides_bytes=tensor_map.stride_bytes[::-1],
        box=layout.box[::-1],
        swizzle=_SWIZZLES[layout.swizzle],
        fill_nan=tensor_map.nan_padding,
    )
