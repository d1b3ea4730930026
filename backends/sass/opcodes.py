"""The pipe that executes each opcode, by compute capability.

Names of the pipes and what runs on them are those of NVIDIA's Nsight Compute documentation (Metrics Decoder,
Pipelines); opcodes are those of NVIDIA's CUDA Binary Utilities (Instruction Set Reference, Ampere to Blackwell). `tmem`
and `issue` are names of this project: tensor-memory loads and stores, and instructions that only take an issue slot.
"""

from __future__ import annotations

from ir.diagnostics import fail

_BY_PIPE = {
    # Floating-point arithmetic of 32 bits.
    "fma": "FADD FADD2 FADD32I FFMA FFMA2 FFMA32I FMUL FMUL2 FMUL32I FSWZADD",
    # Integer products: the half of the FMA pipe that GA10x calls heavy; one pipe with `fma` before it.
    "fmaheavy": "IDP IDP4A IMAD IMUL IMUL32I",
    "alu": (
        "BMSK CS2R F2FP FCHK FMNMX FMNMX3 FSEL FSET FSETP HMNMX2 HSET2 HSETP2 I2FP I2I I2IP IABS IADD IADD3 IADD32I "
        "ICMP IMNMX ISCADD ISETP LEA LEPC LOP LOP3 LOP32I MOV MOV32I P2R PLOP3 PRMT PSETP R2P R2UR RPCMOV SEL SGXT SHF "
        "SHL SHR VABSDIFF VABSDIFF4 VHMNMX VIADD VIADD2 VIADD4 VIADDMNMX VIMNMX VIMNMX3 VOTE"
    ),
    # Two values of 16 bits a lane; the FMA pipe from GA10x on.
    "fp16": "HADD2 HADD2_32I HFMA2 HFMA2_32I HMUL2 HMUL2_32I",
    "fp64": "DADD DFMA DMNMX DMUL DSETP",
    "xu": "BREV F2F F2I FLO FRND I2F MUFU POPC",
    "tensor": (
        "BMMA HGMMA HMMA IGMMA IMMA BGMMA MOVM OMMA QGMMA QMMA UTCATOMSWS UTCBAR UTCCP UTCHMMA UTCIMMA UTCMXQMMA "
        "UTCOMMA UTCQMMA UTCSHIFT UTCSTSWS"
    ),
    "tmem": "LDT LDTM STT STTM",
    "lsu": (
        "ATOM ATOMG ATOMS CCTL CCTLL CCTLT ERRBAR CGAERRBAR FENCE LD LDG LDGDEPBAR LDGMC LDGSTS LDL LDS LDSM LD_PAIR "
        "MATCH MEMBAR QSPC RED REDAS REDG REDUX S2R S2UR SHFL ST STAS STG STL STS STSM SYNCS ARRIVES SETLMEMBASE "
        "GETLMEMBASE CREDUX CCTLS ATOMS LDTRAM"
    ),
    "adu": "B2R BAR LDC R2B UCGABAR_ARV UCGABAR_WAIT",
    "tex": "FOOTPRINT SUATOM SULD SURED SUST SUQUERY TEX TLD TLD4 TMML TXA TXD TXQ TTUCCTL",
    "tma": "UBLKCP UBLKPF UBLKRED UTMACCTL UTMACMDFLUSH UTMALDG UTMALST UTMAPF UTMAREDG UTMASTG",
    "uniform": (
        "LDCU R2UB UBMSK UBREV UCGABAR_GET UCLEA UF2F UF2FP UF2I UF2IP UFADD UFFMA UFLO UFMNMX UFMUL UFRND UFSEL "
        "UFSET UFSETP UGETNEXTWORKID UI2F UI2FP UI2I UI2IP UIABS UIADD UIADD3 UIMAD UIMNMX UISETP ULDC ULEA ULEPC "
        "ULOP ULOP3 ULOP32I UMEMSETS UMOV UMUFU UP2UR UPLOP3 UPOPC UPRMT UPSETP UR2UP UREDGR USEL USETMAXREG "
        "USETSHMSZ USGXT USHF USHL USHR USTGR UVIADD UVIADDMNMX UVIMNMX UVIMNMX3 UVIRTCOUNT UVOTE VOTEU"
    ),
    "cbu": (
        "BMOV BPT BRA BREAK BRX BRXU BSSY BSYNC CALL CONT ELECT ENDCOLLECTIVE EXIT JMP JMX JMXU KILL NANOSLEEP PEXIT "
        "PREEXIT RET RTT WARPSYNC YIELD ACQBULK ACQSHMINIT"
    ),
    "issue": "CSMTEST DEPBAR NOP PMTRIG SETCTAID VOTE_VTG WARPGROUP WARPGROUPSET NOPX",
}

# Opcode, or opcode with its first modifier -> (first capability, pipe), ascending; above `_BY_PIPE`.
_CHANGES: dict[str, tuple[tuple[int, str], ...]] = {
    **{name: ((0, "fma"), (86, "fmaheavy")) for name in _BY_PIPE["fmaheavy"].split()},
    **{name: ((0, "fp16"), (86, "fma")) for name in _BY_PIPE["fp16"].split()},
    # Matrix products of doubles run beside the other matrix products on the chips that were built for them.
    "DMMA": ((0, "fp64"), (80, "tensor"), (86, "fp64"), (90, "tensor"), (120, "fp64")),
}

_PIPES = {name: pipe for pipe, names in _BY_PIPE.items() for name in names.split()}
OPCODES = frozenset(_PIPES) | frozenset(_CHANGES)
PIPES = frozenset(_BY_PIPE)


def pipe_of(opcode: str, capability: int) -> str:
    """The pipe of an opcode at a compute capability. Raises UserError (unknown-opcode): none is assumed.

    >>> pipe_of("HFMA2", 80), pipe_of("HFMA2", 90), pipe_of("MUFU", 90)
    ('fp16', 'fma', 'xu')
    """
    if opcode not in OPCODES:
        remedy = "it is not modelled: add it to the table of pipes with a source"
        raise fail("unknown-opcode", f"no pipe is known for `{opcode}` of sm_{capability}", remedy=remedy)
    changes = _CHANGES.get(opcode)
    if changes is None:
        return _PIPES[opcode]
    return [pipe for first, pipe in changes if first <= capability][-1]
