"""Instructions that the assembler keeps one for one: where a count of PTX is a count of machine code.

Machine code knows the PTX line that each of its instructions came from. Most lines become several instructions or none,
but a load, a barrier or a tensor instruction stays what it is, in as many copies as the assembler unrolled its loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
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
# Arithmetic that is looked at only in loops that have nothing better: the assembler merges and splits it freely.
_INTEGER = (
    "IADD3", "IADD", "VIADD", "IMAD", "LEA", "LOP3", "SHF", "IABS", "IMNMX", "VIMNMX", "VIADDMNMX", "IDP",
    "FLO", "POPC", "UIADD3",
)  # fmt: skip
_FLOAT = ("FADD", "FMUL", "FMNMX", "FSETP", "FSEL", "DADD", "DMUL", "DSETP", "HADD2", "HMUL2", "HMNMX2")
_CONVERSIONS = ("F2I", "I2F", "F2F", "I2I", "F2FP", "FRND", "I2FP", "F2IP")
WEAK_ANCHORS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("add", "sub", "mul", "mad", "min", "max", "neg", "abs"), _INTEGER + _FLOAT),
    **dict.fromkeys(("and", "or", "xor", "not", "lop3", "shl", "shr", "shf", "popc", "clz", "bfind"), _INTEGER),
    **dict.fromkeys(("prmt", "selp", "bfe", "bfi", "brev", "dp4a"), ("PRMT", "SEL", "BREV", *_INTEGER)),
    "cvt": _CONVERSIONS,
    "membar": ("MEMBAR",),
    "fence": ("MEMBAR", "FENCE"),
}
# One PTX instruction may be several machine instructions by its shape.
_SPLIT = frozenset({"mma", "wmma", "wgmma", "tcgen05"})


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


def weak_opcodes(ptx_opcode: str) -> tuple[str, ...]:
    """The machine opcodes that a PTX opcode of arithmetic may become, none where it is kept or no such arithmetic."""
    return () if kept_opcodes(ptx_opcode) else WEAK_ANCHORS.get(_base(ptx_opcode), ())


def anchors(function: Function, opcodes: Mapping[int, str], counts: Mapping[int, int]) -> list[Anchor]:
    """The anchors of a function; in loops that have none, arithmetic stands in.

    opcodes: PTX line -> opcode, after its guard if it has one (`@%p1 ld.global.f32`). counts: PTX line -> executions by
    one warp, guarded off or not.
    """
    kept = _found(function, range(len(function.blocks)), opcodes, kept_opcodes)
    known = {block for blocks in kept.values() for block in blocks}
    bare = [loop.blocks for loop in function.loops if not known & loop.blocks]
    weak = _found(function, sorted(frozenset().union(*bare)), opcodes, weak_opcodes)
    guarded = {
        i.ptx_line for i in function.instructions if i.guard and not opcodes.get(i.ptx_line or 0, "@").startswith("@")
    }
    return [
        _anchor(line, _base(opcodes[line]), counts.get(line, 0), blocks, line in guarded)
        for line, blocks in sorted([*kept.items(), *weak.items()])
    ]


def _found(
    function: Function, blocks: Iterable[int], opcodes: Mapping[int, str], allowed: Callable[[str], tuple[str, ...]]
) -> dict[int, dict[int, int]]:
    """PTX line -> block -> instructions there that stand for it."""
    found: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for number in blocks:
        block = function.blocks[number]
        for instruction in function.instructions[block.first : block.last]:
            line = instruction.ptx_line
            if line is not None and line in opcodes and instruction.opcode in allowed(opcodes[line]):
                found[line][number] += 1
    return found


def _anchor(line: int, base: str, count: int, blocks: Mapping[int, int], may_exceed: bool) -> Anchor:
    is_whole = base in ANCHORS and base not in _SPLIT
    parts = 1 if is_whole else min(blocks.values())
    each = {block: max(n // parts, 1) for block, n in blocks.items()}
    return Anchor(line, count, ANCHORS[base][1] if base in ANCHORS else _LOOSE, each, may_exceed)
