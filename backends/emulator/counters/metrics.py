"""The table of counters: name, unit, what it counts, how it differs from Nsight Compute's, and how it is computed.

Names are Nsight Compute's where they mean the same; those that begin with `emulated__` have no counterpart there. All
instructions are PTX instructions, not machine instructions, so that counts of instructions differ from a GPU's by what
the assembler makes of them; accesses of memory do not, but for spills and what it merges or moves out of loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backends.emulator.counters.sectors import SECTOR_BYTES
from backends.emulator.counters.sums import Sums

Value = Callable[[Sums], float | None]
_PTX = "PTX instructions"
_PIPES = {
    "alu": "integer and logic, comparisons, selections, moves, narrow conversions",
    "fma": "single precision and integer multiplication", "fp16": "half precision (on some GPUs the FMA pipe's)",
    "fp64": "double precision", "xu": "transcendentals, integer-float conversions, counts of bits",
    "lsu": "loads, stores, atomics, shuffles", "tensor": "matrix products", "cbu": "branches",
    "adu": "barriers of a CTA",
}  # fmt: skip
_OPS = ("ffma", "fadd", "fmul", "hfma", "hadd", "hmul", "dfma", "dadd", "dmul")
CLASSES = (
    "fp32",
    "fp16",
    "fp64",
    "integer",
    "bit",
    "conversion",
    "control",
    "memory",
    "inter_thread_communication",
    "misc",
)
_PATHS = (
    "fp16_dst_fp16", "fp16_dst_fp32", "bf16_dst_fp32", "tf32_dst_fp32", "fp8_dst_fp16", "fp8_dst_fp32", "fp6_dst_fp32",
    "fp4_dst_fp32", "fp64", "int8", "int4", "int1",
)  # fmt: skip
_SPACE_OPS = {"global": ("ld", "st", "atom", "red"), "local": ("ld", "st")}
_SHARED_OPS = ("ld", "st", "atom", "red")
_INSTRUCTIONS = {
    "global_ld": ("global", "ld"), "global_st": ("global", "st"), "global_atom": ("global", "atom"),
    "global_red": ("global", "red"), "local_ld": ("local", "ld"), "local_st": ("local", "st"),
    "shared_ld": ("shared", "ld"), "shared_st": ("shared", "st"),
}  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One counter. `differs`: how it is not what Nsight Compute means, "" where it is the same.

    value: from the sums over instructions; None where it has none, as a ratio of nothing.
    """

    name: str
    unit: str
    text: str
    value: Value
    differs: str = ""


def _sum(column: str, weight: float = 1, **wanted: object) -> Value:
    return lambda s: weight * s.total(column, **wanted)


def _ratio(above: Value, below: Value, scale: float = 1) -> Value:
    def value(s: Sums) -> float | None:
        under = below(s)
        return scale * (above(s) or 0.0) / under if under else None

    return value


def _single(name: str, weight: float = 1) -> Value:
    return lambda s: weight * s.single(name)


def _less(value: Value, other: Value) -> Value:
    return lambda s: (value(s) or 0.0) - (other(s) or 0.0)


def _add(*values: Value) -> Value:
    return lambda s: sum(v(s) or 0.0 for v in values)


def _instructions() -> Iterable[Metric]:
    warps, threads = _sum("inst_executed"), _sum("thread_inst_executed")
    on = _sum("thread_inst_executed_pred_on")
    yield Metric("smsp__inst_executed.sum", "inst", "instructions executed by warps", warps, _PTX)
    yield Metric("smsp__thread_inst_executed.sum", "inst", "instructions executed by threads", threads, _PTX)
    yield Metric("smsp__thread_inst_executed_pred_on.sum", "inst", "the same where the guard holds", on, _PTX)
    yield Metric(
        "smsp__thread_inst_executed_per_inst_executed.ratio", "", "threads per instruction", _ratio(threads, warps)
    )
    name = "smsp__thread_inst_executed_pred_on_per_inst_executed.ratio"
    yield Metric(name, "", "threads per instruction whose guard holds", _ratio(on, warps))
    yield Metric("smsp__warps_launched.sum", "warp", "warps launched", _single("warps_launched"))
    for pipe, what in _PIPES.items():
        yield Metric(
            f"smsp__inst_executed_pipe_{pipe}.sum", "inst", f"warp instructions: {what}",
            _sum("inst_executed", pipe=pipe), f"{_PTX}, by a table of opcodes",
        )  # fmt: skip
    for kind in ("hmma", "imma", "dmma", "bmma"):
        yield Metric(
            f"smsp__inst_executed_pipe_tensor_op_{kind}.sum", "inst", f"warp instructions: {kind.upper()}",
            _sum("inst_executed", tensor_op=kind), f"{_PTX}; tcgen05.mma is not among them",
        )  # fmt: skip


def _memory_instructions() -> Iterable[Metric]:
    for name, (space, operation) in _INSTRUCTIONS.items():
        yield Metric(
            f"smsp__inst_executed_op_{name}.sum", "inst", f"warp instructions: {operation} of {space} memory",
            _sum("inst_executed", space=space, operation=operation, base=("ld", "ldu", "st", "atom", "red")),
            "generic addresses count as global",
        )  # fmt: skip
    atomics = _add(*(_sum("inst_executed", space="shared", operation=o) for o in ("atom", "red")))
    yield Metric(
        "smsp__inst_executed_op_shared_atom.sum", "inst", "warp instructions: atomics on shared memory", atomics
    )
    yield Metric(
        "smsp__inst_executed_op_ldsm.sum", "inst", "warp instructions: ldmatrix", _sum("inst_executed", base="ldmatrix")
    )
    copies = _add(*(_sum("inst_executed", operation=f"ldgsts_cache_{way}") for way in ("access", "bypass")))
    yield Metric(
        "smsp__inst_executed_op_ldgsts.sum", "inst", "warp instructions: cp.async of 4 to 16 bytes a thread", copies
    )
    yield Metric(
        "smsp__inst_executed_op_branch.sum",
        "inst",
        "warp instructions: branches",
        _sum("inst_executed", base=("bra", "brx")),
        _PTX,
    )
    yield Metric(
        "emulated__inst_executed_barrier.sum",
        "inst",
        "warp instructions: barriers of a CTA or a cluster",
        _sum("inst_executed", base=("bar", "barrier")),
    )
    yield Metric(
        "emulated__inst_executed_mbarrier.sum",
        "inst",
        "warp instructions: mbarrier",
        _sum("inst_executed", base="mbarrier"),
        "a wait that had to wait counts each try",
    )


def _thread_operations() -> Iterable[Metric]:
    for name in (*_OPS, *CLASSES):
        weighted = name in _OPS or name in ("fp32", "fp16", "fp64")
        yield Metric(
            f"sm__sass_thread_inst_executed_op_{name}_pred_on.sum", "inst", f"operations of threads: {name}",
            _sum("thread_operations" if weighted else "thread_inst_executed_pred_on", cls=name),
            f"{_PTX}; packed pairs count twice" if weighted else _PTX,
        )  # fmt: skip
    for path in _PATHS:
        yield Metric(
            f"sm__ops_path_tensor_src_{path}.sum", "op", f"multiplications and additions of matrix products: {path}",
            _sum("tensor_ops", tensor_path=path), "sparse products count as if dense",
        )  # fmt: skip
    yield Metric(
        "emulated__tensor_ops.sum", "op", "multiplications and additions of all matrix products", _sum("tensor_ops")
    )


def _branches() -> Iterable[Metric]:
    guarded, divergent = _sum("branches"), _sum("branches_divergent")
    uniform = _less(guarded, divergent)
    note = "guarded PTX branches; the assembler turns short ones into guards"
    yield Metric("smsp__sass_branch_targets.sum", "", "conditional branches executed by warps", guarded, note)
    yield Metric(
        "smsp__sass_branch_targets_threads_divergent.sum", "", "those at which a warp's threads part", divergent, note
    )
    yield Metric("smsp__sass_branch_targets_threads_uniform.sum", "", "those at which they do not", uniform, note)
    share = _ratio(uniform, guarded, 100)
    yield Metric("smsp__sass_average_branch_targets_threads_uniform.pct", "%", "share of the latter", share, note)


def _l1_accesses() -> Iterable[Metric]:
    for space, operations in _SPACE_OPS.items():
        for operation in operations:
            yield from _accesses(space, operation)
    for way in ("_cache_access", "_cache_bypass"):
        for what in ("requests", "sectors"):
            yield Metric(
                f"sm__sass_l1tex_t_{what}_pipe_lsu_mem_global_op_ldgsts{way}.sum", what[:-1],
                f"{what} of cp.async {'through' if 'access' in way else 'past'} the L1",
                _sum(f"global_{what}", operation=f"ldgsts{way}"),
            )  # fmt: skip


def _accesses(space: str, operation: str) -> Iterable[Metric]:
    requests, sectors = (_sum(f"{space}_{what}", operation=operation) for what in ("requests", "sectors"))
    end = f"pipe_lsu_mem_{space}_op_{operation}"
    what = f"{operation} of {space} memory"
    yield Metric(f"l1tex__t_requests_{end}.sum", "request", f"warp accesses: {what}", requests)
    yield Metric(f"l1tex__t_sectors_{end}.sum", "sector", f"32-byte sectors of them, each once a warp: {what}", sectors)
    ratio = _ratio(sectors, requests)
    yield Metric(
        f"l1tex__average_t_sectors_per_request_{end}.ratio", "sector/request", f"sectors a request: {what}", ratio
    )
    if space == "global" and operation in ("ld", "st"):
        used = _ratio(_sum("global_bytes", operation=operation), sectors, 100 / SECTOR_BYTES)
        name = f"smsp__sass_average_data_bytes_per_sector_mem_global_op_{operation}.pct"
        yield Metric(name, "%", f"bytes that threads want of those in the sectors: {what}", used)


def _shared() -> Iterable[Metric]:
    sources = {
        "wavefronts": ("l1tex__data_pipe_lsu_wavefronts_mem_shared", "passes through the banks"),
        "bank_conflicts": ("l1tex__data_bank_conflicts_pipe_lsu_mem_shared", "passes beyond what the width needs"),
    }
    for column, (name, text) in sources.items():
        total = _sum(f"shared_{column}")
        yield Metric(f"{name}.sum", "", f"{text}: loads, stores, atomics and cp.async", total)
        for operation in _SHARED_OPS:
            value = _sum(f"shared_{column}", operation=operation)
            yield Metric(f"{name}_op_{operation}.sum", "", f"{text}: {operation}", value)
        copies = _add(*(_sum(f"shared_{column}", operation=f"ldgsts_cache_{w}") for w in ("access", "bypass")))
        yield Metric(f"{name}_op_ldgsts.sum", "", f"{text}: cp.async", copies)


def _l1_hits() -> Iterable[Metric]:
    note, end = "cache model", "pipe_lsu_mem_global_op_ld"
    own = _sum("l1_load_hits", operation="ld", space="global")
    rate = _ratio(own, _sum("global_sectors", operation="ld"), 100)
    every = _ratio(_add(_sum("l1_load_hits"), _sum("l1_store_hits")), _sum("l1_sectors"), 100)
    yield Metric(
        f"l1tex__t_sectors_{end}_lookup_hit.sum", "sector", "sectors of global loads found in the L1", own, note
    )
    yield Metric(f"l1tex__t_sector_{end}_hit_rate.pct", "%", "share of them", rate, note)
    yield Metric("l1tex__t_sector_hit_rate.pct", "%", "sectors of loads and stores found in the L1", every, note)


def _l2() -> Iterable[Metric]:
    note = "cache model"
    reads, writes, atomics, returning = (
        _sum("l2_read_sectors"), _sum("l2_write_sectors"), _sum("l2_atomic_sectors"),
        _sum("l2_atomic_sectors", operation="atom"),
    )  # fmt: skip
    hits = _sum("l2_read_hits")
    every = _add(reads, writes, atomics)
    found = _add(hits, _sum("l2_write_hits"), _sum("l2_atomic_hits"))
    yield Metric("lts__t_sectors.sum", "sector", "sectors at the L2", every, note)
    yield Metric("lts__t_sectors_op_read.sum", "sector", "sectors that SMs read from the L2", reads, note)
    yield Metric("lts__t_sectors_op_write.sum", "sector", "sectors that SMs write to the L2", writes)
    yield Metric("lts__t_sectors_op_atom.sum", "sector", "sectors of atomics that return a value", returning)
    yield Metric("lts__t_sectors_op_red.sum", "sector", "sectors of those that do not", _less(atomics, returning))
    yield Metric("lts__t_sectors_op_read_lookup_hit.sum", "sector", "sectors read and found in the L2", hits, note)
    yield Metric(
        "lts__t_sectors_op_read_lookup_miss.sum", "sector", "sectors read and not found", _less(reads, hits), note
    )
    yield Metric(
        "lts__t_sector_hit_rate.pct", "%", "share of all sectors found in the L2", _ratio(found, every, 100), note
    )


def _dram() -> Iterable[Metric]:
    read, written = _sum("dram_read_sectors", SECTOR_BYTES), _single("written_back_sectors", SECTOR_BYTES)
    dirty = _single("dirty_sectors", SECTOR_BYTES)
    note = "cache model, empty at first; no neighbouring sectors are fetched"
    yield Metric("dram__bytes_read.sum", "byte", "bytes that the L2 reads from memory", read, note)
    yield Metric("dram__bytes_write.sum", "byte", "bytes that the L2 writes back while the kernel runs", written, note)
    yield Metric("dram__bytes.sum", "byte", "both", _add(read, written), note)
    yield Metric("emulated__l2_dirty_bytes.sum", "byte", "bytes that it has to write back afterwards", dirty)


def _bulk() -> Iterable[Metric]:
    reads, writes = _sum("tma_read_bytes"), _sum("tma_write_bytes")
    text = "bytes, in whole sectors, that bulk copies"
    yield Metric("emulated__tma_copies.sum", "request", "bulk copies, one for each box or run", _sum("tma_copies"))
    yield Metric(
        "smsp__inst_executed_op_tma_ld.sum", "inst", "warp instructions: bulk loads", _sum("inst_executed", bulk="ld")
    )
    yield Metric(
        "smsp__inst_executed_op_tma_st.sum",
        "inst",
        "warp instructions: bulk stores and reductions",
        _sum("inst_executed", bulk="st"),
    )
    yield Metric(
        "l1tex__m_xbar2l1tex_read_bytes_mem_global_op_tma_ld.sum",
        "byte",
        f"{text} read",
        reads,
        "a multicast counts once",
    )
    yield Metric("l1tex__m_l1tex2xbar_write_bytes_mem_global_op_tma_st.sum", "byte", f"{text} write", writes)


METRICS: tuple[Metric, ...] = tuple(
    metric
    for family in (
        _instructions, _memory_instructions, _thread_operations, _branches, _l1_accesses, _shared, _l1_hits, _l2, _dram,
        _bulk,
    )
    for metric in family()
)  # fmt: skip
