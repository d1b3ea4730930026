"""The pipe that executes each opcode, by compute capability.

Names of the pipes and what runs on them are those of NVIDIA's Nsight Compute documentation (Metrics Decoder,
Pipelines); opcodes are those of NVIDIA's CUDA Binary Utilities (Instruction Set Reference, Ampere to Blackwell). Names
of this project are `tmem` (tensor-memory loads and stores), `issue` (instructions that only take an issue slot),
`fp16mma` and `int` (pipes that NVIDIA does not name, but that its assembler tells from the others by its stall counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from backends.sass.words import each
from ir.diagnostics import Diagnostic, Location, UserError

T = TypeVar("T")

_BY_PIPE = {
    # Floating-point arithmetic of 32 bits.
    "fma": "FADD FADD2 FADD32I FFMA FFMA2 FFMA32I FMUL FMUL2 FMUL32I FSWZADD",
    # Integer products: the half of the FMA pipe that GA10x calls heavy; one pipe with `fma` before it.
    "fmaheavy": "IDP IDP4A IMAD IMUL IMUL32I",
    "alu": (
        "BMSK CREDUX CS2R F2FP FMNMX FMNMX3 FSEL FSET FSETP HMNMX2 HSET2 HSETP2 I2FP I2I I2IP IABS IADD IADD3 "
        "IADD32I ICMP IMNMX ISCADD ISETP LEA LOP LOP3 LOP32I MOV MOV32I P2R PLOP3 PRMT PSETP R2P R2UR RPCMOV SEL "
        "SGXT SHF SHL SHR VABSDIFF VABSDIFF4 VHMNMX VIADD VIADD2 VIADD4 VIADDMNMX VIMNMX VIMNMX3 VOTE"
    ),
    # Two values of 16 bits a lane; the FMA pipe from GA10x on.
    "fp16": "HADD2 HADD2_32I HFMA2 HFMA2_32I HMUL2 HMUL2_32I",
    "fp64": "DADD DFMA DMNMX DMUL DSETP",
    "xu": "BREV F2F F2I FCHK FLO FRND I2F MUFU POPC",
    "tensor": (
        "BMMA HGMMA HMMA IGMMA IMMA BGMMA OMMA QGMMA QMMA UTCATOMSWS UTCBAR UTCCP UTCHMMA UTCIMMA UTCMXQMMA "
        "UTCOMMA UTCQMMA UTCSHIFT UTCSTSWS"
    ),
    "tmem": "LDT LDTM STT STTM",
    "lsu": (
        "ATOM ATOMG ATOMS CCTL CCTLL CCTLT ERRBAR CGAERRBAR FENCE LD LDG LDGDEPBAR LDGMC LDGSTS LDL LDS LDSM LD_PAIR "
        "MATCH MEMBAR MOVM QSPC RED REDAS REDG REDUX S2R S2UR SHFL ST STAS STG STL STS STSM SYNCS ARRIVES SETLMEMBASE "
        "GETLMEMBASE CCTLS LDTRAM"
    ),
    "adu": "B2R BAR LDC R2B UCGABAR_ARV UCGABAR_WAIT",
    "tex": "FOOTPRINT SUATOM SULD SURED SUST SUQUERY TEX TLD TLD4 TMML TXA TXD TXQ TTUCCTL",
    "tma": "UBLKCP UBLKPF UBLKRED UTMACCTL UTMACMDFLUSH UTMALDG UTMALST UTMAPF UTMAREDG UTMASTG",
    "uniform": (
        "CS2UR LDCU R2UB UBMSK UBREV UCGABAR_GET UCLEA UF2F UF2FP UF2I UF2IP UFADD UFFMA UFLO UFMNMX UFMUL UFRND UFSEL "
        "UFSET UFSETP UGETNEXTWORKID UI2F UI2FP UI2I UI2IP UIABS UIADD UIADD3 UIMAD UIMNMX UISETP ULDC ULEA ULEPC "
        "ULOP ULOP3 ULOP32I UMEMSETS UMOV UMUFU UP2UR UPLOP3 UPOPC UPRMT UPSETP UR2UP UREDGR USEL "
        "USETSHMSZ USGXT USHF USHL USHR USTGR UVIADD UVIADDMNMX UVIMNMX UVIMNMX3 UVIRTCOUNT UVOTE VOTEU"
    ),
    "cbu": (
        "ACQBULK ACQSHMINIT BMOV BPT BRA BREAK BRX BRXU BSSY BSYNC CALL CONT ELECT ENDCOLLECTIVE EXIT JMP JMX "
        "JMXU KILL LEPC NANOSLEEP PEXIT PREEXIT RET RTT USETMAXREG WARPSYNC YIELD"
    ),
    "issue": "CSMTEST DEPBAR NOP PMTRIG SETCTAID VOTE_VTG WARPGROUP WARPGROUPSET NOPX",
}

# Opcode -> (first capability, pipe), ascending; what the assembler's stall counts tell, see `pipe_cycles`.
_CHANGES: dict[str, tuple[tuple[int, str], ...]] = {
    # One pipe for floats and integer products on GA100, two on GA10x and AD10x, again one from Hopper on.
    **each(_BY_PIPE["fmaheavy"], ((80, "fma"), (86, "fmaheavy"), (90, "fma"))),
    **each(_BY_PIPE["fp16"], ((80, "fp16"), (86, "fmaheavy"), (90, "fma"))),
    "VIADD": ((80, "fma"),),
    # At full rate, beside both `fma` and `alu`, which issue in the same cycles.
    **each("FMNMX FSEL FSETP IADD ISETP MOV SEL VIMNMX", ((80, "alu"), (120, "int"))),
    "R2UR": ((80, "issue"), (90, "alu")),
    "HMNMX2": ((80, "fp16"), (86, "alu")),
    "CS2R": ((80, "issue"), (90, "alu"), (120, "issue")),
    # Matrix products of doubles run beside the other matrix products on the chips that were built for them.
    "DMMA": ((80, "tensor"), (86, "fp64"), (90, "tensor"), (120, "fp64")),
}

# Pipe -> (first capability, cycles between two instructions), ascending.
_CYCLES: dict[str, tuple[tuple[int, int], ...]] = {
    "alu": ((80, 2),),
    "fma": ((80, 2), (86, 1)),
    "fmaheavy": ((80, 2),),
    "fp16": ((80, 2),),
    "fp16mma": ((80, 2),),
    "int": ((80, 1),),
    "uniform": ((80, 2), (90, 1)),
}
# Opcodes that keep their pipe for longer than others do.
_SLOW: dict[str, tuple[tuple[int, int], ...]] = {
    **each("FADD2 FFMA2 FMUL2 VIADD", ((80, 2),)),
    **each(f"{_BY_PIPE['fmaheavy']} {_BY_PIPE['fp16']}", ((80, 2),)),
}
_WIDE_PRODUCT_CYCLES = 4
# `HFMA2.MMA` alternates with `HFMA2` on GA100 and Hopper: it runs beside it.
_SECOND_HALF_PIPE = "fp16mma"

_PIPES = {name: pipe for pipe, names in _BY_PIPE.items() for name in names.split()}
OPCODES = frozenset(_PIPES) | frozenset(_CHANGES)
PIPES = frozenset(_BY_PIPE) | {"int", _SECOND_HALF_PIPE}


def pipe_of(opcode: str, modifiers: Sequence[str], capability: int) -> str:
    """The pipe of an opcode at a compute capability. Raises UserError (unknown-opcode): none is assumed.

    >>> pipe_of("HFMA2", (), 80), pipe_of("HFMA2", (), 90), pipe_of("HFMA2", ("MMA",), 90), pipe_of("MUFU", (), 90)
    ('fp16', 'fma', 'fp16mma', 'xu')
    """
    if opcode not in OPCODES:
        raise UserError(unknown_opcode(opcode, capability, None))
    if opcode == "HFMA2" and "MMA" in modifiers:
        return _SECOND_HALF_PIPE
    return _at(_CHANGES[opcode], capability) if opcode in _CHANGES else _PIPES[opcode]


def unknown_opcode(opcode: str, capability: int, place: Location | None) -> Diagnostic:
    """The finding that an opcode is in no table."""
    remedy = "it is not modelled: its pipe must be added to the table, with a source"
    return Diagnostic("unknown-opcode", f"no pipe is known for `{opcode}` of sm_{capability}", place, remedy)


def pipe_cycles(opcode: str, modifiers: Sequence[str], capability: int) -> int | None:
    """Cycles for which an instruction keeps its pipe of one sub-core from the next one; None where it is not known.

    Source: the stall counts that NVIDIA's assembler (CUDA 12.8 and 13.1) leaves between neighbours that depend on
    nothing: never fewer than these between two of the same pipe, and one between two of different pipes
    (tests/backends/sass/test_pipes.py).

    >>> [pipe_cycles("FFMA", (), c) for c in (80, 86)], pipe_cycles("IMAD", ("WIDE",), 90), pipe_cycles("LDG", (), 90)
    ([2, 1], 4, None)
    """
    if opcode == "IMAD" and ("WIDE" in modifiers or "HI" in modifiers):
        return _WIDE_PRODUCT_CYCLES
    known = _SLOW.get(opcode) or _CYCLES.get(pipe_of(opcode, modifiers, capability))
    return _at(known, capability) if known else None


def _at(changes: tuple[tuple[int, T], ...], capability: int) -> T:
    return [value for first, value in changes if first <= capability][-1]
