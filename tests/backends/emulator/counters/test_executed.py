"""Instruction counts: exact, free and equal on both engines; guards, divergence; samples scaled and marked."""

from __future__ import annotations

import numpy as np
import pytest

from backends.emulator.counters.classify import traits
from backends.emulator.counters.metrics import CLASSES, METRICS
from tests.backends.emulator.counters.launches import counted, run

DIVERGENT = """(unsigned* out, unsigned* in, int n) {
    unsigned x = threadIdx.x;
    if (threadIdx.x % 32 < n) {
        for (int i = 0; i < threadIdx.x % 4; i++) x = x * x + out[x & 1023];
        out[x & 1023] = x;
    }
    out[threadIdx.x] = x; }"""
COPY = "(float* out, float* in, int n) { int i = blockIdx.x * 64 + threadIdx.x; if (i < n) out[i] = in[i] * 2.f; }"
FREE = (
    "smsp__inst_executed", "smsp__thread_inst_executed", "smsp__inst_executed_pipe_alu", "smsp__inst_executed_pipe_lsu",
    "smsp__inst_executed_op_global_ld", "smsp__inst_executed_op_branch", "smsp__sass_branch_targets",
    "smsp__warps_launched",
)  # fmt: skip


@pytest.mark.parametrize("source", [DIVERGENT, COPY])
@pytest.mark.parametrize("n", [5, 17, 4000])
def test_engines_agree(source: str, n: int) -> None:
    """The native engine runs all but the first batch, and its block counts give the same as NumPy's."""
    numpy, native = (
        run(source, grid=700, block=64, numbers=(n,), engine=engine, counted_ctas=128) for engine in ("numpy", "native")
    )
    assert counted(numpy, *FREE) == counted(native, *FREE)
    assert (native.profile.watched_ctas, native.profile.ctas) == (128, 700)


def test_a_copy_counts_what_one_can_count() -> None:
    result = run(COPY, grid=3, block=64, numbers=(64 + 64 + 40,))
    warps = 3 * 2
    assert counted(result, "smsp__warps_launched", "smsp__inst_executed_op_global_ld") == (warps, warps)
    assert counted(result, "smsp__inst_executed_op_global_st", "smsp__inst_executed_pipe_xu") == (warps, 0)
    # The compiler may double by adding.
    operations = counted(result, *(f"sm__sass_thread_inst_executed_op_{name}_pred_on" for name in ("fmul", "fadd")))
    assert sum(operations) == 168
    assert counted(result, "smsp__sass_branch_targets", "smsp__sass_branch_targets_threads_divergent") == (warps, 1)


def test_lanes_left_behind_are_no_threads_of_an_instruction() -> None:
    source = "(unsigned* out, unsigned* in) { if (threadIdx.x & 1) out[threadIdx.x] = __sinf(in[threadIdx.x]); }"
    result = run(source, block=128)
    assert counted(result, "smsp__inst_executed_op_global_st") == (4,)
    stores = result.profile.columns["global_requests"] > 0
    assert set(result.profile.columns["thread_inst_executed"][stores]) == {4 * 16}
    assert set(result.profile.columns["inst_executed"][stores]) == {4}
    assert result.counters["smsp__sass_average_branch_targets_threads_uniform.pct"] == 0


def test_guards_count_the_threads_that_pass() -> None:
    source = """(unsigned* out, unsigned* in) {
        unsigned x = 7;
        asm volatile("{ .reg .pred p; setp.lt.u32 p, %1, 11; @p add.u32 %0, %0, 1; @!p add.u32 %0, %0, 2; }"
                     : "+r"(x) : "r"(threadIdx.x));
        out[threadIdx.x] = x; }"""
    result = run(source, block=64)
    threads, passed = (result.profile.columns[f"thread_inst_executed{end}"] for end in ("", "_pred_on"))
    assert passed[passed < threads].tolist() == [11, 53]
    assert threads[passed < threads].tolist() == [64, 64]
    on, all_ = counted(result, "smsp__thread_inst_executed_pred_on", "smsp__thread_inst_executed")
    assert all_ - on == 64


def test_a_sample_is_scaled_and_marked() -> None:
    """Every CTA of 64 threads does the same: the estimates from some of them are exact, and called estimates."""
    source = "(float* out, float* in) { int i = blockIdx.x * 64 + threadIdx.x; out[i] = in[i]; }"
    every, some = (run(source, grid=1000, block=64, engine="native", counted_ctas=n) for n in (1000, 100))
    sectors = "l1tex__t_sectors_pipe_lsu_mem_global_op_ld"
    assert every.profile.watched_ctas == 1000 and some.profile.watched_ctas < 300
    assert counted(every, sectors) == (8000,)
    assert counted(some, sectors) == (pytest.approx(8000),)
    assert not every.profile.estimated
    assert f"{sectors}.sum" in some.profile.estimated
    assert "smsp__inst_executed.sum" not in some.profile.estimated


def test_no_counters_unless_asked_for() -> None:
    result = run(COPY, grid=2, block=64, numbers=(64,), counters=False)
    assert set(result.counters) == {"smsp__inst_executed.sum"}
    assert result.profile is None


def test_counters_and_checkers_run_side_by_side() -> None:
    plain, checked = (run(DIVERGENT, grid=2, block=64, numbers=(9,), checks=frozenset(c)) for c in ((), ("race",)))
    assert checked.findings
    assert counted(plain, *FREE) == counted(checked, *FREE)


def test_lines_sum_up_their_instructions() -> None:
    result = run(COPY, grid=2, block=64, numbers=(128,))
    lines = result.profile.by_line()
    assert sum(line["inst_executed"] for line in lines.values()) == counted(result, "smsp__inst_executed")[0]
    assert sum(line.get("global_sectors", 0) for line in lines.values()) == 2 * 16


def test_matrix_products_count_their_operations() -> None:
    assert traits("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32").tensor_ops == 2 * 16 * 8 * 16
    assert traits("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32").tensor_path == "int8"
    wide = traits("wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e5m2")
    assert (wide.tensor_ops, wide.tensor_path) == (2 * 64 * 128 * 32 // 4, "fp8_dst_fp32")
    assert traits("wmma.mma.sync.aligned.row.col.m16n16k16.f16.f32").tensor_path == "fp16_dst_fp16"
    assert traits("wmma.mma.sync.aligned.row.col.m8n8k4.f64.f64.f64.f64").tensor_path == "fp64"
    assert traits("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16").tensor_path == "fp16_dst_fp16"


@pytest.mark.parametrize(
    ("opcode", "pipe", "classes"),
    [
        ("add.f32", "fma", ("fadd", "fp32")), ("fma.rn.f16x2", "fp16", ("hfma", "fp16")),
        ("mul.f64", "fp64", ("dmul", "fp64")), ("mad.lo.s32", "fma", ("integer",)), ("add.s64", "alu", ("integer",)),
        ("max.f32", "alu", ("fp32",)), ("setp.lt.f64", "fp64", ("fp64",)), ("ex2.approx.f32", "xu", ("misc",)),
        ("cvt.rn.f32.s32", "xu", ("conversion",)), ("cvt.rn.bf16x2.f32", "alu", ("conversion",)),
        ("shfl.sync.bfly.b32", "lsu", ("inter_thread_communication",)), ("bar.sync", "adu", ("misc",)),
        ("bra", "cbu", ("control",)), ("popc.b32", "xu", ("bit",)), ("wgmma.wait_group.sync.aligned", "cbu", ("misc",)),
        ("tcgen05.ld.sync.aligned.32x32b.x8.b32", "lsu", ("memory",)),
    ],
)  # fmt: skip
def test_opcodes_have_their_pipe_and_class(opcode: str, pipe: str, classes: tuple[str, ...]) -> None:
    assert (traits(opcode).pipe, traits(opcode).classes) == (pipe, classes)


def test_every_metric_is_described_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.text for metric in METRICS)


def test_pipes_and_classes_are_whole() -> None:
    """Each instruction is in one pipe, and its threads in one class of operation."""
    result = run(DIVERGENT, grid=3, block=64, numbers=(20,))
    pipes = [v for n, v in result.counters.items() if n.startswith("smsp__inst_executed_pipe_") and "_op_" not in n]
    assert sum(pipes) == counted(result, "smsp__inst_executed")[0]
    sums = counted(result, *(f"sm__sass_thread_inst_executed_op_{kind}_pred_on" for kind in CLASSES))
    assert np.isclose(sum(sums), counted(result, "smsp__thread_inst_executed_pred_on")[0])
