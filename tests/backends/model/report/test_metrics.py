"""Metrics: hand-computable ones exact, those that the emulated device counts too the same, the table complete."""

from __future__ import annotations

from collections import Counter

import pytest

from backends.emulator.counters.metrics import METRICS as COUNTED
from backends.model.report.metrics import METRICS
from backends.run.devices import DeviceOptions
from backends.run.task import cases, run_cases
from tests.backends.model.report.profiles import report, task

# What accesses of memory count, which the assembler does not change in these kernels.
_SAME = [
    f"l1tex__t_{what}_pipe_lsu_mem_global_op_{operation}.sum"
    for what in ("requests", "sectors")
    for operation in ("ld", "st", "atom", "red")
] + [
    "smsp__inst_executed_op_global_ld.sum",
    "smsp__inst_executed_op_global_st.sum",
    "smsp__inst_executed_op_shared_ld.sum",
    "smsp__inst_executed_op_shared_st.sum",
    "smsp__warps_launched.sum",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum",
    "smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct",
    "smsp__sass_average_data_bytes_per_sector_mem_global_op_st.pct",
    "lts__t_sectors_op_write.sum",
]


def test_names_are_unique_and_say_what_they_are():
    assert max(Counter(m.name for m in METRICS).values()) == 1
    assert all(m.text for m in METRICS)
    assert all(m.differs for m in METRICS if not m.is_modelled), "what is not modelled says why"


def test_every_counter_of_the_emulated_device_is_in_the_table_with_the_same_unit():
    mine = {m.name: m.unit for m in METRICS}
    theirs = {m.name: m.unit for m in COUNTED if not m.name.startswith("emulated__")}
    assert theirs.keys() <= mine.keys()
    assert {n: mine[n] for n in theirs} == theirs


def test_what_is_not_modelled_is_none_and_the_rest_is_a_number_or_a_ratio_of_nothing():
    found = report("transpose").metrics
    for metric in METRICS:
        if not metric.is_modelled:
            assert found[metric.name] is None
        elif not metric.name.endswith((".ratio", ".pct")) and "hit_rate" not in metric.name:
            assert isinstance(found[metric.name], float), metric.name


def test_a_naive_transposition_by_hand():
    found = report("transpose").metrics
    requests = 512 * 512 / 32
    assert found["l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum"] == requests
    assert found["l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"] == 4 * requests
    assert found["l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum"] == 32 * requests
    assert found["l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_st.ratio"] == 32
    assert found["smsp__sass_average_data_bytes_per_sector_mem_global_op_st.pct"] == 12.5
    assert found["launch__grid_size"] == 256
    assert found["smsp__warps_launched.sum"] == 256 * 8
    assert found["dram__bytes_read.sum"] == 512 * 512 * 4


def test_instructions_are_those_of_the_machine_code():
    """Every warp of a vector sum of whole CTAs runs all of the code up to EXIT once, without a loop."""
    found = report("vector_add", sizes="N=262144")
    code = [i.opcode for i in found.modelled.work.function.instructions]
    exits = [i for i, opcode in enumerate(code) if opcode == "EXIT"]
    each = exits[-1] + 1
    assert found.metrics["smsp__inst_executed.sum"] == each * 262144 / 32
    by_pipe = [v for n, v in found.metrics.items() if n.startswith("smsp__inst_executed_pipe_") and "_op_" not in n]
    other = sum(i.pipe == "issue" for i in found.modelled.work.function.instructions[:each]) * 262144 / 32
    assert sum(v or 0.0 for v in by_pipe) + other == each * 262144 / 32


@pytest.mark.parametrize("name", ["transpose", "transpose:shared", "transpose:padded", "softmax"])
def test_memory_counts_equal_those_of_the_emulated_device(name: str):
    chosen = task(name)
    (outcome,) = run_cases(
        list(cases([chosen], "search", ["sm_86"])), options=DeviceOptions(checks=("none",), counters=True)
    )
    found = report(name).metrics
    for metric in _SAME:
        assert found[metric] == pytest.approx(outcome.counters[metric], rel=1e-9), metric


def test_operations_of_products():
    found = report("sgemm:square", sizes="M=256 N=128 K=64")
    products = 256 * 128 * 64
    assert found.metrics["sm__sass_thread_inst_executed_op_ffma_pred_on.sum"] == products + 256 * 128
    tensor = report("gemm", "h100", "M=256 N=256 K=128")
    assert tensor.metrics["sm__ops_path_tensor_src_fp16_dst_fp32.sum"] == 2 * 256 * 256 * 128
    assert tensor.roofline.kind == "tensor"


def test_occupancy_by_hand():
    """CUDA's occupancy calculator for 8.6: 256 threads of up to 40 registers, 48 warps an SM."""
    found = report("transpose").metrics
    assert found["launch__occupancy_limit_warps"] == 6
    assert found["launch__occupancy_limit_blocks"] == 16
    assert found["sm__maximum_warps_per_active_cycle_pct"] == 100
    assert 0 < found["sm__warps_active.avg.pct_of_peak_sustained_active"] <= 100
    assert found["launch__waves_per_multiprocessor"] == pytest.approx(256 / (84 * 6))
