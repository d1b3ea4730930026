"""The contract of a lane-wise instruction: element types of its operands, and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LaneFunction:
    """What one opcode computes in every lane.

    `operands` and `results` name the element type in which each source is read and each destination written; an
    array has the dtype `storage(element_type)`. `apply(*sources, out=None)` takes arrays or NumPy scalars that
    broadcast against each other. With one result it returns an array and writes it to `out` if given, which may
    alias a source exactly (same elements) or not at all; with several it returns a tuple and takes no `out`.

    `is_ufunc_like`: `out` is written without a temporary as large as the result.
    `reads_carry` / `writes_carry`: the carry is the last source / result, of type pred.
    `strict`: as `apply`, but every NaN result has the canonical bits; None if `apply` already does so. PTX asks
    programs not to rely on these bits ("Floating-point instructions"), and checking costs as much as an addition.
    """

    operands: tuple[str, ...]
    results: tuple[str, ...]
    apply: Callable[..., Any]
    is_ufunc_like: bool = False
    reads_carry: bool = False
    writes_carry: bool = False
    strict: Callable[..., Any] | None = None


_STORAGE = {
    "pred": "bool",
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
    "bf16": "uint16",
    "tf32": "float32",
    "b128": "complex128",  # 16 bytes as one item; never used as a number
    **{
        f"{sign}{bits}": f"{kind}{bits}"
        for sign, kind in zip("bus", ("uint", "uint", "int"), strict=True)
        for bits in (8, 16, 32, 64)
    },
    **dict.fromkeys(("e4m3", "e5m2", "e2m1", "e2m3", "e3m2", "ue8m0", "e2m1x2"), "uint8"),
    **dict.fromkeys(("e4m3x2", "e5m2x2", "e2m3x2", "e3m2x2", "ue8m0x2", "e2m1x4"), "uint16"),
    **dict.fromkeys(("e4m3x4", "e5m2x4", "e2m3x4", "e3m2x4"), "uint32"),
    **dict.fromkeys(("f16x2", "bf16x2", "u16x2", "s16x2", "b16x2", "u8x4", "s8x4", "b8x4"), "uint32"),
    **dict.fromkeys(("f32x2", "u32x2", "s32x2"), "uint64"),
}


@cache
def storage(element_type: str) -> np.dtype[Any]:
    """The NumPy dtype that holds one `element_type`; KeyError if PTX has no such type.

    >>> storage("bf16"), storage("f16x2")
    (dtype('uint16'), dtype('uint32'))
    """
    return np.dtype(_STORAGE[element_type])


def written(result: Any, out: Any) -> Any:
    """`result`, or `out` with `result` copied to it when the caller gave one."""
    if out is None:
        return result
    np.copyto(out, result, casting="unsafe")
    return out


def returning(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Give `compute`, which returns a fresh array, the `out` argument of `LaneFunction.apply`."""

    def apply(*sources: Any, out: Any = None) -> Any:
        return written(compute(*sources), out)

    return apply
