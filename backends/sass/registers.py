"""Which registers an instruction reads and writes, from its operands as printed."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence

from backends.sass.instruction import Register
from backends.sass.widths import operand_width
from backends.sass.words import each, words

_REGISTER = re.compile(r"\b(UR|UP|R|P|B)(\d+)(\.64)?")
_PREDICATE = re.compile(r"!?U?P(?:\d|T)")
_PLAIN = re.compile(r"[-~!|]*(?:U?R(?:\d+|Z)|U?P(?:\d|T)|B\d+)(?![\w\[])")
_ADDRESS_SPACE = re.compile(r"\b(desc|gdesc|idesc|tmem|c)\[")
_NO_RESULT = words(
    "ST STG STS STL STSM STTM STT STAS RED REDG REDAS LDGSTS BAR BRA BRX BRXU JMP JMX JMXU CALL RET EXIT WARPSYNC "
    "BSYNC NANOSLEEP DEPBAR MEMBAR CCTL CCTLL UTMALDG UTMASTG UTMAREDG UTMAPF UTMACCTL UBLKCP UBLKPF UBLKRED UTCHMMA "
    "UTCQMMA UTCIMMA UTCOMMA UTCMXQMMA UTCBAR UTCCP UTCSHIFT KILL BREAK SUST SURED UVIRTCOUNT BPT WARPGROUP UREDGR "
    "USTGR UMEMSETS"
)
# Leading predicates that are results, where it is not all of them; and where predicates alone may be results.
_LEADING = {
    **each("ISETP FSETP DSETP HSETP2 UISETP UFSETP PLOP3 UPLOP3 PSETP UPSETP", 2),
    **each("FCHK USETMAXREG", 1),
    **each("VOTE VOTEU UVOTE", -1),
    **each("TEX TLD TLD4 TXD TMML", 2),
}
_TEXTURES = words("TEX TLD TLD4 TXD TMML")
_ALL_PREDICATES = {"PR": "P", "UPR": "UP"}
_PREDICATE_COUNT = 7

Registers = frozenset[Register]


def registers_of(
    opcode: str, modifiers: Sequence[str], operands: Sequence[str], guard: str | None
) -> tuple[Registers, Registers]:
    """Registers read, guard included, and registers written.

    >>> reads, writes = registers_of("LDG", ("E", "64"), ("R4", "desc[UR6][R2.64+0x10]"), "!P0")
    >>> sorted(map(str, reads)), sorted(map(str, writes))
    (['P0', 'R2', 'R3', 'UR6', 'UR7'], ['R4', 'R5'])
    """
    results = _result_count(opcode, operands)
    written: list[Register] = []
    read: list[Register] = list(_named(guard, 1)) if guard else []
    position = 0
    for number, operand in enumerate(operands):
        found = _operand(opcode, modifiers, operands, operand, position)
        (written if number < results else read).extend(found)
        position += not _PREDICATE.fullmatch(operand)
    if opcode == "BREAK":
        written.extend(r for r in read if r.file == "B")
    return frozenset(read), frozenset(written)


def _result_count(opcode: str, operands: Sequence[str]) -> int:
    """Results come first: predicates, then one register, then further predicates (carries, comparisons)."""
    if opcode in _NO_RESULT:
        return 0
    kinds = [_kind(operand) for operand in operands]
    if opcode in _LEADING:
        fixed = _LEADING[opcode]
        return fixed if fixed > 0 else 1 + (kinds[:1] == ["register"] and kinds[1:2] == ["predicate"])
    count = _run(kinds, 0, "predicate")
    if kinds[count : count + 1] != ["register"]:
        return count
    return _run(kinds, count + 1, "predicate")


def _run(kinds: Sequence[str], first: int, kind: str) -> int:
    """Index after the run of a kind that starts at an index."""
    return next((i for i in range(first, len(kinds)) if kinds[i] != kind), len(kinds))


def _kind(operand: str) -> str:
    if _PREDICATE.fullmatch(operand):
        return "predicate"
    return "register" if _PLAIN.match(operand) or operand in _ALL_PREDICATES or operand.startswith("Rpc") else "other"


def _operand(
    opcode: str, modifiers: Sequence[str], operands: Sequence[str], operand: str, position: int
) -> Iterable[Register]:
    operand = operand.partition("`")[0]
    if operand in _ALL_PREDICATES:
        return _masked(_ALL_PREDICATES[operand], operands[-1])
    if "[" in operand:
        return _address(opcode, modifiers, operands, operand)
    if opcode in _TEXTURES:
        return _named(operand, _texture_width(operands[-1], position))
    is_one = operand.startswith(("P", "UP", "!", "B"))
    return _named(operand, 1 if is_one else operand_width(opcode, modifiers, position, operand))


def _texture_width(mask: str, position: int) -> int:
    """The second operand takes the first two channels that the mask selects, the first one the rest; both are results.

    Sources are a pair of coordinates, then single values.
    """
    if position > 1:
        return 2 if position == 2 else 1
    channels = bin(int(mask, 0)).count("1") if mask.startswith("0x") else 4
    return min(channels, 2) if position == 1 else max(channels - 2, 1)


def _named(operand: str, width: int) -> Iterator[Register]:
    for file, index, _wide in _REGISTER.findall(operand):
        yield from _span(file, int(index), width)


@functools.cache
def _span(file: str, first: int, width: int) -> tuple[Register, ...]:
    return tuple(Register(file, first + i) for i in range(width))


def _masked(file: str, mask: str) -> Iterator[Register]:
    """The predicates that a mask selects; all of them where it is not a constant."""
    bits = int(mask, 0) if mask.startswith("0x") else (1 << _PREDICATE_COUNT) - 1
    return (Register(file, i) for i in range(_PREDICATE_COUNT) if bits >> i & 1)


def _address(opcode: str, modifiers: Sequence[str], operands: Sequence[str], operand: str) -> Iterator[Register]:
    """Registers of an address: as wide as it says, or as the kind of the address asks for."""
    parts = operand.split("][")
    for number, part in enumerate(parts):
        width = _address_width(opcode, modifiers, operands, part if number == 0 else "")
        for file, index, wide in _REGISTER.findall(part):
            yield from _span(file, int(index), 2 if wide else width if file == "UR" else 1)


def _address_width(opcode: str, modifiers: Sequence[str], operands: Sequence[str], part: str) -> int:
    """Uniform registers that a bracket names by its first one."""
    space = found[1] if (found := _ADDRESS_SPACE.search(part)) else ""
    if space == "gdesc" and opcode.endswith("GMMA"):
        # One name for the descriptors of both factors, unless the first factor is in registers.
        return 2 if len(operands) > 2 and "gdesc" in operands[2] else 4
    if space in ("desc", "gdesc"):
        return 2
    if opcode.startswith(("UTMA", "UBLK")) and not space:
        return _bulk_width(modifiers, operands, part)
    return 2 if space == "c" else 1


def _bulk_width(modifiers: Sequence[str], operands: Sequence[str], part: str) -> int:
    """A tensor copy names its shared-memory side (address, barrier, coordinates) first, then the descriptor."""
    is_first = operands[0].startswith(part.rstrip("]"))
    dimensions = next((int(name[0]) for name in modifiers if re.fullmatch(r"\dD", name)), 0)
    return 2 + dimensions if is_first and len(operands) > 1 else 2
