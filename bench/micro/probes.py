"""Every parameter that can be measured, with its probe. Claims about machine code hold for each architecture named."""

from __future__ import annotations

from typing import Any

from bench.micro.claims import Claim
from bench.micro.probe import (
    Probe,
    beyond_shared_load,
    each,
    first_turn,
    gbyte_per_s_of_chip,
    in_cycles,
    intercept,
    passes,
    per_cycle,
    per_cycle_of_chip,
    slope,
    slope_ns,
    slope_on_sm,
)

# Threads that fill an SM's pipes: four warps on each sub-core, each with eight chains.
_FULL = {"CHAINS": 8, "BLOCK": 512}
_LANES = 8 * 512
_ONE = {"CHAINS": 1, "BLOCK": 32}
# Runs of the loop where one is short: the first of them wait for code that no cache holds, now less and now more.
_LONG = (8, 24)
_PIPES = "pipes/task.toml"
_UP_TO_HOPPER = ("sm_80", "sm_86", "sm_89", "sm_90")
_TENSOR_WARPS = {"CHAINS": 4, "BLOCK": 256}


def _latency(parameter: str, variant: str, opcode: str, architectures: tuple[str, ...] = ()) -> Probe:
    claim = Claim(opcode, chained=True)
    return Probe(parameter, _PIPES, in_cycles, variant, _ONE, claim=claim, architectures=architectures)


def _lanes(parameter: str, variant: str, opcode: str, results: int = 1, architectures: tuple[str, ...] = ()) -> Probe:
    return Probe(
        parameter, _PIPES, per_cycle, variant, _FULL, work=_LANES * results, unrolls=(8, 16), repeats=_LONG,
        claim=Claim(opcode, each=8), architectures=architectures,
    )  # fmt: skip


def _tensor(parameter: str, variant: str, opcode: str, depth: int) -> Probe:
    flop = 2 * 16 * 8 * depth * 4 * 8
    return Probe(
        parameter, "matrix/mma.toml", per_cycle, variant, _TENSOR_WARPS, work=flop, unrolls=(8, 16), repeats=(4, 12),
        claim=Claim(opcode, each=4), architectures=("sm_80", "sm_86", "sm_89", "sm_120"),
    )  # fmt: skip


# From the start of a block that has nothing to do to its end: 43 to 48 cycles by its machine code.
_EMPTY_BLOCK_CYCLES = 45


def _start(smem_bytes: int, *architectures: str) -> Probe:
    return Probe(
        "cta_start_cycles", "chip/empty.toml", slope_on_sm, constants={"SMEM": smem_bytes},
        sweep=({"CTAS": 8192}, {"CTAS": 16384}, {"CTAS": 32768}), axis="CTAS", unrolls=(0,), repeats=(1,),
        shift=-_EMPTY_BLOCK_CYCLES,
        architectures=architectures, note="one block on each SM, less the time of its own few instructions",
    )  # fmt: skip


def _l2_rate(
    depth: int, *architectures: str, ctas_per_sm: int = 6, parameter: str = "l2_chip_bytes_per_cycle"
) -> Probe:
    """Of blocks of 16 KiB at a time; the first turns, which bring them from DRAM, are in both lengths compared."""
    return Probe(
        parameter, "chip/read_l2.toml", per_cycle_of_chip, constants={"DEPTH": depth},
        ctas_per_sm=ctas_per_sm, work=ctas_per_sm * 256 * 4 * 16, unrolls=(4,), repeats=(16, 80),
        claim=Claim(r"LDG\.E\.128.*STRONG\.GPU"), architectures=architectures,
        note=f"loads of 16 bytes past the L1, all SMs at different lines of {16 * ctas_per_sm * depth} KiB for each SM",
    )  # fmt: skip


def _dram(parameter: str, variant: str, ways: int) -> Probe:
    """Rows of 16 KiB for each of the blocks, 128 KiB on an SM at a time."""
    return Probe(
        parameter, "chip/stream.toml", gbyte_per_s_of_chip, variant, ctas_per_sm=8, work=ways * 8 * 256 * 4 * 16,
        unrolls=(4,), repeats=(8, 40), claim=Claim(r"LDG\.E\.(EF\.)?128"),
        note="loads of 16 bytes" + (", and as many stores: bytes of both" if ways > 1 else ""),
    )  # fmt: skip


def _chain(parameter: str, variant: str, opcode: str, shift: float = 0.0, note: str = "", each: int = 1) -> Probe:
    """A chain in which other instructions stand between those of interest; `shift` takes them away."""
    return Probe(
        parameter, _PIPES, in_cycles, variant, _ONE, shift=shift, note=note, unrolls=(16, 32),
        claim=Claim(opcode, each=each),
    )  # fmt: skip


def _partial_writes(ctas_per_sm: int, *architectures: str) -> Probe:
    """Of 32 KiB for each block, which must fit the L2 together."""
    return Probe(
        "l2_partial_writes_per_cycle", "chip/scatter.toml", per_cycle_of_chip, ctas_per_sm=ctas_per_sm,
        work=ctas_per_sm * 256 * 4, unrolls=(4,), repeats=(16, 80), claim=Claim(r"STG\.E$"),
        architectures=architectures, note="stores of single words, each to another sector",
    )  # fmt: skip


_ARITHMETIC = (
    _latency("alu_latency_cycles", "", "FFMA"),
    _chain("ptx_vote_latency_cycles", "vote", "VOTE", -5, "with the test that a chain needs, less an addition of 5"),
    _chain("ptx_redux_latency_cycles", "redux", "REDUX", -6, "less the move to a register, 6 cycles"),
    _chain("match_latency_cycles", "match", "MATCH"),
    _chain("special_register_latency_cycles", "special", "S2R", -13, "less the test that a chain needs, 13 cycles"),
    _chain("ptx_const_latency_cycles", "constant", "LDC"),
    Probe(
        "ptx_div_u32_latency_cycles",
        _PIPES,
        in_cycles,
        "div_u32",
        _ONE,
        unrolls=(16, 32),
        claim=Claim(r"MUFU\.RCP"),
        architectures=_UP_TO_HOPPER,
    ),
    _chain("ptx_div_f32_latency_cycles", "div_f32", r"MUFU\.RCP"),
    _chain("ptx_rcp_f32_latency_cycles", "rcp_f32", r"MUFU\.RCP"),
    _chain("ptx_div_f64_latency_cycles", "div_f64", r"MUFU\.RCP64H"),
    Probe("ptx_div_u64_latency_cycles", _PIPES, in_cycles, "div_u64", _ONE, unrolls=(16, 32)),
    # Elsewhere a warp holds the pipe of FP64 for longer than its latency.
    _latency("ptx_fp64_latency_cycles", "fma64", "DFMA", ("sm_80", "sm_90", "sm_100")),
    _latency("sfu_latency_cycles", "exp2", r"MUFU\.EX2"),
    _latency("shuffle_latency_cycles", "shuffle", r"SHFL\.BFLY"),
    _lanes("fp32_lanes_per_cycle", "", "FFMA"),
    _lanes("fp64_lanes_per_cycle", "fma64", "DFMA"),
    _lanes("fp16_lanes_per_cycle", "fma16x2", "HFMA2", 2),
    _lanes("int32_lanes_per_cycle", "add32", "IADD3", architectures=_UP_TO_HOPPER),
    _lanes("int32_mul_lanes_per_cycle", "multiply32", r"IMAD$"),
    Probe(
        "wide_multiply_passes",
        _PIPES,
        passes,
        "multiply_wide",
        {"CHAINS": 4, "BLOCK": 512},
        work=4 * 4,
        unrolls=(8, 16),
        repeats=_LONG,
        claim=Claim(r"IMAD\.WIDE", each=4),
    ),
    _lanes("logic_lanes_per_cycle", "logic", r"LOP3"),
    _lanes("minmax_lanes_per_cycle", "minmax", r"V?IMNMX"),
    _lanes("sfu_results_per_cycle", "exp2", r"MUFU\.EX2"),
    _lanes("cvt_f32_f16_per_cycle", "float_to_half", r"F2FP"),
    _lanes("cvt_f32_i32_per_cycle", "float_to_int", r"F2I"),
    _lanes("shuffle_lanes_per_cycle", "shuffle", r"SHFL\.BFLY"),
)


def _place(parameter: str, percent: int) -> Probe:
    """Latency of the line that so many of 256 are quicker than, in 8 MiB; one chain of loads to each.

    Not that of another partition, which a machine file calls far: after its first load a line may be kept near.
    """
    return Probe(
        parameter, "memory/places.toml", each, constants={"LINES": 256, "STRIDE": 32896, "PERCENT": percent}, work=16,
        unrolls=(16,), repeats=(4,), claim=Claim(r"LDG\.E\.64", chained=True), shift=-1.5, is_inside=True,
        note=f"{percent} % of lines are quicker; less a sixteenth of what lies between the loads and the clock",
    )  # fmt: skip


_MEMORY = (
    Probe(
        "l1_hit_latency_cycles", "memory/chase_l1.toml", shift=-2, claim=Claim(r"LDG\.E\.64", chained=True),
        note="a load of 64 bits takes two cycles more than one of 32 (Huerta et al., MICRO 2025, table 2)",
    ),
    Probe("ptx_l1_latency_cycles", "memory/chase_l1.toml", claim=Claim(r"LDG\.E\.64", chained=True)),
    Probe("l2_latency_cycles", "memory/chase_l2.toml", claim=Claim(r"LDG\.E\.64", chained=True)),
    _place("l2_quick_latency_cycles", 10),
    _place("l2_median_latency_cycles", 50),
    _place("l2_slow_latency_cycles", 90),
    Probe(
        "dram_latency_cycles", "memory/chase_dram.toml", shift=-10, claim=Claim(r"LDG\.E\.64"),
        note="less the addition of 64 bits in the chain, two instructions of 4 and 6 cycles",
    ),
    Probe("lds_latency_cycles", "memory/chase_shared.toml", claim=Claim("LDS$", chained=True)),
    Probe(
        "smem_bytes_per_cycle", "memory/conflicts.toml", per_cycle, "words4", {"BLOCK": 512}, work=512 * 16,
        unrolls=(8, 16), repeats=_LONG, claim=Claim(r"LDS\.128"),
    ),
    Probe(
        "smem_conflict_cycles", "memory/chase_shared.toml", slope, axis="STRIDE", claim=Claim("LDS$", chained=True),
        sweep=({"STRIDE": 1}, {"STRIDE": 2}, {"STRIDE": 4}, {"STRIDE": 8}), note="for each way more",
    ),
    Probe(
        "lsu_address_interval_cycles", "memory/strides.toml", each, "", {"BLOCK": 1024, "SUB_CORES": 1}, work=8,
        unrolls=(16, 32), repeats=_LONG, claim=Claim(r"LDG\.E"),
        note="eight warps of one sub-core: of one alone the sums at the end of a run do not go out of the difference",
    ),
    Probe(
        "lsu_accept_interval_cycles", "memory/strides.toml", each, "", {"BLOCK": 1024}, unrolls=(8, 16),
        repeats=_LONG, work=32, claim=Claim(r"LDG\.E"), note="32 warps together",
    ),
    Probe(
        "l1_tags_per_cycle", "memory/strides.toml", per_cycle, "", {"BLOCK": 1024, "STRIDE": 33}, unrolls=(8, 16),
        repeats=_LONG, work=32 * 32, claim=Claim(r"LDG\.E"),
        note="loads that touch 32 lines in a row, each in another bank of the data",
    ),
    Probe(
        "smem_store_to_load_cycles", "memory/shared_chain.toml", beyond_shared_load, claim=Claim("STS"),
        note="until a load behind it may start: a store and a load of the same word, less the load",
    ),
    Probe(
        "cp_async_latency_cycles", "memory/shared_chain.toml", in_cycles, "copy", unrolls=(16, 32),
        claim=Claim("LDGSTS"), note="16 bytes for each lane of one warp, from the L2",
    ),
    Probe(
        "shared_atomic_passes", "memory/shared_chain.toml", each, "add", {"BLOCK": 512}, work=16, unrolls=(8, 16),
        claim=Claim("ATOMS"), note="16 warps together",
    ),
    Probe("ldmatrix_latency_cycles", "matrix/ldmatrix.toml", claim=Claim(r"LDSM\.16\.M88\.4", chained=True)),
)  # fmt: skip

_HANDED: dict[str, Any] = {
    "sweep": ({"WORDS4": 2}, {"WORDS4": 4}, {"WORDS4": 8}),
    "axis": "WORDS4",
    "unit": 2,
    "unrolls": (8, 16),
    "claim": Claim(r"BAR\.SYNC"),
    "note": "by two warps, with a barrier of both",
}

_WAITING = (
    Probe(
        "ptx_barrier_cycles", "sync/task.toml", intercept, claim=Claim(r"BAR\.SYNC"),
        sweep=({"BLOCK": 64}, {"BLOCK": 256}, {"BLOCK": 512}, {"BLOCK": 1024}), axis="BLOCK", unit=32,
    ),
    Probe(
        "barrier_cycles_per_warp", "sync/task.toml", slope, claim=Claim(r"BAR\.SYNC"),
        sweep=({"BLOCK": 64}, {"BLOCK": 256}, {"BLOCK": 512}, {"BLOCK": 1024}), axis="BLOCK", unit=32,
    ),
    Probe("ptx_membar_cycles", "sync/task.toml", in_cycles, "fence", {"BLOCK": 32}, claim=Claim("MEMBAR")),
    Probe("named_barrier_cycles", "sync/task.toml", in_cycles, "named", {"BLOCK": 64}, claim=Claim(r"BAR\.SYNC")),
    Probe(
        "mbarrier_handoff_cycles", "sync/handoff.toml", each, work=2, unrolls=(8, 16), shift=-10,
        note="less the way from a wait that is over to the next arrival, 10 cycles by the machine code",
    ),
    Probe(
        "late_barrier_cycles", "sync/task.toml", in_cycles, "late", {"BLOCK": 1024}, unrolls=(4, 8), shift=-280,
        claim=Claim(r"BAR\.SYNC"), architectures=("sm_90",),
        note="from the arrival of the last of 32 warps, 280 cycles after the barrier before by the machine code",
    ),
    Probe("register_handoff_cycles", "sync/tiles.toml", intercept, **_HANDED),
    Probe("register_handoff_cycles_per_kib", "sync/tiles.toml", slope, **_HANDED),
    Probe(
        "fence_cycles", "sync/pair.toml", in_cycles, "fence", {"BLOCK": 32}, unrolls=(16, 32), claim=Claim("FENCE"),
    ),
    Probe("cluster_barrier_cycles", "sync/pair.toml", unrolls=(8, 16), claim=Claim("UCGABAR_WAIT")),
    Probe(
        "cluster_sync_cycles", "sync/pair.toml", in_cycles, "release", unrolls=(8, 16), claim=Claim("UCGABAR_WAIT"),
        note="with the fence that a barrier of a cluster has by default",
    ),
    Probe(
        "dsmem_latency_cycles", "sync/distributed.toml", unrolls=(16, 32), shift=-8, claim=Claim(r"LD\.E"),
        note="less the two moves of an address in the chain, of 2 and 6 cycles",
    ),
)  # fmt: skip

_MATRICES = (
    Probe(
        # Sums in single precision hold the pipe of a GeForce for longer than that.
        "mma_latency_cycles", "matrix/mma.toml", in_cycles, "half_sums", {"CHAINS": 1, "BLOCK": 32},
        claim=Claim(r"HMMA\.16816\.F16", chained=True),
    ),
    _tensor("tensor_fp16_flop_per_cycle", "", r"HMMA\.16816\.F32$", 16),
    _tensor("tensor_bf16_flop_per_cycle", "brain", r"HMMA\.16816\.F32\.BF16", 16),
    _tensor("tensor_tf32_flop_per_cycle", "tf32", r"HMMA\.1688", 8),
    _tensor("tensor_int8_flop_per_cycle", "int8", r"IMMA\.16832", 32),
)  # fmt: skip

_COPIES = (
    Probe(
        "tma_latency_cycles", "bulk/task.toml", intercept, sweep=({"BYTES": 1024}, {"BYTES": 4096}, {"BYTES": 8192}),
        axis="BYTES", unit=1024, unrolls=(4, 8), repeats=_LONG,
    ),
    Probe(
        "tma_latency_cycles_per_kib", "bulk/task.toml", slope, axis="BYTES", unit=1024, unrolls=(4, 8), repeats=_LONG,
        sweep=({"BYTES": 1024}, {"BYTES": 4096}, {"BYTES": 8192}),
    ),
    Probe(
        "tma_bytes_per_cycle", "bulk/task.toml", per_cycle, "slots", {"BYTES": 8192, "SLOTS": 8}, work=8 * 8192,
        unrolls=(2, 4), repeats=_LONG,
    ),
)  # fmt: skip


def _code(parameter: str, ctas_per_sm: int, note: str) -> Probe:
    """Of each KiB that is run for the first time; the L2 has nothing of it."""
    return Probe(
        parameter, "chip/code.toml", first_turn, axis="KIB", ctas_per_sm=ctas_per_sm, unrolls=(0,), repeats=(0,),
        sweep=tuple({"KIB": kib, "TURNS": turns} for kib in (4, 8, 16, 32) for turns in (1, 2)),
        is_inside=True, note=note,
    )  # fmt: skip


_CHIP = (
    _code("cold_code_cycles_per_kib", 1, "all SMs run the same code"),
    _code("cold_code_cycles_per_kib_alone", 0, "one SM alone"),
    Probe(
        "cta_launch_ns", "chip/empty.toml", slope_ns, sweep=({"CTAS": 65536}, {"CTAS": 131072}, {"CTAS": 262144}),
        axis="CTAS", unrolls=(0,), repeats=(1,), note="blocks of one warp that do nothing",
    ),
    _start(120 << 10, "sm_80", "sm_90", "sm_100"),
    _start(60 << 10, "sm_86", "sm_89", "sm_120"),
    Probe(
        "atomics_per_cycle", "chip/atomics.toml", per_cycle, ctas_per_sm=4, work=4 * 256 * 16,
        unrolls=(16,), repeats=(16, 80), claim=Claim(r"REDG?\.E\.ADD"),
    ),
    _dram("dram_achieved_gbyte_per_s", "", 1),
    _dram("dram_copy_gbyte_per_s", "copy", 2),
    Probe(
        "l2_bytes_per_cycle", "chip/read_l2.toml", per_cycle, constants={"CTAS": 1, "BLOCK": 1024, "DEPTH": 3},
        work=1024 * 4 * 16, unrolls=(4,), repeats=(64, 320), claim=Claim(r"LDG\.E\.128.*STRONG\.GPU"),
        note="one block of 1024 threads, alone on the GPU",
    ),
    _partial_writes(4, "sm_80", "sm_89", "sm_90", "sm_100", "sm_120"),
    _partial_writes(1, "sm_86"),
    _l2_rate(2, "sm_80", "sm_90", "sm_100"),
    _l2_rate(1, "sm_89", "sm_120"),
    # Where the partitions of an L2 keep copies of each other's lines, more of a smaller part is near.
    _l2_rate(1, "sm_80", "sm_90", parameter="l2_chip_small_bytes_per_cycle"),
    # An L2 of 6 MiB holds two blocks of each SM.
    _l2_rate(1, "sm_86", ctas_per_sm=2),
)  # fmt: skip


def _product(parameter: str, width: int) -> Probe:
    """Cycles from one product of depth 16 to the next, of 128 rows and `width` columns."""
    return Probe(
        parameter, "asynchronous/tcgen05.toml", in_cycles, "", {"N": width}, unrolls=(4, 8), claim=Claim("UTCHMMA")
    )


def _warpgroup(width: int, layout: str) -> Probe:
    """Cycles from one product of depth 16 to the next onto the same sums, of 64 rows; layout as in [tables.wgmma]."""
    return Probe(
        f"wgmma_{layout.lower()}_m64n{width}k16_cycles", "asynchronous/wgmma.toml", in_cycles, "",
        {"REGISTERS": layout == "RS", "N": width}, unrolls=(8, 16), repeats=(4, 12),
        claim=Claim(rf"HGMMA\.64x{width}x16", rare=r"WARPGROUP\.DEPBAR"),
    )  # fmt: skip


def _warpgroup_rate(parameter: str, variant: str, opcode: str, depth: int) -> Probe:
    """The rate of a whole SM: a warp group has a warp on each of its tensor cores."""
    return Probe(
        parameter, "asynchronous/wgmma.toml", per_cycle, variant, {"N": 256}, work=2 * 64 * 256 * depth,
        unrolls=(8, 16), repeats=(4, 12), claim=Claim(opcode, rare=r"WARPGROUP\.DEPBAR"), architectures=("sm_90",),
    )  # fmt: skip


_WIDTHS = (8, 16, 32, 64, 128, 256)
_ASYNCHRONOUS = (
    *(_warpgroup(width, layout) for layout in ("SS", "RS") for width in _WIDTHS),
    _warpgroup_rate("tensor_fp16_flop_per_cycle", "", r"HGMMA\.64x256x16\.F32$", 16),
    _warpgroup_rate("tensor_bf16_flop_per_cycle", "brain", r"HGMMA\.64x256x16\.F32\.BF16", 16),
    _warpgroup_rate("tensor_tf32_flop_per_cycle", "tf32", r"HGMMA\.64x256x8\.F32\.TF32", 8),
    _warpgroup_rate("tensor_fp8_flop_per_cycle", "float8", r"QGMMA\.64x256x32", 32),
    _warpgroup_rate("tensor_int8_flop_per_cycle", "int8", r"IGMMA\.64x256x32", 32),
    _product("tcgen05_m128n64k16_cycles", 64),
    _product("tcgen05_m128n256k16_cycles", 256),
)

_TILES = ({"ROWS": 8}, {"ROWS": 32}, {"ROWS": 64})
# Last, since a fault would end the measurements: a map that a kernel makes, registers that it asks for.
_LAST = (
    Probe(
        "register_reallocation_cycles", "sync/registers.toml", each, work=2, unrolls=(8, 16),
        note="one warp group, from 232 registers to 40 and back",
    ),
    Probe(
        "tma_tensor_latency_cycles", "bulk/tensor.toml", intercept, sweep=_TILES, axis="ROWS", unit=8, unrolls=(4, 8),
        repeats=_LONG, note="through a tensor map, rows of 128 bytes, swizzled",
    ),
    Probe(
        "tma_tensor_latency_cycles_per_kib", "bulk/tensor.toml", slope, sweep=_TILES, axis="ROWS", unit=8,
        unrolls=(4, 8), repeats=_LONG,
    ),
    Probe(
        "tma_tensor_bytes_per_cycle", "bulk/tensor.toml", per_cycle, "slots", {"ROWS": 64, "SLOTS": 8}, work=8 * 8192,
        unrolls=(2, 4), repeats=_LONG,
    ),
)  # fmt: skip

PROBES = (*_ARITHMETIC, *_MEMORY, *_WAITING, *_MATRICES, *_COPIES, *_ASYNCHRONOUS, *_CHIP, *_LAST)
