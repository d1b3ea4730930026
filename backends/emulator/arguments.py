"""Kernel arguments as the bytes of the parameter block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backends.device import Argument, Buffer, TensorMap
from backends.emulator.program import parameter_places
from backends.emulator.tensor import tensor_map as maps
from backends.emulator.tensor.tensor_map_bytes import encode
from backends.ptx.syntax import Function, Parameter
from ir.diagnostics import fail


def packed(entry: Function, arguments: Sequence[Argument]) -> bytes:
    """The parameter block; raises UserError for a wrong number of arguments, or one of the wrong kind or size."""
    if len(arguments) != len(entry.parameters):
        raise fail(
            "bad-arguments",
            f"kernel {entry.name} has {len(entry.parameters)} parameters, {len(arguments)} arguments were given",
            entry.place,
        )  # fmt: skip
    places, nbytes = parameter_places(entry)
    block = bytearray(nbytes)
    for parameter, argument in zip(entry.parameters, arguments, strict=True):
        data = _bytes_of(entry, parameter, argument)
        start, size = places[parameter.name]
        if len(data) != size:
            raise _bad(entry, parameter, f"{len(data)} bytes, {size} are expected")
        block[start : start + size] = data
    return bytes(block)


def _bytes_of(entry: Function, parameter: Parameter, argument: Argument) -> bytes:
    match argument:
        case Buffer():
            return argument.address.to_bytes(8, "little")
        case TensorMap():
            return encoded(argument)
        case bytes():
            return argument
        case np.generic():
            return argument.tobytes()
        case float():
            return _float(entry, parameter, argument)
    return _integer(entry, parameter, int(argument))


def _integer(entry: Function, parameter: Parameter, value: int) -> bytes:
    """Any integer type may hold it, signed or not, if its bits fit."""
    bits = 8 * parameter.bytes
    if parameter.type[0] == "f" and parameter.type not in ("f16x2",):
        return _float(entry, parameter, float(value))
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise _bad(entry, parameter, f"{value}, which does not fit {bits} bits")
    return (value & ((1 << bits) - 1)).to_bytes(parameter.bytes, "little")


def _float(entry: Function, parameter: Parameter, value: float) -> bytes:
    if parameter.bytes not in (2, 4, 8) or parameter.type[0] in "us":
        raise _bad(entry, parameter, f"the number {value}")
    return np.array(value, f"f{parameter.bytes}").tobytes()


def encoded(argument: TensorMap) -> bytes:
    """The 128 bytes that this device reads as a tensor map; raises UserError for one that the driver refuses."""
    rank = len(argument.extents)
    try:
        tensor_map = maps.TensorMap(
            dtype=maps.DataType[argument.dtype], address=argument.buffer.address, extents=argument.extents,
            strides_bytes=argument.strides_bytes, box=argument.box,
            element_strides=argument.element_strides or (1,) * rank, swizzle=maps.MapSwizzle[argument.swizzle],
            fill=maps.Fill.NAN if argument.fill_nan else maps.Fill.ZEROS,
        )  # fmt: skip
        maps.validate(tensor_map)
    except maps.TensorMapError as error:
        raise fail("bad-tensor-map", f"tensor map of `{argument.buffer.label}`: {error}") from error
    return encode(tensor_map)


def _bad(entry: Function, parameter: Parameter, what: str) -> Exception:
    return fail(
        "bad-arguments", f"kernel {entry.name}, parameter {parameter.name} of type {parameter.type}: got {what}",
        parameter.place,
    )  # fmt: skip
