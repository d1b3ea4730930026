"""Kernel arguments as the driver takes them: the bytes of each parameter, and an array of pointers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.cuda.driver import Driver, DriverError
from backends.device import Argument, Buffer, TensorMap
from ir.diagnostics import fail

# The driver wants a tensor map at a multiple of it.
_ALIGNMENT_BYTES = 64
_SWIZZLES = {"NONE": "NONE", "B32": "32B", "B64": "64B", "B128": "128B"}


class Parameters:
    """Arguments of one launch in host memory, which lives as long as this object. `pointers`: address of the array."""

    def __init__(self, driver: Driver, entry: str, function: Any, arguments: Sequence[Argument]) -> None:
        sizes = parameter_bytes(driver, function)
        if len(sizes) != len(arguments):
            message = f"kernel {entry} has {len(sizes)} parameters, {len(arguments)} arguments were given"
            raise fail("bad-arguments", message)
        encoded = [_encoded(driver, a, n) for a, n in zip(arguments, sizes, strict=True)]
        for number, (data, nbytes) in enumerate(zip(encoded, sizes, strict=True)):
            if len(data) != nbytes:
                message = f"kernel {entry}, parameter {number}: {len(data)} bytes, {nbytes} are expected"
                raise fail("bad-arguments", message)
        self._storage = [_aligned(data) for data in encoded]
        self._array = np.array([s.ctypes.data for s in self._storage], np.uint64)

    @property
    def pointers(self) -> int:
        """Address of the array of addresses, 0 for a kernel without parameters."""
        return int(self._array.ctypes.data) if len(self._array) else 0


def parameter_bytes(driver: Driver, function: Any) -> list[int]:
    """Size of each parameter of a loaded function."""
    sizes: list[int] = []
    while True:
        try:
            _offset, nbytes = driver.call("cuFuncGetParamInfo", function, len(sizes))
        except DriverError as error:
            if error.code != "CUDA_ERROR_INVALID_VALUE":
                raise
            return sizes
        sizes.append(int(nbytes))


def _encoded(driver: Driver, argument: Argument, nbytes: int) -> bytes:
    match argument:
        case Buffer():
            return argument.address.to_bytes(8, "little")
        case TensorMap():
            return tensor_map_bytes(driver, argument)
        case bytes():
            return argument
        case np.generic():
            return argument.tobytes()
        case float():
            return np.array(argument, f"f{nbytes}").tobytes()
    return (int(argument) % (1 << 8 * nbytes)).to_bytes(nbytes, "little")


def tensor_map_bytes(driver: Driver, argument: TensorMap) -> bytes:
    """What `cuTensorMapEncodeTiled` makes of it. Raises UserError (bad-tensor-map)."""
    api, rank = driver.api, len(argument.extents)
    try:
        encoded = driver.call(
            "cuTensorMapEncodeTiled",
            getattr(api.CUtensorMapDataType, f"CU_TENSOR_MAP_DATA_TYPE_{argument.dtype}"),
            rank,
            argument.buffer.address,
            [api.cuuint64_t(n) for n in argument.extents],
            [api.cuuint64_t(n) for n in argument.strides_bytes],
            [api.cuuint32_t(n) for n in argument.box],
            [api.cuuint32_t(n) for n in argument.element_strides or (1,) * rank],
            api.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
            getattr(api.CUtensorMapSwizzle, f"CU_TENSOR_MAP_SWIZZLE_{_SWIZZLES[argument.swizzle]}"),
            api.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            _fill(api, argument.fill_nan),
        )
    except DriverError as error:
        message = f"the driver refuses the tensor map of `{argument.buffer.label}`: {error.code}"
        raise fail("bad-tensor-map", message) from error
    words = np.array([int(word) for word in encoded.opaque], np.uint64)
    return words.tobytes()


def _fill(api: Any, with_nan: bool) -> Any:
    fills = api.CUtensorMapFloatOOBfill
    if with_nan:
        return fills.CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA
    return fills.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE


def _aligned(data: bytes) -> NDArray[np.uint8]:
    room = np.zeros(len(data) + _ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT_BYTES
    room[start : start + len(data)] = np.frombuffer(data, np.uint8)
    return room[start : start + len(data)]
