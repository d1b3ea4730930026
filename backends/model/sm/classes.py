"""Which pipe an opcode takes, for how long, and what it does there: one table, and a default that is stated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpClass:
    """pipe: a unit of the sub-core. interval: key of `SmParameters.intervals`. action: what happens besides the issue.

    latency: rate of the machine file that says when a signalled scoreboard is clear; "" where the action says it.
    """

    pipe: str
    interval: str
    action: str = "plain"
    latency: str = ""


def _alike(opcodes: str, *details: str) -> dict[str, OpClass]:
    return dict.fromkeys(opcodes.split(), OpClass(*details))


# Fixed-latency instructions carry their latency in the stall counts of the code around them.
CLASSES: dict[str, OpClass] = {
    **_alike("FFMA FADD FMUL FFMA32I FADD32I FMUL32I FSWZADD", "fma", "fp32"),
    **_alike("FFMA2 FADD2 FMUL2", "fma", "fp32x2"),
    **_alike("IMAD IMUL IMAD32I IMUL32I IDP IDP4A IMADSP", "fmaheavy", "int32_mul"),
    **_alike("HFMA2 HADD2 HMUL2 HFMA2_32I HADD2_32I HMUL2_32I HSET2 HSETP2 HMNMX2", "fp16", "fp16"),
    **_alike("DFMA DADD DMUL DSETP DMNMX", "fp64", "fp64", "latency", "ptx_fp64_latency_cycles"),
    **_alike("IADD3 IADD IADD32I VIADD VIADD2 VIADD4 IABS IDE ISCADD VIADDMNMX", "alu", "int32"),
    **_alike("LEA LOP3 LOP LOP32I PLOP3 SHF SHL SHR BMSK SGXT PRMT SEL FSEL MOV MOV32I", "alu", "logic"),
    **_alike("ISETP ISET FSETP FSET FCMP ICMP PSETP PSET FCHK P2R R2P CS2R LEPC VABSDIFF VABSDIFF4", "alu", "logic"),
    **_alike("IMNMX VIMNMX VIMNMX3 FMNMX FMNMX3 VHMNMX", "alu", "minmax"),
    **_alike("F2FP I2FP F2IP I2IP", "alu", "cvt_pack"),
    **_alike("MUFU", "xu", "mufu", "latency", "sfu_latency_cycles"),
    **_alike("POPC FLO BREV", "xu", "mufu", "latency", "sfu_latency_cycles"),
    **_alike("F2F F2I I2F I2I FRND", "xu", "cvt", "latency", "sfu_latency_cycles"),
    **_alike("VOTE", "alu", "logic", "latency", "ptx_vote_latency_cycles"),
    **_alike("REDUX CREDUX", "alu", "mufu", "latency", "ptx_redux_latency_cycles"),
    **_alike("MATCH", "alu", "mufu", "latency", "match_latency_cycles"),
    **_alike(
        "S2R S2UR B2R CS2UR R2UB GETLMEMBASE SETLMEMBASE USETSHMSZ UGETNEXTWORKID",
        "control",
        "control",
        "latency",
        "special_register_latency_cycles",
    ),
    **_alike("R2UR VOTEU R2B ELECT", "uniform", "uniform", "latency", "uniform_transfer_cycles"),
    **_alike("ULDC LDCU", "uniform", "uniform", "constant"),
    # The ADU, not the LSU, loads from constant memory: Nsight Compute documentation, pipelines.
    **_alike("LDC", "control", "control", "constant"),
    **_alike("LDS LDSM STS STSM ATOMS MOVM LDTRAM", "lsu", "none", "shared"),
    **_alike(
        "LDG LD LDL STG ST STL ATOM ATOMG RED REDG LD_PAIR LDGMC STAS REDAS USTGR UREDGR QSPC", "lsu", "none", "global"
    ),
    **_alike("LDGSTS", "lsu", "none", "async_copy"),
    **_alike("SHFL", "lsu", "none", "shuffle"),
    **_alike("TEX TLD TLD4 TXQ TXD TXA TMML SULD SUST SUATOM SURED SUQUERY FOOTPRINT", "lsu", "none", "global"),
    **_alike("LDGDEPBAR ARRIVES", "control", "none", "commit_copies"),
    **_alike("DEPBAR", "control", "none", "wait_copies"),
    **_alike("BAR", "control", "none", "barrier"),
    **_alike("UCGABAR_ARV UCGABAR_WAIT", "control", "none", "cluster_barrier"),
    **_alike("MEMBAR", "control", "none", "membar"),
    **_alike("FENCE CCTLL CCTLS CCTLT UCCTL TTUCCTL", "control", "none", "fence"),
    # Parts of a fence of threads, whose time was measured as a whole and is that of MEMBAR.
    **_alike("ERRBAR CGAERRBAR CCTL", "control", "control"),
    **_alike("HMMA IMMA DMMA BMMA QMMA OMMA", "tensor", "none", "mma"),
    **_alike("HGMMA IGMMA QGMMA BGMMA", "tensor", "none", "wgmma"),
    **_alike("WARPGROUP", "control", "none", "wgmma_wait"),
    **_alike("UTCHMMA UTCIMMA UTCQMMA UTCOMMA UTCMXQMMA", "uniform", "uniform", "tcgen05"),
    **_alike("UTCCP UTCSHIFT", "uniform", "uniform", "tcgen05_copy"),
    **_alike("UTCBAR", "uniform", "uniform", "tcgen05_commit"),
    **_alike("LDTM LDT", "tmem", "none", "tmem_load"),
    **_alike("STTM STT", "tmem", "none", "tmem_store"),
    **_alike("UTMALDG UBLKCP", "uniform", "uniform", "bulk"),
    **_alike("UTMASTG UTMALST UTMAREDG UBLKRED", "uniform", "uniform", "bulk"),
    **_alike("UTMAPF UBLKPF UTMACCTL", "uniform", "uniform"),
    **_alike("UTMACMDFLUSH", "control", "none", "commit_copies"),
    **_alike("SYNCS", "control", "none", "mbarrier"),
    **_alike("USETMAXREG", "control", "none", "setmaxnreg"),
    **_alike("NANOSLEEP", "control", "none", "sleep"),
    **_alike("UTCATOMSWS UTCSTSWS UVIRTCOUNT UMEMSETS", "uniform", "uniform", "latency", "default_latency_cycles"),
    **_alike("BRA BRX BRXU CONT JMP JMX JMXU RET CALL EXIT KILL BSSY BSYNC BREAK", "control", "control"),
    **_alike("WARPSYNC YIELD BMOV BPT RPCMOV PREEXIT ACQBULK LEPC RTT PMTRIG", "control", "control"),
    **_alike("ACQSHMINIT ENDCOLLECTIVE PEXIT UCGABAR_GET", "control", "control"),
    **_alike("NOP NOPX CSMTEST SETCTAID VOTE_VTG WARPGROUPSET", "none", "none"),
}

# The uniform datapath: the opcodes of the table above with a U before them, and these.
_UNIFORM = OpClass("uniform", "uniform")
_UNIFORM_ONLY = frozenset(
    ["UMOV", "UP2UR", "UR2UP", "USEL", "UPLOP3", "UPSETP", "UF2FP", "UI2FP", "UFLO", "UPOPC", "UBREV", "UCLEA"]
)

# What an opcode that is in no table is taken for; whoever uses it says so.
DEFAULT = OpClass("alu", "logic", "latency", "default_latency_cycles")


def classify(opcode: str) -> OpClass | None:
    """The class of an opcode without its modifiers, or None where it is in no table.

    >>> classify("FFMA").pipe, classify("UIADD3").pipe, classify("XYZ")
    ('fma', 'uniform', None)
    """
    found = CLASSES.get(opcode)
    if found is None and (opcode in _UNIFORM_ONLY or (opcode[:1] == "U" and opcode[1:] in CLASSES)):
        return _UNIFORM
    return found
