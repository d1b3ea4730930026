"""Which keys of the task file an answer may set: the launch and the kernel's own constants, never the problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from optiml.propose.protocol import Unit

_EXTENTS, _COUNT, _FLAG = "a list of expressions", "a number above 0", "true or false"
_CUDA = {
    "launch.grid": _EXTENTS,
    "launch.block": _EXTENTS,
    "launch.cluster": _EXTENTS,
    "launch.smem_bytes": "an expression",
    "launch.cooperative": _FLAG,
    "compile.fast_math": _FLAG,
}
_TRITON = {
    "launch.grid": _EXTENTS,
    "launch.num_warps": _COUNT,
    "launch.num_stages": _COUNT,
    "launch.num_ctas": _COUNT,
}
KEYS: Mapping[str, Mapping[str, str]] = {"cuda": _CUDA, "triton": _TRITON, "gluon": _TRITON}


def forbidden(given: Mapping[str, Any], unit: Unit) -> str:
    """Why these keys or values may not be set; empty where they may."""
    faults = (_fault(key, value, unit) for key, value in given.items())
    return next((f for f in faults if f), "")


def _fault(key: str, value: Any, unit: Unit) -> str:
    if key == "entry":
        return "" if _is_entry(value, unit) else "`entry` must stay the same kernel; its template arguments may change"
    if key.startswith("constants."):
        return _constant_fault(key.removeprefix("constants."), value, unit)
    kinds = KEYS[unit.candidate.language]
    if key not in kinds:
        return f"`{key}` may not be set; what may: {', '.join(kinds)}, constants.NAME, entry"
    return "" if _CHECKS[kinds[key]](value) else f"`{key}` must be {kinds[key]}"


def _constant_fault(name: str, value: Any, unit: Unit) -> str:
    sizes = {symbol for row in unit.task.sizes["report"] for symbol in row}
    if name in sizes or (name in unit.constants and name not in unit.tunable):
        return f"`{name}` is part of the problem and may not be set"
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        return f"`{name}` is no name of a constant"
    return "" if isinstance(value, bool | int | float | str) else f"`constants.{name}` must be a number or a string"


def _is_entry(value: Any, unit: Unit) -> bool:
    return isinstance(value, str) and value.partition("<")[0].strip() == unit.entry


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


_CHECKS = {
    _EXTENTS: lambda v: isinstance(v, list) and 1 <= len(v) <= 3 and all(map(_is_expression, v)),
    _COUNT: lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0,
    _FLAG: lambda v: isinstance(v, bool),
    "an expression": _is_expression,
}
