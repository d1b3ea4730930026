"""Instructions that the assembler keeps one for one: where a count of PTX is a count of machine code.

Machine code knows the PTX line that each of its instructions came from. Most lines become several instructions or none,
but a load, a barrier or a tensor instruction stays what it is, in as many copies as the assembler unrolled its loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from backends.sass.function import Function

_LOADS = ("LDG", "LD", "LDS", "LDL")
_STORES = ("STG", "ST", "STS", "STL")
_ATOMICS = ("ATOM", "ATOMG", "ATOMS", "RED", "REDG", "REDAS")
_MMA = ("HMMA", "IMMA", "DMMA", "BMMA", "QMMA", "OMMA")
_WGMMA = ("HGMMA", "IGMMA", "QGMMA", "BGMMA")
_TCGEN05 = ("UTCHMMA", "UTCQMMA", "UTCIMMA", "UTCOMMA", "LDTM", "STTM", "UTCCP")
# First part of a PTX opcode, or the first two -> machine opcodes that stand for it, and how much a deviation from its
# count weighs.
# The assembler contracts `mul` and `add`, and moves and merges arithmetic more freely than memory operations.
_FIRM, _LOOSE = 8, 1
ANCHORS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "ld": (_LOADS, _FIRM),
    "ldu": (_LOADS, _FIRM),
    "st": (_STORES, _FIRM),
    "atom": (_ATOMICS, _FIRM),
    "red": (_ATOMICS, _FIRM),
    "ldmatrix": (("LDSM",), _FIRM),
    "stmatrix": (("STSM",), _FIRM),
    "cp": (("LDGSTS", "UTMALDG", "UTMASTG", "UTMAREDG", "UBLKCP", "UBLKRED"), _FIRM),
    "mbarrier.arrive": (("SYNCS",), _FIRM),
    "bar": (("BAR", "UBAR"), _FIRM),
    "barrier": (("BAR", "UBAR"), _FIRM),
    "shfl": (("SHFL",), _FIRM),
    "vote": (("VOTE", "VOTEU"), _LOOSE),
    "redux": (("REDUX", "CREDUX"), _FIRM),
    "match": (("MATCH",), _FIRM),
    "mma": (_MMA, _LOOSE),
    "wmma": (_MMA, _LOOSE),
    "wgmma": (_WGMMA, _FIRM),
    "tcgen05": (_TCGEN05, _FIRM),
    **{name: (("MUFU",), _LOOSE) for name in ("ex2", "lg2", "sin", "cos", "rcp", "rsqrt", "sqrt", "tanh")},
    "fma": (("FFMA", "FMUL", "FADD", "DFMA", "DADD", "DMUL", "HFMA2", "HADD2", "HMUL2"), _LOOSE),
}
# One PTX instruction may be several machine instructions by its shape.
_SPLIT = frozenset({"mma", "wmma", "tcgen05"})


@dataclass(frozen=True)
class Anchor:
    """A PTX line: how often a warp runs it, and how many instructions each block of machine code has for one of it.

    may_exceed: the assembler turned a branch around it into a guard, so that machine code passes it more often.
    """

    line: int
    count: int
    weight: int
    blocks: Mapping[int, int]
    may_exceed: bool = False


def kept_opcodes(ptx_opcode: str) -> tuple[str, ...]:
    """The machine opcodes that stand for a PTX opcode one for one, none where the assembler is free.

    >>> kept_opcodes("shfl.sync.bfly.b32"), kept_opcodes("add.s32")
    (('SHFL',), ())
    """
    return ANCHORS.get(_base(ptx_opcode), ((), 0))[0]


def _base(ptx_opcode: str) -> str:
    """The first parts by which it is looked up, whether or not a guard comes before it."""
    parts = ptx_opcode.rpartition(" ")[2].split(".")
    first_two = ".".join(parts[:2])
    return first_two if first_two in ANCHORS else parts[0]


def anchors(function: Function, opcodes: Mapping[int, str], counts: Mapping[int, int]) -> list[Anchor]:
    """The anchors of a function.

    opcodes: PTX line -> opcode, after its guard if it has one (`@%p1 ld.global.f32`). counts: PTX line -> executions by
    one warp, guarded off or not.
    """
    found: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    guarded = set()
    for block in function.blocks:
        for instruction in function.instructions[block.first : block.last]:
            line = instruction.ptx_line
            if line is not None and line in opcodes and instruction.opcode in kept_opcodes(opcodes[line]):
                found[line][block.number] += 1
                guarded |= {line} if instruction.guard and not opcodes[line].startswith("@") else set()
    return [
        _anchor(line, _base(opcodes[line]), counts.get(line, 0), blocks, line in guarded)
        for line, blocks in sorted(found.items())
    ]


def _anchor(line: int, base: str, count: int, blocks: Mapping[int, int], may_exceed: bool) -> Anchor:
    parts = min(blocks.values()) if base in _SPLIT else 1
    each = {block: max(n // parts, 1) for block, n in blocks.items()}
    return Anchor(line, count, ANCHORS[base][1], each, may_exceed)
