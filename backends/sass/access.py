"""What each memory instruction moves: space, kind, bytes of a lane, whether all lanes share the address."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backends.sass.instruction import MemoryAccess
from backends.sass.widths import operand_width, value_width

_REGISTER_BYTES = 4
_SMALL = {"U8": 1, "S8": 1, "U16": 2, "S16": 2}
_VECTOR_REGISTER = re.compile(r"\bR\d+")
# Opcode -> (space, kind).
_ACCESSES = {
    "LDG": ("global", "load"),
    "STG": ("global", "store"),
    "ATOMG": ("global", "atomic"),
    "REDG": ("global", "reduce"),
    "RED": ("global", "reduce"),
    "LDGMC": ("global", "load"),
    "LD": ("generic", "load"),
    "ST": ("generic", "store"),
    "ATOM": ("generic", "atomic"),
    "LDS": ("shared", "load"),
    "LDSM": ("shared", "load"),
    "STS": ("shared", "store"),
    "STSM": ("shared", "store"),
    "ATOMS": ("shared", "atomic"),
    "SYNCS": ("shared", "atomic"),
    "LDL": ("local", "load"),
    "STL": ("local", "store"),
    "LDC": ("constant", "load"),
    "LDCU": ("constant", "load"),
    "ULDC": ("constant", "load"),
    "STAS": ("distributed", "store"),
    "REDAS": ("distributed", "reduce"),
    "LDTM": ("tensor", "load"),
    "STTM": ("tensor", "store"),
    "LDT": ("tensor", "load"),
    "STT": ("tensor", "store"),
    "UTCCP": ("tensor", "copy"),
    "LDGSTS": ("global", "copy"),
    "UTMALDG": ("global", "copy"),
    "UTMASTG": ("global", "copy"),
    "UTMAREDG": ("global", "copy"),
    "UTMAPF": ("global", "copy"),
    "UBLKCP": ("global", "copy"),
    "UBLKRED": ("global", "copy"),
    "UBLKPF": ("global", "copy"),
}
_BULK = ("UTMA", "UBLK", "UTCCP")
_MATRIX = ("LDSM", "STSM", "LDTM", "STTM", "LDT", "STT")


def access_of(opcode: str, modifiers: Sequence[str], operands: Sequence[str]) -> MemoryAccess | None:
    """The access of an instruction, None where it touches no memory.

    >>> access_of("LDG", ("E", "128"), ("R4", "desc[UR6][R2.64]"))
    MemoryAccess(space='global', kind='load', bytes_per_lane=16, is_uniform_address=False)
    """
    if opcode not in _ACCESSES:
        return None
    space, kind = _ACCESSES[opcode]
    is_uniform = not any("[" in operand and _VECTOR_REGISTER.search(operand) for operand in operands)
    return MemoryAccess(space, kind, _bytes(opcode, modifiers), is_uniform)


def _bytes(opcode: str, modifiers: Sequence[str]) -> int:
    if opcode.startswith(_BULK):
        return 0
    if opcode in _MATRIX:
        return _REGISTER_BYTES * operand_width(opcode, modifiers, 0, "")
    small = next((_SMALL[name] for name in modifiers if name in _SMALL), None)
    return small or _REGISTER_BYTES * value_width(modifiers)
