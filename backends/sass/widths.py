"""How many consecutive registers each operand of an instruction names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from backends.sass.words import each

# Bits of a value by the modifier that names its type; 32 where none does.
_SIZES = {"64": 2, "128": 4, "256": 8, "U64": 2, "S64": 2, "F64": 2, "TRANS64": 2}
# Rows, columns and depth of matrix products as their modifiers write them.
MATRIX_SHAPES = {
    "884": (8, 8, 4),
    "1684": (16, 8, 4),
    "1688": (16, 8, 8),
    "16816": (16, 8, 16),
    "16832": (16, 8, 32),
    "16864": (16, 8, 64),
    "168128": (16, 8, 128),
    "168256": (16, 8, 256),
    "8816": (8, 8, 16),
    "8832": (8, 8, 32),
    "8864": (8, 8, 64),
    "88128": (8, 8, 128),
}
# Bits of an element of the factors: by the type modifier, else by the opcode.
_ELEMENT_BITS = {"TF32": 32, "S4": 4, "U4": 4}
_OPCODE_BITS = {"HMMA": 16, "IMMA": 8, "QMMA": 8, "OMMA": 4, "DMMA": 64, "BMMA": 1}
_LANES = 32
_WARPGROUP_LANES = 128
_GROUP_SHAPE = re.compile(r"64x(\d+)x(\d+)")
_TENSOR_ROWS = re.compile(r"(?:\d+dp(\d+)bit\w*)")

Widths = Callable[[str, Sequence[str], int], int]


def operand_width(opcode: str, modifiers: Sequence[str], position: int, operand: str) -> int:
    """Registers of the operand at a position, counted from 0 with predicates left out; not for addresses.

    >>> operand_width("IMAD", ("WIDE",), 0, "R4"), operand_width("IMAD", ("WIDE",), 1, "R4")
    (2, 1)
    >>> [operand_width("HMMA", ("16816", "F32"), i, "R4") for i in range(4)]
    [4, 4, 2, 4]
    """
    if ".F32x2" in operand:
        return 2
    rule = _RULES.get(opcode)
    return rule(opcode, modifiers, position) if rule else 2 if "64" in modifiers else 1


def value_width(modifiers: Sequence[str]) -> int:
    """Registers of a value in memory by its size modifier."""
    return max((_SIZES.get(name, 1) for name in modifiers), default=1)


def _value(_opcode: str, modifiers: Sequence[str], _position: int) -> int:
    return value_width(modifiers)


def _double(_opcode: str, _modifiers: Sequence[str], _position: int) -> int:
    return 2


def _single(_opcode: str, _modifiers: Sequence[str], _position: int) -> int:
    return 1


def _product(_opcode: str, modifiers: Sequence[str], position: int) -> int:
    """Wide products have 64-bit results and addends; high halves come of 64-bit addends."""
    wide = (0, 3) if "WIDE" in modifiers else (3,) if "HI" in modifiers else ()
    return 2 if position in wide or "64" in modifiers else 1


def _packed(_opcode: str, _modifiers: Sequence[str], position: int) -> int:
    return 2 if position == 0 else 1


def _barrier(_opcode: str, modifiers: Sequence[str], position: int) -> int:
    """Barriers in shared memory have 64 bits, which arrivals return; a count or a parity that they take has 32."""
    return 2 if "64" in modifiers or (position == 0 and "ARRIVE" in modifiers) else 1


def _clock(_opcode: str, modifiers: Sequence[str], position: int) -> int:
    return 1 if "32" in modifiers or position else 2


def _conversion(opcode: str, modifiers: Sequence[str], position: int) -> int:
    """Modifiers name the type of the result, then that of the source; one alone is the side that is not 32 bits."""
    types = [name for name in modifiers if name[-2:].isdigit() and name[0] in "FUSB"]
    if len(types) < 2:
        types = _one_type(opcode, types)
    return _SIZES.get(types[position], 1) if position < 2 else 1


def _one_type(opcode: str, types: list[str]) -> list[str]:
    """F2I and I2F leave out a 32-bit side: what is told of F2I is an integer result or an F64 source."""
    told = types[0] if types else "32"
    is_result = told.startswith("F") == opcode.endswith("F")
    return [told, "32"] if is_result else ["32", told]


def _matrices(kind: str) -> int:
    return int(kind) if kind in ("2", "4") else 1


def _matrix_load(_opcode: str, modifiers: Sequence[str], _position: int) -> int:
    return max(map(_matrices, modifiers), default=1)


def _tensor_memory(_opcode: str, modifiers: Sequence[str], _position: int) -> int:
    """Columns times registers of a column: one for rows of 32 and of 64 bits, two for 128, four for 256."""
    repeats = next((int(name[1:]) for name in modifiers if re.fullmatch(r"x\d+", name)), 1)
    bits = next((int(found[1]) for name in modifiers if (found := _TENSOR_ROWS.fullmatch(name))), 32)
    return repeats * max(1, bits // 64)


def _matrix_product(opcode: str, modifiers: Sequence[str], position: int) -> int:
    """A, B and C of a warp's product hold rows x depth, columns x depth, rows x columns; a sparse A holds half."""
    shape = next((MATRIX_SHAPES[name] for name in modifiers if name in MATRIX_SHAPES), None)
    if shape is None or position > 3:
        return 1
    rows, columns, depth = shape
    bits = next((_ELEMENT_BITS[name] for name in modifiers if name in _ELEMENT_BITS), _OPCODE_BITS[opcode])
    sums = 64 if opcode == "DMMA" else 16 if "F16" in modifiers and "F32" not in modifiers else 32
    # The result comes first, and the addend last.
    total = (rows * columns * sums, rows * depth * bits, columns * depth * bits, rows * columns * sums)[position]
    is_halved = position == 1 and "SP" in modifiers
    return max(1, total // (_LANES * 32) // (2 if is_halved else 1))


def _group_product(opcode: str, modifiers: Sequence[str], position: int) -> int:
    """wgmma: 64 x N results among 128 lanes; a first factor in registers is 64 rows of 32 bytes."""
    found = next(found for name in modifiers if (found := _GROUP_SHAPE.fullmatch(name)))
    bits = 32 if opcode in ("IGMMA", "BGMMA") or "F32" in modifiers else 16
    is_factor = position == 1
    return 4 if is_factor else 64 * int(found[1]) * bits // (_WARPGROUP_LANES * 32)


_RULES: dict[str, Widths] = {
    **each("LDG LDS LDL LD LDC LDCU ULDC STG STS STL ST ATOM ATOMG ATOMS RED REDG REDAS STAS", _value),
    **each("LDGMC FRND UFRND", _value),
    **each("DADD DFMA DMUL DMNMX DSETP", _double),
    **each("IMAD UIMAD", _product),
    **each("FADD2 FMUL2 FFMA2", _packed),
    **each("F2F F2I I2F UF2F UF2I UI2F", _conversion),
    **each("LDSM STSM", _matrix_load),
    **each("LDTM STTM LDT STT", _tensor_memory),
    **each("HMMA IMMA BMMA QMMA OMMA DMMA", _matrix_product),
    **each("HGMMA IGMMA QGMMA BGMMA", _group_product),
    **each("RET BRX JMX CALL JMP BRXU JMXU", _double),
    **each("MUFU SHF USHF", _single),
    "CS2R": _clock,
    "SYNCS": _barrier,
}
