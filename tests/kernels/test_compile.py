"""Every shipped Triton kernel compiles with no GPU for each architecture that its task names and fits shared memory."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ir.task import Task, load_task, task_files

triton = pytest.importorskip("triton")
pytest.importorskip("torch")

KERNELS = Path(__file__).parents[2] / "kernels"
TASKS = {task.name: task for task in map(load_task, task_files(KERNELS)) if task.language == "triton"}
VARIANTS = [variant for task in TASKS.values() for variant in task.all_variants()]

# Dynamic shared memory of one block: CUDA C++ programming guide, table of technical specifications.
SMEM_LIMIT_BYTES = {
    "sm_80": 163 * 1024, "sm_86": 99 * 1024, "sm_89": 99 * 1024, "sm_90": 227 * 1024, "sm_100": 227 * 1024,
    "sm_120": 99 * 1024,
}  # fmt: skip
TENSOR_CORE_INSTRUCTION = {
    "sm_80": "mma.sync", "sm_86": "mma.sync", "sm_89": "mma.sync", "sm_90": "wgmma.mma_async", "sm_100": "tcgen05.mma",
    "sm_120": "mma.sync",
}  # fmt: skip
SHIPPED = {
    "gemm", "gemm_persistent", "gemm_fp8", "gemm_grouped", "gemm_split_k", "gemm_int4", "attention_forward",
    "attention_forward_descriptor", "attention_backward", "attention_backward_dq", "attention_backward_delta",
    "softmax", "layer_norm", "layer_norm_backward_input", "layer_norm_backward_weight", "rms_norm", "linear_attention",
    "convolution", "cross_entropy", "gemm_untuned", "attention_untuned",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def fresh_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache that nothing has been compiled into."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def kernel_of(task: Task) -> Any:
    spec = importlib.util.spec_from_file_location(f"{task.source.parent.name}_kernel", task.source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, task.entry)


def compile_task(task: Task, target: str) -> Any:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    attributes = task.triton_attributes(task.sizes["report"][0])
    source = ASTSource(kernel_of(task), task.triton_signature(), dict(task.constants), attributes)
    options = {"num_warps": task.launch.num_warps, "num_stages": task.launch.num_stages}
    return triton.compile(source, target=GPUTarget("cuda", int(target.removeprefix("sm_")), 32), options=options)


def check(task: Task, target: str) -> Any:
    compiled = compile_task(task, target)
    assert compiled.metadata.shared <= SMEM_LIMIT_BYTES[target]
    assert f".target {target}" in compiled.asm["ptx"]
    uses_tensor_cores = TENSOR_CORE_INSTRUCTION[target] in compiled.asm["ptx"]
    assert uses_tensor_cores == ("tt.dot " in compiled.asm["ttir"])
    return compiled


def test_the_list_is_complete() -> None:
    assert set(TASKS) == SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_signature_is_the_kernels(name: str) -> None:
    task = TASKS[name]
    assert list(task.triton_signature()) == kernel_of(task).arg_names


# One architecture each here, in turn; all of them in the slow test.
@pytest.mark.parametrize("index,name", list(enumerate(sorted(SHIPPED))), ids=sorted(SHIPPED))
def test_compiles(index: int, name: str) -> None:
    targets = TASKS[name].targets
    check(TASKS[name], targets[index % len(targets)])


@pytest.mark.slow
@pytest.mark.parametrize("task", VARIANTS, ids=lambda t: f"{t.name}-{t.variant_name or 'default'}")
def test_every_variant_compiles_for_every_target(task: Task) -> None:
    for target in task.targets:
        check(task, target)


@pytest.mark.parametrize("name", ["attention_forward", "attention_forward_descriptor"])
def test_attention_has_one_loop_with_two_products(name: str) -> None:
    """The form that schedulers are written for: a single loop, no branch, no mask in the default variant."""
    ttir = compile_task(TASKS[name], "sm_90").asm["ttir"]
    assert ttir.count("scf.for ") == 1
    body = ttir[ttir.index("scf.for ") : ttir.index("scf.yield")]
    products, exponentials, reductions = (len(re.findall(op, body)) for op in ("tt.dot ", "math.exp2", '"tt.reduce"'))
    assert (products, exponentials, reductions) == (2, 2, 2)
    assert "arith.select" not in body
    assert "scf.if" not in ttir


@pytest.mark.parametrize("name", ["gemm_persistent", "attention_forward_descriptor"])
def test_descriptors_become_bulk_copies(name: str) -> None:
    assert "cp.async.bulk.tensor" in compile_task(TASKS[name], "sm_90").asm["ptx"]


def test_fp8_is_not_offered_where_there_is_none() -> None:
    assert "sm_80" not in TASKS["gemm_fp8"].targets
    assert ".e4m3.e4m3" in compile_task(TASKS["gemm_fp8"], "sm_90").asm["ptx"]


@pytest.mark.slow
def test_tuning_configurations_fit() -> None:
    """Each tile of the tuned GEMM fits the shared memory of `sm_80`."""
    gemm = TASKS["gemm"]
    tuned = kernel_of(gemm).fn.__globals__["gemm_kernel_tuned"]
    assert len(tuned.configs) == 5
    for config in tuned.configs:
        launch = replace(gemm.launch, num_warps=config.num_warps, num_stages=config.num_stages)
        check(replace(gemm, constants=gemm.constants | config.kwargs, launch=launch), "sm_80")
