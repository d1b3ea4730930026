"""Shipped kernels: counts from a sample, without data, against a full launch with its data."""

from __future__ import annotations

import pytest

from backends.compilers.task import compile_task
from backends.machines.loader import load_machine
from backends.model.counts.count import count
from backends.model.counts.launch import task_launch
from backends.run.devices import DeviceOptions, open_device
from backends.run.task import Case, TaskRun
from ir.task import load_task

_MACHINES = {"sm_80": "a100", "sm_90": "h100", "sm_100": "b200"}
_SHARED = "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum"


@pytest.mark.parametrize(
    ("name", "variant", "target"),
    [
        ("transpose", "", "sm_90"), ("softmax", "", "sm_90"), ("reduction", "", "sm_80"), ("stencil", "", "sm_90"),
        ("sgemm", "warp_tiled", "sm_90"), ("sgemm", "", "sm_80"), ("histogram", "", "sm_90"), ("spmv", "", "sm_90"),
        ("gemm_cp_async", "", "sm_80"),
    ],
)  # fmt: skip
def test_cuda_and_simple_kernels(name: str, variant: str, target: str) -> None:
    pytest.importorskip("cuda.bindings")
    _compare(name, variant, target)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant", "target"),
    [
        ("attention_forward", "", "sm_80"), ("attention_forward", "causal", "sm_90"), ("gemm", "", "sm_90"),
        ("gemm", "", "sm_100"), ("gemm_warp_specialized", "", "sm_90"), ("gemm_grouped", "", "sm_90"),
    ],
)  # fmt: skip
def test_tensor_kernels(name: str, variant: str, target: str) -> None:
    pytest.importorskip("triton")
    _compare(name, variant, target)


def test_blocks_that_wait_for_as_long_as_others_take_are_counted() -> None:
    """Run again with more before it, a block may wait for another number of turns, and leave its class empty."""
    pytest.importorskip("cuda.bindings")
    task = load_task("kernels/scan").variant("small_tiles")
    [sizes] = task.sizes["search"]
    compiled = compile_task(task, sizes, "sm_80")
    counts = count(task_launch(compiled, task, sizes), load_machine("a100"))
    assert sum(c.weight for c in counts.classes) == pytest.approx(counts.ctas)


def _compare(name: str, variant: str, target: str) -> None:
    """The search sizes; instructions must be equal, and passes through shared memory nearly so."""
    task = load_task(f"kernels/{name}")
    task = task.variant(variant) if variant else task
    sizes = task.sizes["search"][0]
    compiled = compile_task(task, sizes, target)
    counts = count(task_launch(compiled, task, sizes), load_machine(_MACHINES[target]))
    device = open_device("emulator", DeviceOptions(("none",), engine="numpy", counters=True))
    outcome = TaskRun(Case(task, target, sizes), device, 0).launched(compiled)
    assert counts.warp_instructions == pytest.approx(outcome.counters["smsp__inst_executed.sum"], rel=1e-3)
    wavefronts = float(counts.memory.shared_wavefronts.sum())
    assert wavefronts == pytest.approx(outcome.counters.get(_SHARED, 0.0), rel=0.05)
