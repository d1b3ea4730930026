"""The parameters of a compiled Triton kernel: the signature, flattened as Triton's launcher flattens it.

Constants vanish, tuples are flattened, and a tensor descriptor becomes either a tensor map with shape and strides (if
TMA reads through it) or a plain pointer with shape and strides, twice. Two pointers to scratch memory come last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends.compilers.artifact import Parameter, TensorMapLayout
from backends.compilers.entry_header import Head

POINTER_BYTES = 8
# A CUtensorMap: 128 bytes, 64-byte aligned. Source: CUDA driver API, cuda.h.
TENSOR_MAP_BYTES, TENSOR_MAP_ALIGNMENT = 128, 64
SCALAR_BYTES = {
    "i1": 1, "u1": 1, "i8": 1, "u8": 1, "i16": 2, "u16": 2, "fp16": 2, "bf16": 2,
    "i32": 4, "u32": 4, "fp32": 4, "f32": 4, "i64": 8, "u64": 8, "fp64": 8,
}  # fmt: skip
# Triton's device code numbers three element types of TMA otherwise than the driver's CUtensorMapDataType.
_TO_DRIVER = {8: 10, 9: 8, 10: 9}
_DESCRIPTOR = re.compile(r"tensordesc(?:_im2col)?<([^\[>]*)\[([^\]]*)\](?:.*,input_rank=(\d+))?")
# Flags that follow the pointer form of a descriptor: newer versions of Triton have two, older ones one.
_FLAGS = (("nan-padding", "tf32-rounding"), ("nan-padding",))


def launch_parameters(
    signature: Mapping[str, Any], attributes: Mapping[tuple[int, ...], Any], layouts: Sequence[Any], head: Head
) -> tuple[Parameter, ...]:
    """Every parameter in the order of PTX, hidden ones included.

    `layouts` has Triton's metadata of each descriptor, empty where none is a tensor map. Raises ValueError where the
    entry has other parameters than the signature explains.
    """
    flat = _flattened(signature, layouts, head)
    places = {name: index for index, name in enumerate(signature)}
    return tuple(p if p.is_hidden else replace(p, divisibility=_divisibility(p, places, attributes)) for p in flat)


def _divisibility(parameter: Parameter, places: Mapping[str, int], attributes: Mapping[tuple[int, ...], Any]) -> int:
    said = attributes.get((places[parameter.argument], *parameter.path), ())
    return next((value for name, value in said if name == "tt.divisibility"), 1)


def _flattened(signature: Mapping[str, Any], layouts: Sequence[Any], head: Head) -> tuple[Parameter, ...]:
    found = [(p.bytes, p.count is not None) for p in head.parameters]
    for flags in _FLAGS:
        maps = iter(layouts or ())
        visible = [p for name, t in signature.items() for p in _flatten(t, maps, flags, bool(layouts), name, ())]
        flat = (*visible, *map(_scratch, ("global-scratch", "profile-scratch")))
        if [(p.bytes, p.role == "tensor-map") for p in flat] == found:
            return flat
    raise ValueError(f"entry {head.name} has {len(found)} parameters, which its signature {signature} does not explain")


def _flatten(
    kind: Any, maps: Iterator[Any], flags: tuple[str, ...], has_maps: bool, name: str, path: tuple[int, ...]
) -> Iterator[Parameter]:
    if isinstance(kind, tuple | list):
        for index, inner in enumerate(kind):
            yield from _flatten(inner, maps, flags, has_maps, name, (*path, index))
    elif found := _DESCRIPTOR.match(kind):
        rank = int(found[3]) if found[3] else found[2].count(",") + 1
        layout = next(maps) if has_maps else None
        yield from _descriptor(found[1], rank, layout, flags, name, path)
    elif kind.startswith("*"):
        yield Parameter("pointer", kind[1:].removeprefix("k"), POINTER_BYTES, POINTER_BYTES, name, path)
    elif kind != "constexpr":
        yield _scalar("scalar", kind, name, path)


def _descriptor(
    dtype: str, rank: int, layout: Any, flags: tuple[str, ...], name: str, path: tuple[int, ...]
) -> Iterator[Parameter]:
    """What the launcher passes for one descriptor; the shape in 32 bits and strides come last in both forms."""
    if layout is None:
        yield Parameter("base", dtype, POINTER_BYTES, POINTER_BYTES, name, path)
        yield from (_scalar("shape", "i64", name, path, axis) for axis in range(rank))
        yield from (_scalar("stride", "i64", name, path, axis) for axis in range(rank))
        yield from (_scalar(flag, "i1", name, path) for flag in flags)
    else:
        tensor_map = _layout(layout)
        yield Parameter("tensor-map", dtype, TENSOR_MAP_BYTES, TENSOR_MAP_ALIGNMENT, name, path, tensor_map=tensor_map)
    yield from (_scalar("shape", "i32", name, path, axis) for axis in range(rank))
    yield from (_scalar("stride", "i64", name, path, axis) for axis in range(rank))


def _layout(data: Mapping[str, Any]) -> TensorMapLayout:
    kind = data["elem_type"]
    return TensorMapLayout(
        swizzle=data["swizzle"],
        element_type=_TO_DRIVER.get(kind, kind),
        element_bytes=data["elem_size"],
        box=tuple(data["block_size"]),
        fp4_padded=bool(data["fp4_padded"]),
        im2col=bool(data.get("is_im2col", False)),
    )


def _scalar(role: str, dtype: str, name: str, path: tuple[int, ...], axis: int = 0) -> Parameter:
    return Parameter(role, dtype, SCALAR_BYTES[dtype], SCALAR_BYTES[dtype], name, path, axis)


def _scratch(role: str) -> Parameter:
    return Parameter(role, "i8", POINTER_BYTES, POINTER_BYTES)
