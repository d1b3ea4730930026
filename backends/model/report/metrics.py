"""The table of modelled metrics: name, unit, what it says, how it differs from Nsight Compute's, how it is computed.

Names are Nsight Compute's, and those of the emulated device's counters where both mean the same. Instructions are those
of the machine. What the model cannot know has no value, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backends.emulator.counters.metrics import METRICS as COUNTED
from backends.model.parameters import SUB_CORES
from backends.model.report.facts import Facts
from backends.model.report.metric import Metric, Value, count, ratio
from backends.model.report.metrics_memory import (
    bulk_copies,
    dram_traffic,
    l1_accesses,
    l2_cache,
    memory_instructions,
    shared_memory,
)
from backends.model.sm import STALLS

_BUSIEST = "of the busiest SM"
_LANES = "all lanes of a warp, guards and divergence not seen"
_NO_LANES = "lanes are not followed, only warps"
# Nsight Compute's pipe -> pipes of `backends.sass.opcodes`; "" where GPUs differ.
_PIPES = {
    "alu": ("alu", "int"), "fma": ("fma", "fmaheavy"), "fp16": ("fp16", "fp16mma"), "fp64": ("fp64",), "xu": ("xu",),
    "lsu": ("lsu",), "tensor": ("tensor",), "cbu": ("cbu",), "adu": ("adu",), "uniform": ("uniform",), "tex": ("tex",),
    "tma": ("tma",), "tmem": ("tmem",),
}  # fmt: skip
# Of the simulator's pipes, for how long they are held.
_CYCLES = {"alu": "alu", "fma": "fma", "fmaheavy": "fmaheavy", "fp16": "fp16", "fp64": "fp64", "xu": "xu",
           "tensor": "tensor", "uniform": "uniform"}  # fmt: skip
_OPCODES = {
    "ffma": ("FFMA FFMA32I", "FFMA2"), "fadd": ("FADD FADD32I", "FADD2"), "fmul": ("FMUL FMUL32I", "FMUL2"),
    "hfma": ("", "HFMA2 HFMA2_32I"), "hadd": ("", "HADD2 HADD2_32I"), "hmul": ("", "HMUL2 HMUL2_32I"),
    "dfma": ("DFMA", ""), "dadd": ("DADD", ""), "dmul": ("DMUL", ""),
}  # fmt: skip
_TENSOR_PATH = "sm__ops_path_tensor_src_"
TENSOR_PATHS = tuple(
    m.name.removeprefix(_TENSOR_PATH).removesuffix(".sum") for m in COUNTED if m.name.startswith(_TENSOR_PATH)
)
_UNKNOWN = {
    "smsp__thread_inst_executed.sum": _NO_LANES,
    "smsp__thread_inst_executed_pred_on.sum": _NO_LANES,
    "smsp__thread_inst_executed_per_inst_executed.ratio": _NO_LANES,
    "smsp__thread_inst_executed_pred_on_per_inst_executed.ratio": _NO_LANES,
}


def metrics(facts: Facts) -> Mapping[str, float | None]:
    """Every metric of a launch by name; None for what is not modelled, or has no value, as a ratio of nothing."""
    return {m.name: _rounded(m.value(facts)) for m in METRICS}


def _rounded(value: float | None) -> float | None:
    """Ten digits: sums of floats differ beyond that from machine to machine."""
    return None if value is None else float(f"{value:.10g}")


def _nothing(_facts: Facts) -> None:
    return None


def _time() -> Iterable[Metric]:
    yield Metric(
        "gpu__time_duration.sum", "ns", "time of the launch", lambda f: f.modelled.time_us.value * 1e3,
        "its start is part of it",
    )  # fmt: skip
    yield Metric(
        "sm__cycles_elapsed.max", "cycle", "from the first CTA's start to the last one's end",
        lambda f: f.modelled.time.cycles,
    )  # fmt: skip
    yield Metric(
        "sm__cycles_active.avg", "cycle", "in which an SM has a warp",
        lambda f: f.modelled.time.cycles * f.chip_share, "work is taken to be spread evenly",
    )  # fmt: skip
    yield Metric("smsp__cycles_elapsed.max", "cycle", "as sm__cycles_elapsed.max", lambda f: f.modelled.time.cycles)
    yield Metric(
        "sm__cycles_elapsed.avg.per_second", "hz", "clock of the SMs", lambda f: f.modelled.clock_mhz * 1e6,
        "that of the machine file",
    )  # fmt: skip


def _launch() -> Iterable[Metric]:
    def product(extent: tuple[int, int, int]) -> float:
        return float(extent[0] * extent[1] * extent[2])

    def limit(name: str) -> Value:
        return lambda f: float(f.modelled.occupancy.limits[name])

    resources = "launch__registers_per_thread"
    yield Metric("launch__grid_size", "", "CTAs", lambda f: product(f.modelled.counts.grid))
    yield Metric("launch__block_size", "", "threads of a CTA", lambda f: product(f.modelled.counts.block))
    yield Metric(
        "launch__thread_count", "thread", "threads",
        lambda f: product(f.modelled.counts.grid) * product(f.modelled.counts.block),
    )  # fmt: skip
    yield Metric("launch__cluster_size", "", "CTAs of a cluster", lambda f: product(f.modelled.counts.cluster))
    yield Metric(resources, "register/thread", "registers", lambda f: float(f.modelled.footprint.registers))
    yield Metric(
        "launch__shared_mem_per_block", "byte", "shared memory of a CTA",
        lambda f: float(f.modelled.footprint.smem_bytes),
    )  # fmt: skip
    yield Metric(
        "launch__shared_mem_per_block_dynamic", "byte", "of it dynamic",
        lambda f: float(f.modelled.compiled.dynamic_smem_bytes),
    )  # fmt: skip
    yield Metric(
        "launch__shared_mem_per_block_static", "byte", "of it static",
        lambda f: float(f.modelled.footprint.smem_bytes - f.modelled.compiled.dynamic_smem_bytes),
    )  # fmt: skip
    yield Metric("launch__occupancy_limit_blocks", "block", "CTAs that an SM can hold at all", limit("ctas"))
    yield Metric("launch__occupancy_limit_registers", "block", "that registers allow", limit("registers"))
    yield Metric("launch__occupancy_limit_shared_mem", "block", "that shared memory allows", limit("shared memory"))
    yield Metric("launch__occupancy_limit_warps", "block", "that places for warps allow", limit("warps"))
    yield Metric(
        "launch__waves_per_multiprocessor", "", "CTAs over those that the chip holds at once",
        lambda f: f.modelled.work.ctas / (f.modelled.parameters.rate("sm_count") * f.modelled.occupancy.ctas),
    )  # fmt: skip


def _occupancy() -> Iterable[Metric]:
    yield Metric(
        "sm__maximum_warps_per_active_cycle_pct", "%", "theoretical occupancy",
        lambda f: 100 * f.modelled.occupancy.share,
    )  # fmt: skip
    yield Metric(
        "sm__warps_active.avg.per_cycle_active", "warp", "warps that an SM holds", lambda f: f.warps_active, _BUSIEST
    )
    yield Metric(
        "sm__warps_active.avg.pct_of_peak_sustained_active", "%", "achieved occupancy",
        lambda f: 100 * f.warps_active / f.modelled.occupancy.max_warps, _BUSIEST,
    )  # fmt: skip
    yield Metric(
        "smsp__warps_launched.sum", "warp", "warps launched",
        lambda f: float(sum(c.weight * len(c.warps) for c in f.modelled.work.classes)),
    )  # fmt: skip


def _busy(name: str) -> Value:
    return lambda f: 100 * f.modelled.limits.busy.get(name, 0.0)


def _throughput() -> Iterable[Metric]:
    rate = "pct_of_peak_sustained_elapsed"
    compute = ("issue", "fma", "imad", "fp16", "fp64", "alu", "mufu", "tensor", "uniform")
    memory = ("l1", "shared", "l2", "dram")

    def busiest(units: tuple[str, ...]) -> Value:
        return lambda f: 100 * max((f.modelled.limits.busy.get(u, 0.0) for u in units), default=0.0)

    yield Metric(f"sm__throughput.avg.{rate}", "%", "the busiest of issue and pipes", busiest(compute), _BUSIEST)
    yield Metric(
        f"gpu__compute_memory_throughput.avg.{rate}", "%", "the busiest of L1, shared memory, L2 and DRAM",
        busiest(memory), _BUSIEST,
    )  # fmt: skip
    yield Metric(
        f"l1tex__throughput.avg.{rate}", "%", "load/store unit: L1 and shared memory",
        lambda f: (_busy("l1")(f) or 0.0) + (_busy("shared")(f) or 0.0), _BUSIEST,
    )  # fmt: skip
    yield Metric(f"lts__throughput.avg.{rate}", "%", "L2", _busy("l2"), "over the measured, not the stated peak")
    yield Metric(
        f"dram__throughput.avg.{rate}", "%", "DRAM",
        lambda f: 100 * f.dram_bytes / (f.modelled.time.cycles / f.modelled.clock_mhz * 1e-6)
        / (1e9 * f.modelled.parameters.machine.rates["dram_gbyte_per_s"])
        if "dram_gbyte_per_s" in f.modelled.parameters.machine.rates else None,
    )  # fmt: skip


def _issues(f: Facts) -> float:
    """Instructions of the busiest SM, in all of its CTAs."""
    return float(f.executions.sum()) / max(f.modelled.work.ctas, 1) * f.modelled.time.sm_ctas


def _instructions() -> Iterable[Metric]:
    cycles = ratio(_issues, lambda f: f.modelled.time.cycles)
    yield Metric("smsp__inst_executed.sum", "inst", "instructions executed by warps", count(lambda _i: True))
    yield Metric("sm__inst_executed.avg.per_cycle_active", "inst/cycle", "instructions a cycle", cycles, _BUSIEST)
    yield Metric("sm__inst_executed.avg.per_cycle_elapsed", "inst/cycle", "the same", cycles, _BUSIEST)
    yield Metric(
        "smsp__issue_active.avg.pct_of_peak_sustained_active", "%", "issue slots used",
        ratio(_issues, lambda f: f.issue_slots, 100), _BUSIEST,
    )  # fmt: skip
    for name, pipes in _PIPES.items():
        yield Metric(
            f"smsp__inst_executed_pipe_{name}.sum", "inst", f"warp instructions of the {name} pipe",
            count(lambda i, pipes=pipes: i.pipe in pipes),  # type: ignore[misc]
        )  # fmt: skip
    for name, pipe in _CYCLES.items():
        yield Metric(
            f"sm__pipe_{name}_cycles_active.avg.pct_of_peak_sustained_active", "%", f"time that {name} is held",
            lambda f, pipe=pipe: _held(f, pipe), _BUSIEST,  # type: ignore[misc]
        )  # fmt: skip
    for kind in ("HMMA", "IMMA", "DMMA", "BMMA"):
        yield Metric(
            f"smsp__inst_executed_pipe_tensor_op_{kind.lower()}.sum", "inst", f"warp instructions: {kind}",
            count(lambda i, kind=kind: i.opcode == kind),  # type: ignore[misc]
        )  # fmt: skip
    yield Metric(
        "smsp__inst_executed_op_branch.sum", "inst", "warp instructions: branches",
        count(lambda i: i.opcode in ("BRA", "BRX", "JMP", "JMX")),
    )  # fmt: skip


def _held(f: Facts, pipe: str) -> float:
    time = f.modelled.time
    return 100 * time.sm.pipe_busy.get(pipe, 0.0) / SUB_CORES / time.simulated_share_cycles


def _thread_operations() -> Iterable[Metric]:
    for name, (single, packed) in _OPCODES.items():
        ones, twos = single.split(), packed.split()
        yield Metric(
            f"sm__sass_thread_inst_executed_op_{name}_pred_on.sum", "inst", f"operations of threads: {name}",
            lambda f, ones=ones, twos=twos: (  # type: ignore[misc]
                f.lanes * (f.count(lambda i: i.opcode in ones) + 2 * f.count(lambda i: i.opcode in twos))
            ),
            f"{_LANES}; packed pairs count twice",
        )  # fmt: skip
    for path in TENSOR_PATHS:
        yield Metric(
            f"sm__ops_path_tensor_src_{path}.sum", "op", f"multiplications and additions of matrix products: {path}",
            lambda f, path=path: _tensor_ops(f, path),  # type: ignore[misc]
            "sparse products count as if dense; not known of tcgen05",
        )  # fmt: skip


def _tensor_ops(f: Facts, path: str) -> float | None:
    return None if f.flops["tensor"] is None else f.tensor_paths.get(path, 0.0)


def _stalls() -> Iterable[Metric]:
    issued: Value = lambda f: float(sum(f.modelled.time.sm.issues))  # noqa: E731 - a value of the table
    for state in STALLS:
        yield Metric(
            f"smsp__average_warps_issue_stalled_{state}_per_issue_active.ratio", "warp",
            f"warps in state {state} for each instruction issued",
            ratio(lambda f, state=state: float(f.stalls[state].sum()), issued), _BUSIEST,  # type: ignore[misc]
        )  # fmt: skip
    yield Metric(
        "smsp__average_warp_latency_per_inst_issued.ratio", "cycle", "warp-cycles for each instruction issued",
        ratio(lambda f: float(f.stall_cycles.sum()) + (issued(f) or 0.0), issued), _BUSIEST,
    )  # fmt: skip


def _absent(known: Iterable[str]) -> Iterable[Metric]:
    """What the emulated device counts and the model does not know."""
    names = set(known)
    for counted in COUNTED:
        if counted.name not in names and not counted.name.startswith("emulated__"):
            why = _UNKNOWN.get(counted.name, "not modelled: count it with `twill run --counters`")
            yield Metric(counted.name, counted.unit, counted.text, _nothing, why, is_modelled=False)


_MODELLED: tuple[Metric, ...] = tuple(
    metric
    for family in (
        _time, _launch, _occupancy, _throughput, _instructions, memory_instructions, _thread_operations, l1_accesses,
        shared_memory, l2_cache, dram_traffic, bulk_copies, _stalls,
    )
    for metric in family()
)  # fmt: skip
METRICS: tuple[Metric, ...] = (*_MODELLED, *_absent(m.name for m in _MODELLED))


def metric_table() -> str:
    """All metrics as a table in Markdown: what each says, and how it differs from Nsight Compute's."""
    rows = [("name", "unit", "modelled", "what", "not quite the same"), ("---",) * 5]
    rows += [(f"`{m.name}`", m.unit, "yes" if m.is_modelled else "null", m.text, m.differs) for m in METRICS]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
