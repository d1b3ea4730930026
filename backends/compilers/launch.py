"""From a kernel's arguments to the values of its PTX parameters, and to the shape of its launch."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backends.compilers.artifact import Compiled, Parameter, TensorMapLayout
from ir.diagnostics import Diagnostic, UserError, fail

# CU_TENSOR_MAP_DATA_TYPE_TFLOAT32. Source: CUDA driver API, CUtensorMapDataType.
_TF32 = 11
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLOATS = {"fp16": "e", "fp32": "f", "f32": "f", "fp64": "d"}


@dataclass(frozen=True)
class TensorMap:
    """A CUtensorMap that a device is to encode: address, extents and strides in elements, outermost first."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    layout: TensorMapLayout
    nan_padding: bool = False

    @property
    def stride_bytes(self) -> tuple[int, ...]:
        """Strides of all dimensions but the innermost."""
        return tuple(stride * self.layout.element_bytes for stride in self.strides[:-1])


@dataclass(frozen=True)
class Descriptor:
    """A tensor as the host describes it: address, extents and strides in elements. Triton's own kind serves too."""

    base: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str = "zero"
    round_f32_to_tf32: bool = False


Value = int | float | bytes | TensorMap


@dataclass(frozen=True)
class LaunchShape:
    """What `cuLaunchKernelEx` is told: blocks of the grid, threads of a block, blocks of a cluster, dynamic memory."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cluster: tuple[int, int, int]
    dynamic_smem_bytes: int
    cooperative: bool = False
    dependent_launch: bool = False


def launch_shape(
    compiled: Compiled, grid: tuple[int, int, int], block: tuple[int, int, int] | None = None
) -> LaunchShape:
    """The shape for a grid in programs: Triton counts a cluster as one, the driver counts its blocks.

    Raises UserError: missing-block where neither the code nor the caller gives the block, wrong-block where the
    caller's is not the one that the code requires, or is too large.
    """
    chosen = block or compiled.block
    if chosen is None:
        raise fail("missing-block", f"kernel `{compiled.entry}` leaves the block's size to the launch")
    threads = chosen[0] * chosen[1] * chosen[2]
    if compiled.block not in (None, chosen) or threads > (compiled.max_threads or threads):
        allowed = f"is compiled for {compiled.block}" if compiled.block else f"allows {compiled.max_threads} threads"
        raise fail("wrong-block", f"kernel `{compiled.entry}` {allowed}, and the launch has a block of {chosen}")
    multiple = compiled.cluster if compiled.language in ("triton", "gluon") else (1, 1, 1)
    x, y, z = (count * size for count, size in zip(grid, multiple, strict=True))
    return LaunchShape(
        (x, y, z),
        chosen,
        compiled.cluster,
        compiled.dynamic_smem_bytes,
        compiled.cooperative,
        compiled.dependent_launch,
    )


def scratch_bytes(compiled: Compiled, grid: tuple[int, int, int]) -> dict[str, int]:
    """Bytes to allocate for each hidden parameter that needs any, for a grid in programs."""
    blocks = grid[0] * grid[1] * grid[2] * compiled.cluster[0]
    sizes = {"global-scratch": compiled.global_scratch.bytes, "profile-scratch": compiled.profile_scratch.bytes}
    return {role: size * blocks for role, size in sizes.items() if size}


def parameter_values(
    compiled: Compiled, arguments: Mapping[str, Any], scratch: Mapping[str, int] | None = None
) -> tuple[Value, ...]:
    """The value of each parameter in the order of PTX, from the arguments by name.

    A pointer is an address or an object with `data_ptr()`; a descriptor is a Descriptor; a struct is bytes.
    `scratch`: role -> address of the hidden parameters. Raises UserError: missing-argument, and
    wrong-specialisation where the artifact was compiled for another constant or a better alignment.
    """
    found = [*_missing(compiled, arguments), *_other_constants(compiled, arguments)]
    if found:
        raise UserError(*found)
    values = tuple(_value(p, arguments, scratch or {}) for p in compiled.parameters)
    misaligned = [d for p, v in zip(compiled.parameters, values, strict=True) for d in _misaligned(p, v)]
    if misaligned:
        raise UserError(*misaligned)
    return values


def encode(parameter: Parameter, value: Value) -> bytes:
    """Bytes of a value in parameter space, little-endian; integers wrap. A TensorMap is for the device to encode."""
    if isinstance(value, bytes):
        assert len(value) == parameter.bytes, f"{parameter.argument} has {parameter.bytes} bytes, not {len(value)}"
        return value
    assert not isinstance(value, TensorMap), "a device encodes its tensor maps"
    if parameter.dtype in _FLOATS and parameter.kind != "pointer":
        return struct.pack(f"<{_FLOATS[parameter.dtype]}", value)
    if parameter.dtype == "bf16" and parameter.kind == "scalar":
        return _bfloat16(float(value))
    return (int(value) % (1 << 8 * parameter.bytes)).to_bytes(parameter.bytes, "little")


def _bfloat16(value: float) -> bytes:
    """Round to nearest even; NaN stays NaN."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    rounded = bits >> 16 | 0x40 if value != value else bits + 0x7FFF + (bits >> 16 & 1) >> 16
    return struct.pack("<H", rounded)


def _missing(compiled: Compiled, arguments: Mapping[str, Any]) -> Iterator[Diagnostic]:
    needed = dict.fromkeys(p.argument for p in compiled.parameters if not p.is_hidden)
    for name in needed:
        if name not in arguments:
            yield Diagnostic("missing-argument", f"kernel `{compiled.entry}` has no value for `{name}`")


def _other_constants(compiled: Compiled, arguments: Mapping[str, Any]) -> Iterator[Diagnostic]:
    remedy = "compile the kernel for these arguments"
    for name, constant in compiled.constants.items():
        value = arguments.get(name, constant)
        if isinstance(value, bool | int | float | str | None) and value != constant:
            message = f"`{name}` is compiled in as {constant!r}, and is {value!r} here"
            yield Diagnostic("wrong-specialisation", message, remedy=remedy)


def _misaligned(parameter: Parameter, value: Value) -> Iterator[Diagnostic]:
    if isinstance(value, int) and value % parameter.divisibility:
        message = f"`{parameter.argument}` is {value}, and the code relies on a multiple of {parameter.divisibility}"
        yield Diagnostic("wrong-specialisation", message, remedy="compile the kernel for these arguments")


def _value(parameter: Parameter, arguments: Mapping[str, Any], scratch: Mapping[str, int]) -> Value:
    if parameter.is_hidden:
        return scratch.get(parameter.role, 0)
    given = arguments[parameter.argument]
    for index in parameter.path:
        given = given[index]
    value: Value = _PARTS[parameter.role](parameter, given)
    return value


def _plain(_parameter: Parameter, given: Any) -> Value:
    value: Value = given.data_ptr() if hasattr(given, "data_ptr") else given
    return value


def _address(_parameter: Parameter, given: Any) -> int:
    if given is None:
        return 0
    return int(given.data_ptr()) if hasattr(given, "data_ptr") else int(given)


def _tensor_map(parameter: Parameter, given: Any) -> Value:
    if parameter.tensor_map is None:
        return _plain(parameter, given)
    layout, shape = parameter.tensor_map, tuple(map(int, given.shape))
    if layout.fp4_padded:
        shape = (*shape[:-1], 2 * shape[-1])
    if getattr(given, "round_f32_to_tf32", False):
        layout = TensorMapLayout(**{**vars(layout), "element_type": _TF32})
    strides = tuple(map(int, given.strides))
    return TensorMap(_address(parameter, given.base), shape, strides, layout, given.padding == "nan")


# Role of a parameter -> its value, out of the argument that it is a part of.
_PARTS: dict[str, Any] = {
    "pointer": _address,
    "scalar": _plain,
    "struct": _plain,
    "tensor-map": _tensor_map,
    "base": lambda p, given: _address(p, given.base),
    "shape": lambda p, given: int(given.shape[p.axis]),
    "stride": lambda p, given: int(given.strides[p.axis]),
    "nan-padding": lambda _p, given: int(given.padding == "nan"),
    "tf32-rounding": lambda _p, given: int(getattr(given, "round_f32_to_tf32", False)),
}
