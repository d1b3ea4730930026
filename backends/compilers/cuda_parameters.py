"""The parameters of a CUDA kernel: sizes out of PTX, names and types as the caller states them."""

from __future__ import annotations

from collections.abc import Mapping

from backends.compilers.artifact import Parameter
from backends.compilers.entry_header import Head, HeadParameter
from backends.compilers.triton_parameters import (
    POINTER_BYTES,
    SCALAR_BYTES,
    TENSOR_MAP_ALIGNMENT,
    TENSOR_MAP_BYTES,
)
from ir.diagnostics import Diagnostic, Location, UserError, fail

# Letter of a PTX type -> Triton's name of the scalar, without its bits.
_SCALARS = {"u": "u", "s": "i", "b": "u", "f": "fp"}


def cuda_parameters(head: Head, arguments: Mapping[str, str], place: Location) -> tuple[Parameter, ...]:
    """Every parameter in the order of PTX; `arguments`: name -> type in order, or none at all.

    Without types a pointer is told from a 64-bit scalar only where PTX has `.ptr`: NVRTC writes it from sm_100 on.
    Raises UserError (`argument-mismatch`) where number or sizes differ from the entry's.
    """
    if not arguments:
        return tuple(_by_itself(p, str(i)) for i, p in enumerate(head.parameters))
    if len(arguments) != len(head.parameters):
        message = f"kernel `{head.name}` has {len(head.parameters)} parameters, and {len(arguments)} arguments are told"
        raise fail("argument-mismatch", message, place, "state one argument for each parameter, in order")
    pairs = list(zip(head.parameters, arguments.items(), strict=True))
    wrong = [_mismatch(p, name, kind, place) for p, (name, kind) in pairs if _bytes_of(kind, p) != p.bytes]
    if wrong:
        raise UserError(*wrong)
    return tuple(_told(p, name, kind) for p, (name, kind) in pairs)


def _mismatch(found: HeadParameter, name: str, kind: str, place: Location) -> Diagnostic:
    message = f"`{name}` is told to be {kind}, and the kernel's parameter has {found.bytes} bytes"
    return Diagnostic("argument-mismatch", message, place, "state the type that the kernel declares")


def _bytes_of(kind: str, found: HeadParameter) -> int:
    """Bytes of a told type; of a struct those that the kernel has."""
    if kind.startswith("*"):
        return POINTER_BYTES
    return TENSOR_MAP_BYTES if kind.startswith("tensordesc") else SCALAR_BYTES.get(kind, found.bytes)


def _told(found: HeadParameter, name: str, kind: str) -> Parameter:
    if kind.startswith("*"):
        return Parameter("pointer", kind[1:], found.bytes, found.align, name)
    if kind in SCALAR_BYTES:
        return Parameter("scalar", kind, found.bytes, found.align, name)
    return _by_itself(found, name)


def _by_itself(found: HeadParameter, name: str) -> Parameter:
    """128 bytes that are aligned to 64 or more count as a CUtensorMap, which PTX does not tell from other structs."""
    size, alignment = found.bytes, found.align
    if found.count is not None:
        is_map = size == TENSOR_MAP_BYTES and alignment >= TENSOR_MAP_ALIGNMENT
        return Parameter("tensor-map" if is_map else "struct", "", size, alignment, name)
    if found.is_pointer:
        return Parameter("pointer", "", size, alignment, name)
    return Parameter("scalar", f"{_SCALARS[found.type]}{found.bits}", size, alignment, name)
