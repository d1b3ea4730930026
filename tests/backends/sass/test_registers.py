"""Registers, accesses, control bits and pipes of single instructions, checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.sass import Control, MemoryAccess
from backends.sass.access import access_of
from backends.sass.function import split_operands
from backends.sass.instruction import decode_control
from backends.sass.opcodes import OPCODES, PIPES, pipe_cycles, pipe_of
from backends.sass.registers import registers_of
from ir.diagnostics import UserError

# Text -> registers read, registers written.
REGISTERS = {
    "FFMA R83, R4, R12.reuse, R83": ("R4 R12 R83", "R83"),
    "IMAD.WIDE.U32 R2, R0, 0x4, R2": ("R0 R2 R3", "R2 R3"),
    "IMAD.HI.U32 R6, R5, R12, R4": ("R4 R5 R12", "R6"),
    "IADD3.X R5, PT, PT, R59, UR15, R5, P0, !PT": ("R59 UR15 R5 P0", "R5"),
    "IADD3 R26, P6, R2, -R23, RZ": ("R2 R23", "R26 P6"),
    "ISETP.GE.AND.EX P5, PT, R16, UR11, PT, P5": ("R16 UR11 P5", "P5"),
    "LOP3.LUT P1, RZ, R0, 0x80, RZ, 0xc0, !PT": ("R0", "P1"),
    "SHFL.BFLY PT, R9, R0, 0x10, 0x1f": ("R0", "R9"),
    "SEL R4, R16, RZ, P2": ("R16 P2", "R4"),
    "FMNMX R0, R23, |R26|, !P1": ("R23 R26 P1", "R0"),
    "VOTE.ANY R7, PT, !P0": ("P0", "R7"),
    "VOTEU.ANY UP0, P1": ("P1", "UP0"),
    "ELECT P0, URZ, PT": ("", "P0"),
    "P2R R0, PR, RZ, 0x5": ("P0 P2", "R0"),
    "R2P PR, R4, 0x3": ("R4", "P0 P1"),
    "CS2R R152, SRZ": ("", "R152 R153"),
    "CS2R.32 R5, SR_CLOCKLO": ("", "R5"),
    "LDG.E.128 R4, desc[UR8][R74.64+0x10]": ("UR8 UR9 R74 R75", "R4 R5 R6 R7"),
    "STG.E.64 [R2.64], R8": ("R2 R3 R8 R9", ""),
    "LDS.U8 R1, [R3.X4+UR5+-0x1c0]": ("R3 UR5", "R1"),
    "LDSM.16.MT88.2 R8, [R4]": ("R4", "R8 R9"),
    "LDGSTS.E.BYPASS.128 [R16+0x800], desc[UR18][R28.64], P3": ("R16 UR18 UR19 R28 R29 P3", ""),
    "ATOMG.E.CAS.64.STRONG.GPU PT, R4, [R2], R6, R8": ("R2 R6 R7 R8 R9", "R4 R5"),
    "RED.E.ADD.F64.RN.STRONG.GPU [R2.64], R4": ("R2 R3 R4 R5", ""),
    "DFMA R4, R6, R8, -R10": ("R6 R7 R8 R9 R10 R11", "R4 R5"),
    "DSETP.MAX.AND P2, P1, R6, R28, PT": ("R6 R7 R28 R29", "P2 P1"),
    "F2F.F64.F32 R4, R2": ("R2", "R4 R5"),
    "F2F.F32.F64 R4, R2": ("R2 R3", "R4"),
    "I2F.F64 R4, R2": ("R2", "R4 R5"),
    "I2F.U64.RP R4, R2": ("R2 R3", "R4"),
    "F2I.S64.TRUNC R4, R2": ("R2", "R4 R5"),
    "F2I.F64.TRUNC R4, R2": ("R2 R3", "R4"),
    "MUFU.RCP64H R4, R3": ("R3", "R4"),
    "HMMA.16816.F32 R12, R4, R8, R12": ("R4 R5 R6 R7 R8 R9 R12 R13 R14 R15", "R12 R13 R14 R15"),
    "HMMA.16816.F16 R12, R4, R8, RZ": ("R4 R5 R6 R7 R8 R9", "R12 R13"),
    "HMMA.1688.F32.TF32 R12, R4, R8, RZ": ("R4 R5 R6 R7 R8 R9", "R12 R13 R14 R15"),
    "IMMA.8816.S8.S8 R12, R4.ROW, R8.COL, RZ": ("R4 R8", "R12 R13"),
    "DMMA.884 R12, R4, R8, RZ": ("R4 R5 R8 R9", "R12 R13 R14 R15"),
    "QMMA.16832.F32.E4M3.E4M3 R12, R4, R8, RZ": ("R4 R5 R6 R7 R8 R9", "R12 R13 R14 R15"),
    "FADD2 R4, R8.F32x2.HI_LO, -R79.F32": ("R8 R9 R79", "R4 R5"),
    "IADD.64 R4, R2, UR4": ("R2 R3 UR4 UR5", "R4 R5"),
    "RET.REL.NODEC R2 `(R9)": ("R2 R3", ""),
    "BRA.U !UP0, `(.L_x_4)": ("UP0", ""),
    "BREAK.RELIABLE B1": ("B1", "B1"),
    "SYNCS.PHASECHK.TRANS64.TRYWAIT P6, [UR30], R249": ("UR30 R249", "P6"),
    "SYNCS.EXCH.64 URZ, [UR33+0xc008], UR16": ("UR33 UR16 UR17", ""),
    "UTCHMMA gdesc[UR16], gdesc[UR18], tmem[UR31], tmem[UR14], idesc[UR15], !UPT": (
        "UR16 UR17 UR18 UR19 UR31 UR14 UR15",
        "",
    ),
    "UTMALDG.2D [UR12], [UR8]": ("UR12 UR13 UR14 UR15 UR8 UR9", ""),
    "TEX.LL RZ, R6, R8, R16, UR4, 2D, 0x3": ("R8 R9 R16 UR4", "R6 R7"),
}


@pytest.mark.parametrize("text", REGISTERS)
def test_registers(text: str) -> None:
    name, _, rest = text.partition(" ")
    opcode, *modifiers = name.split(".")
    reads, writes = registers_of(opcode, modifiers, split_operands(rest), None)
    expected_reads, expected_writes = (set(names.split()) for names in REGISTERS[text])
    assert {str(r) for r in reads} >= expected_reads
    assert {str(r) for r in writes} == expected_writes
    # Widths are exact but for the addend of a high product, which is a pair, and for handles in uniform registers.
    assert {str(r) for r in reads} - expected_reads <= {"R5", "UR5"}


def test_wide_group_products() -> None:
    reads, writes = registers_of("HGMMA", ("64x128x16", "F32"), ("R24", "gdesc[UR16]", "R24"), None)
    assert {r.index for r in writes} == set(range(24, 88))
    assert {str(r) for r in reads if r.file == "UR"} == {"UR16", "UR17", "UR18", "UR19"}
    reads, _ = registers_of("HGMMA", ("64x64x16", "F32"), ("R88", "R120", "gdesc[UR4].tnspB", "R88"), None)
    assert {r.index for r in reads if r.file == "R"} == {*range(88, 120), *range(120, 124)}
    assert {str(r) for r in reads if r.file == "UR"} == {"UR4", "UR5"}


def test_tensor_memory_loads_fill_a_register_a_column() -> None:
    _, writes = registers_of("LDTM", ("x64",), ("R4", "tmem[UR4]"), None)
    assert len(writes) == 64
    _, writes = registers_of("LDTM", ("16dp256bit", "x2"), ("R4", "tmem[UR4]"), None)
    assert len(writes) == 8


def test_guards_are_read() -> None:
    reads, _ = registers_of("EXIT", (), (), "!P3")
    assert {str(r) for r in reads} == {"P3"}


ACCESSES = {
    "LDG.E.U16 R0, desc[UR4][R2.64]": MemoryAccess("global", "load", 2, False),
    "LDG.E.64 R0, desc[UR4][UR6.64]": MemoryAccess("global", "load", 8, True),
    "LDS R0, [0x10]": MemoryAccess("shared", "load", 4, True),
    "STS.128 [R0+UR4], R4": MemoryAccess("shared", "store", 16, False),
    "STL [R1+0x80], R224": MemoryAccess("local", "store", 4, False),
    "LDC.64 R2, c[0x0][0x388]": MemoryAccess("constant", "load", 8, True),
    "ATOM.E.ADD.STRONG.GPU PT, R7, [R4.64], R7": MemoryAccess("generic", "atomic", 4, False),
    "REDG.E.ADD.F64.RN.STRONG.GPU desc[UR8][R68.64], R4": MemoryAccess("global", "reduce", 8, False),
    "LDGSTS.E.BYPASS.128 [R16], desc[UR18][R28.64]": MemoryAccess("global", "copy", 16, False),
    "LDSM.16.M88.4 R8, [R4]": MemoryAccess("shared", "load", 16, False),
    "UTMALDG.2D [UR12], [UR8]": MemoryAccess("global", "copy", 0, True),
    "LDTM.x64 R4, tmem[UR4]": MemoryAccess("tensor", "load", 256, True),
    "FADD R0, R1, R2": None,
}


@pytest.mark.parametrize("text", ACCESSES)
def test_accesses(text: str) -> None:
    name, _, rest = text.partition(" ")
    opcode, *modifiers = name.split(".")
    assert access_of(opcode, modifiers, split_operands(rest)) == ACCESSES[text]


# Encodings of sm_80 (GA100), decoded by hand from the bits: LDG holds scoreboard 2 until its result is there, the FADD
# that uses it waits for 2; STS holds 1 until it has read; the padding branch has no stall at all.
ENCODINGS = {
    0x000EA2000C1E1900_0000000402007981: Control(1, False, 2, None, 0, 0),
    0x004FE20000000000_0000000507057221: Control(1, False, None, None, 0b000100, 0),
    0x0003E40000000800_0000000500007388: Control(2, False, None, 1, 0, 0),
    0x000FC0000383FFFF_FFFFFFF000007947: Control(0, True, None, None, 0, 0),
    0x080FE200078E00FF_0000000400047224: Control(1, False, None, None, 0, 2),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_control_bits(encoding: int) -> None:
    assert decode_control(encoding) == ENCODINGS[encoding]


@given(
    st.integers(0, 15),
    st.booleans(),
    st.none() | st.integers(0, 5),
    st.none() | st.integers(0, 5),
    st.integers(0, 63),
    st.integers(0, 15),
    st.integers(0, 2**105 - 1),
    st.integers(0, 3),
)
def test_control_bits_are_independent(
    stall: int, yields: bool, write: int | None, read: int | None, wait: int, reuse: int, low: int, high: int
) -> None:
    fields = [(stall, 4), (not yields, 1), (7 if write is None else write, 3), (7 if read is None else read, 3)]
    bits, place = low, 105
    for value, width in [*fields, (wait, 6), (reuse, 4), (high, 2)]:
        bits |= int(value) << place
        place += width
    assert place == 128
    assert decode_control(bits) == Control(stall, yields, write, read, wait, reuse)


def test_every_opcode_has_a_pipe_from_sm_80_on() -> None:
    for opcode in OPCODES:
        for capability in (80, 86, 89, 90, 100, 103, 120):
            assert pipe_of(opcode, (), capability) in PIPES
            assert pipe_cycles(opcode, (), capability) in (None, 1, 2)


def test_no_pipe_is_assumed() -> None:
    with pytest.raises(UserError, match="no pipe is known for `FROB` of sm_90"):
        pipe_of("FROB", (), 90)
