"""What comparisons and selections compute."""

from __future__ import annotations

import math
from collections.abc import Callable

from backends.emulator.semantics.forms import Opcode
from tests.backends.emulator.semantics.model import FORMATS, flushed, read, write

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_ORDER |= {new: _ORDER[old] for new, old in (("lo", "lt"), ("ls", "le"), ("hi", "gt"), ("hs", "ge"))}


def holds(comparison: str, a: float, b: float) -> bool:
    """An ordered comparison is false and an unordered one true if a source is NaN."""
    unordered = math.isnan(a) or math.isnan(b)
    if comparison in ("num", "nan"):
        return unordered == (comparison == "nan")
    if unordered:
        return len(comparison) == 3
    return _ORDER[comparison[:2]](a, b)


def _combine(op: Opcode, first: bool, second: int | None) -> int:
    if second is None:
        return int(first)
    return int(
        {"and": first and second, "or": first or second, "xor": first != bool(second)}[op.among(("and", "or", "xor"))]
    )


def _true(op: Opcode, a: int, b: int) -> bool:
    values = [read(x, op.type) for x in (a, b)]
    if op.has("ftz"):
        values = [flushed(x, op.type) for x in values]
    return holds(op.parts[1], *values)


def _setp(op: Opcode, a: int, b: int, c: int | None = None) -> tuple[int, ...]:
    return (_combine(op, _true(op, a, b), c),)


def setp_pair(op: Opcode, a: int, b: int, c: int | None = None) -> tuple[int, ...]:
    true = _true(op, a, b)
    return _combine(op, true, c), _combine(op, not true, c)


def _set(op: Opcode, *sources: int) -> tuple[int, ...]:
    to = op.parts[-2]
    (true,) = _setp(op, *sources)
    return (write(1.0 if true else 0.0, to) if to in FORMATS else write(-true, to),)


def _slct(op: Opcode, a: int, b: int, c: int) -> tuple[int, ...]:
    return (
        (a if read(c, op.type) >= 0 else b,)
        if not op.has("ftz")
        else (a if flushed(read(c, op.type), op.type) >= 0 else b,)
    )


ORACLES: dict[str, Callable[..., tuple[int, ...]]] = {
    "setp": _setp,
    "set": _set,
    "selp": lambda op, a, b, p: (a if p else b,),
    "slct": _slct,
}
