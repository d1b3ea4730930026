"""One table of all lane-wise opcodes: look an opcode up, or list them all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from backends.emulator.semantics import (
    bits,
    compare,
    convert,
    dot,
    float8,
    floating,
    fma,
    integer,
    move,
    packed,
    special,
)
from backends.emulator.semantics.forms import Builder, Forms, Opcode, expand
from backends.emulator.semantics.types import LaneFunction, storage

__all__ = ["LaneFunction", "lookup", "lookup_pair", "lookup_three", "opcodes", "storage"]


def _packed(op: Opcode) -> LaneFunction:
    one = lookup(packed.scalar(op).text)
    if one is None:
        raise LookupError(f"{op.text} has no scalar form")
    return packed.lift(op, one)


_TABLES: tuple[Forms, ...] = (
    *(module.FORMS for module in (integer, bits, floating, fma, compare, convert, float8, move, special, dot)),
    dict.fromkeys(packed.FORMS, _packed),
)


@cache
def _builders(base: str) -> dict[str, Builder]:
    """Opcode to builder, for all opcodes that start with `base`."""
    return {
        opcode: builder
        for table in _TABLES
        for form, builder in table.items()
        if base in form
        for opcode in expand(form)
        if opcode.partition(".")[0] == base
    }


@cache
def lookup(opcode: str) -> LaneFunction | None:
    """The lane function of a full opcode such as "fma.rn.ftz.f32"; None if it is not lane-wise or not implemented."""
    builder = _builders(opcode.partition(".")[0]).get(opcode)
    return builder(Opcode(opcode)) if builder else None


@cache
def lookup_pair(opcode: str) -> LaneFunction | None:
    """The form with destination `p|q` of a `setp` opcode: two results; None if there is no such form."""
    one = lookup(opcode) if opcode.startswith("setp.") else None
    if one is None or len(one.results) == 2:
        return one
    return compare.pair(Opcode(opcode))


@cache
def lookup_three(opcode: str) -> LaneFunction | None:
    """The form with three sources of a `min` or `max` opcode; None if there is no such form."""
    return floating.extreme(Opcode(opcode), 3) if opcode in _THREE else None


_THREE = frozenset(expand("(min|max)[.ftz][.NaN][.abs].f32"))


def opcodes() -> Iterator[str]:
    """Every opcode that `lookup` knows, each once."""
    return iter(dict.fromkeys(opcode for table in _TABLES for form in table for opcode in expand(form)))
