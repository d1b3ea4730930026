"""The metrics of memory: instructions, L1, shared memory, L2 and DRAM; see `metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from backends.model.report.facts import Facts
from backends.model.report.metric import Metric, Value, count, ratio, total

_SPACE_OPS = {"global": ("ld", "st", "atom", "red"), "local": ("ld", "st"), "shared": ("ld", "st", "atom", "red")}


def memory_instructions() -> Iterable[Metric]:
    """Instructions that access memory."""
    for space, operations in _SPACE_OPS.items():
        for operation in operations:
            if (space, operation) in (("shared", "red"), ("shared", "atom")):
                continue
            yield Metric(
                f"smsp__inst_executed_op_{space}_{operation}.sum", "inst",
                f"warp instructions: {operation} of {space} memory",
                total(lambda f: f.executions, space=space, operation=operation),
                "generic addresses count as global, ldmatrix apart" if space != "local" else "",
            )  # fmt: skip
    yield Metric(
        "smsp__inst_executed_op_shared_atom.sum", "inst", "warp instructions: atomics on shared memory",
        count(lambda i: i.opcode == "ATOMS"),
    )  # fmt: skip
    for name, opcode in (("ldsm", "LDSM"), ("ldgsts", "LDGSTS")):
        yield Metric(
            f"smsp__inst_executed_op_{name}.sum", "inst", f"warp instructions: {opcode}",
            count(lambda i, opcode=opcode: i.opcode == opcode),  # type: ignore[misc]
        )  # fmt: skip


def l1_accesses() -> Iterable[Metric]:
    """Accesses of global and local memory at the L1."""
    for space in ("global", "local"):
        for operation in _SPACE_OPS[space]:
            yield from _accesses(space, operation)
    yield Metric(
        "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_hit.sum", "sector", "sectors of global loads found in L1",
        total(lambda f: f.l1_hits, space="global", operation="ld"), "cache model",
    )  # fmt: skip
    yield Metric(
        "l1tex__t_sector_pipe_lsu_mem_global_op_ld_hit_rate.pct", "%", "share of them",
        ratio(
            total(lambda f: f.l1_hits, space="global", operation="ld"),
            total(lambda f: f.sectors, space="global", operation="ld"), 100,
        ),
        "cache model",
    )  # fmt: skip
    yield Metric(
        "l1tex__t_sector_hit_rate.pct", "%", "sectors of all accesses found in the L1",
        ratio(lambda f: float(f.l1_hits.sum()), lambda f: float(f.sectors.sum()), 100), "cache model; stores miss",
    )  # fmt: skip


def _accesses(space: str, operation: str) -> Iterable[Metric]:
    end, what = f"pipe_lsu_mem_{space}_op_{operation}", f"{operation} of {space} memory"
    requests = total(lambda f: f.requests, space=space, operation=operation)
    sectors = total(lambda f: f.sectors, space=space, operation=operation)
    yield Metric(f"l1tex__t_requests_{end}.sum", "request", f"warp accesses: {what}", requests)
    yield Metric(f"l1tex__t_sectors_{end}.sum", "sector", f"32-byte sectors of them, each once a warp: {what}", sectors)
    yield Metric(
        f"l1tex__average_t_sectors_per_request_{end}.ratio", "sector/request", f"sectors a request: {what}",
        ratio(sectors, requests),
    )  # fmt: skip
    if space == "global" and operation in ("ld", "st"):
        ideal = total(lambda f: f.ideal_sectors, space=space, operation=operation)
        yield Metric(
            f"smsp__sass_average_data_bytes_per_sector_mem_global_op_{operation}.pct", "%",
            f"bytes that threads want of those in the sectors: {what}", ratio(ideal, sectors, 100), "at most 100",
        )  # fmt: skip


def shared_memory() -> Iterable[Metric]:
    """Passes through shared memory."""
    name, conflicts = "l1tex__data_pipe_lsu_wavefronts_mem_shared", "l1tex__data_bank_conflicts_pipe_lsu_mem_shared"
    operations = {"": "", "_op_ld": "ld", "_op_st": "st", "_op_atom": "atom"}
    for end, operation in operations.items():
        passes = total(lambda f: f.wavefronts, space="shared", operation=operation)
        needed = total(lambda f: f.ideal_wavefronts, space="shared", operation=operation)
        told = operation or "all"
        yield Metric(f"{name}{end}.sum", "", f"passes through the banks: {told}", passes, "not those of cp.async")
        yield Metric(
            f"{conflicts}{end}.sum", "", f"passes beyond what the width needs: {told}",
            lambda f, passes=passes, needed=needed: (passes(f) or 0.0) - (needed(f) or 0.0),  # type: ignore[misc]
            "not those of cp.async",
        )  # fmt: skip


def l2_cache() -> Iterable[Metric]:
    """Sectors at the L2."""
    note = "cache model"

    def of(*operations: str) -> Value:
        return lambda f: float(sum((f.l2_sectors * f.mask(operation=o)).sum() for o in operations))

    def hits(f: Facts) -> float:
        return float((f.l2_hits * (f.mask(operation="ld") + f.mask(operation="ldgsts"))).sum())

    reads, every = of("ld", "ldgsts"), lambda f: float(f.l2_sectors.sum())
    yield Metric("lts__t_sectors.sum", "sector", "sectors at the L2", every, note)
    yield Metric("lts__t_sectors_op_read.sum", "sector", "sectors that SMs read from the L2", reads, note)
    yield Metric("lts__t_sectors_op_write.sum", "sector", "sectors that SMs write to the L2", of("st"))
    yield Metric("lts__t_sectors_op_atom.sum", "sector", "sectors of atomics that return a value", of("atom"))
    yield Metric("lts__t_sectors_op_red.sum", "sector", "sectors of those that do not", of("red"))
    yield Metric("lts__t_sectors_op_read_lookup_hit.sum", "sector", "sectors read and found in the L2", hits, note)
    yield Metric(
        "lts__t_sectors_op_read_lookup_miss.sum", "sector", "sectors read and not found",
        lambda f: (reads(f) or 0.0) - hits(f), note,
    )  # fmt: skip
    yield Metric(
        "lts__t_sector_hit_rate.pct", "%", "share of all sectors found in the L2",
        ratio(lambda f: float(f.l2_hits.sum()), every, 100), note,
    )  # fmt: skip


def dram_traffic() -> Iterable[Metric]:
    """Bytes of the DRAM."""
    note = "cache model, empty at first; no neighbouring sectors are fetched"
    yield Metric(
        "dram__bytes_read.sum", "byte", "bytes that the L2 reads from memory",
        lambda f: f.modelled.counts.dram_read_bytes, note,
    )  # fmt: skip
    yield Metric(
        "dram__bytes_write.sum", "byte", "bytes that the L2 writes back", lambda f: f.modelled.counts.dram_write_bytes,
        note,
    )  # fmt: skip
    yield Metric("dram__bytes.sum", "byte", "both", lambda f: f.dram_bytes, note)
    yield Metric(
        "dram__bytes.sum.per_second", "byte/s", "bandwidth",
        lambda f: f.dram_bytes / (f.modelled.time_us.value * 1e-6), "over the time with the launch",
    )  # fmt: skip


def bulk_copies() -> Iterable[Metric]:
    """Copies of the TMA unit, and cp.async of the threads."""
    loads, stores = ("UTMALDG", "UBLKCP"), ("UTMASTG", "UTMAREDG", "UBLKRED")
    yield Metric(
        "smsp__inst_executed_op_tma_ld.sum", "inst", "warp instructions: bulk loads",
        count(lambda i: i.opcode in loads),
    )  # fmt: skip
    yield Metric(
        "smsp__inst_executed_op_tma_st.sum", "inst", "warp instructions: bulk stores and reductions",
        count(lambda i: i.opcode in stores),
    )  # fmt: skip
    for way, bypasses in (("access", False), ("bypass", True)):
        for what in ("requests", "sectors"):
            yield Metric(
                f"sm__sass_l1tex_t_{what}_pipe_lsu_mem_global_op_ldgsts_cache_{way}.sum", what[:-1],
                f"{what} of cp.async {'past' if bypasses else 'through'} the L1",
                lambda f, what=what, bypasses=bypasses: _of_ldgsts(f, what, bypasses),  # type: ignore[misc]
            )  # fmt: skip


def _of_ldgsts(f: Facts, column: str, bypasses: bool) -> float:
    copies = [
        i.index for i in f.function.instructions if i.opcode == "LDGSTS" and ("BYPASS" in i.modifiers) == bypasses
    ]
    return float(getattr(f, column)[copies].sum())
