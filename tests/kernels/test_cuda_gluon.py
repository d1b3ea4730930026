"""Every shipped CUDA C++ and Gluon kernel compiles, with no GPU, for each architecture that its task names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ir.diagnostics import UserError
from ir.entry import shared_layout
from ir.task import Task, load_task, task_files

KERNELS = Path(__file__).parents[2] / "kernels"
TASKS = {task.name: task for task in map(load_task, task_files(KERNELS)) if task.language != "triton"}
VARIANTS = [variant for task in TASKS.values() for variant in task.all_variants()]
SHIPPED = {
    "vector_add", "reduction", "transpose", "sgemm", "softmax_cuda", "layer_norm_cuda", "histogram", "scan",
    "scan_work_efficient", "stencil", "spmv", "gemm_cp_async", "gemm_wmma", "grid_sync", "grid_sync_smooth",
    "gemm_warp_specialized", "gemm_warp_specialized_blackwell", "attention_warp_specialized",
    "attention_warp_specialized_blackwell", "stream_read", "stream_fill", "stream_copy", "stream_scale", "stream_triad",
    "stream_reduction", "matvec", "softmax_naive", "layer_norm_naive", "gemm_naive",
}  # fmt: skip
# Shared memory of one block: CUDA C++ programming guide, technical specifications.
SMEM_LIMIT_BYTES = {
    "sm_80": 163 * 1024, "sm_86": 99 * 1024, "sm_89": 99 * 1024, "sm_90": 227 * 1024, "sm_100": 227 * 1024,
    "sm_120": 99 * 1024,
}  # fmt: skip
# Task, variant, and an instruction that makes it what its name says.
INSTRUCTIONS = [
    ("vector_add", "float4", "ld.global.nc.v4.f32"),
    ("reduction", "shuffle", "shfl.sync.down"),
    ("sgemm", "warp_tiled", "ld.shared.v4.f32"),
    ("softmax_cuda", "fast_math", "ex2.approx.ftz.f32"),
    ("histogram", "", "atom.shared.add"),
    ("histogram", "match", "match.any.sync.b32"),
    ("scan", "", "ld.relaxed.gpu.global.u64"),
    ("gemm_cp_async", "", "cp.async.cg.shared.global"),
    ("gemm_cp_async", "narrow", "cp.async.ca.shared.global"),
    ("gemm_wmma", "", "wmma.mma.sync"),
    ("gemm_wmma", "bf16", "bf16.bf16"),
    ("grid_sync", "", "%envreg"),
    ("gemm_warp_specialized", "", "wgmma.mma_async.sync.aligned.m64n128k16"),
    ("gemm_warp_specialized_blackwell", "", "tcgen05.mma.cta_group::1.kind::f16"),
    ("attention_warp_specialized", "", "setmaxnreg.dec"),
    ("attention_warp_specialized_blackwell", "", "tcgen05.st.sync.aligned"),
]


def case_id(task: Task) -> str:
    return f"{task.name}-{task.variant_name or 'default'}"


def compile_for(task: Task, target: str, folder: Path) -> Any:
    """Compile, and check what holds of every artifact."""
    pytest.importorskip("cuda.bindings.nvrtc" if task.language == "cuda" else "triton")
    from backends.compilers.cache import Cache
    from backends.compilers.task import compile_task

    sizes = task.sizes["verify"][0]
    compiled = compile_task(task, sizes, target, Cache(folder))
    assert re.search(rf"\.target {target}a?\b", compiled.ptx)
    assert len(compiled.ptx) > 500
    assert compiled.dynamic_smem_bytes <= SMEM_LIMIT_BYTES[target]
    return compiled


def variant(name: str, of: str) -> Task:
    return TASKS[name].variant(of) if of else TASKS[name]


def test_the_list_is_complete() -> None:
    assert set(TASKS) == SHIPPED


# One architecture each here, in turn; all of them in the slow test.
@pytest.mark.parametrize("index,name", list(enumerate(sorted(SHIPPED))), ids=sorted(SHIPPED))
def test_compiles(index: int, name: str, tmp_path: Path) -> None:
    targets = TASKS[name].targets
    compile_for(TASKS[name], targets[index % len(targets)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("task", VARIANTS, ids=case_id)
def test_every_variant_compiles_for_every_target(task: Task, tmp_path: Path) -> None:
    for target in task.targets:
        compile_for(task, target, tmp_path)


@pytest.mark.parametrize("name,of,instruction", INSTRUCTIONS)
def test_a_kernel_has_the_instruction_that_it_is_about(name: str, of: str, instruction: str, tmp_path: Path) -> None:
    task = variant(name, of)
    assert instruction in compile_for(task, task.targets[0], tmp_path).ptx


@pytest.mark.parametrize("task", VARIANTS, ids=case_id)
def test_launches_are_within_limits(task: Task) -> None:
    """CUDA alone: at most 1024 threads, and no more shared memory than every target has, at every size."""
    if task.language != "cuda":
        assert task.launch.num_warps in (4, 8)
        return
    limit = min(SMEM_LIMIT_BYTES[target] for target in task.targets)
    for sizes in (*task.sizes["search"], *task.sizes["verify"], *task.sizes["report"]):
        x, y, z = task.block(sizes)
        assert 1 <= x * y * z <= 1024
        assert min(task.grid(sizes)) >= 1
        assert 0 <= task.smem_bytes(sizes) <= limit


@pytest.mark.parametrize("task", VARIANTS, ids=case_id)
def test_sizes_are_there(task: Task) -> None:
    assert len(task.sizes["search"]) >= 1
    assert len(task.sizes["verify"]) >= 2
    assert len(task.sizes["report"]) >= 1


@pytest.mark.parametrize("block", [[128, 64], [64, 32], [8, 16], [4, 64], [16, 8], [256], [2, 4, 128], [64, 96]])
@pytest.mark.parametrize("bits,name", [(8, "int8"), (16, "float16"), (32, "float32")])
def test_descriptors_have_the_layout_that_gluon_would_choose(block: list[int], bits: int, name: str) -> None:
    gluon = pytest.importorskip("triton.experimental.gluon.language")
    chosen = gluon.NVMMASharedLayout.get_default_for(block, getattr(gluon, name))
    named = eval(shared_layout(block, bits), {"NVMMASharedLayout": gluon.NVMMASharedLayout})
    assert named == chosen


def test_a_gluon_descriptor_names_its_layout() -> None:
    signature = TASKS["gemm_warp_specialized"].variant("one_warpgroup").triton_signature()
    layout = "NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=16, rank=2)"
    assert signature["a_desc"] == f"tensordesc<fp16[64, 64],{layout}>"


def test_twill_says_that_gluon_is_scheduled_already() -> None:
    pytest.importorskip("triton")
    from twill.frontend.load import load_kernel

    with pytest.raises(UserError) as caught:
        load_kernel(KERNELS / "gemm_warp_specialized")
    assert [d.rule for d in caught.value.diagnostics] == ["gluon-kernel"]
