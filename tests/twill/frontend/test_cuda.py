"""CUDA C++ as a source: loops with places in the .cu file, kernels by name, templates, macros, tasks, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import twill
from ir.diagnostics import UserError
from ir.task import load_task, task_files
from twill.frontend.load import FrontendOptions, load_kernel

pytest.importorskip("cuda.bindings.nvrtc")

KERNELS = Path(__file__).parents[3] / "kernels"
DOT = """\
namespace sums {
template <typename T, int STEPS>
__global__ void fixed(const T* a, T* out) {
  T sum = 0;
  #pragma unroll 1
  for (int i = 0; i < STEPS; ++i)
    sum += a[i * blockDim.x + threadIdx.x];
  out[threadIdx.x] = sum;
}
}

#ifndef STRIDE
#define STRIDE 1
#endif
__global__ void __launch_bounds__(128) dot(const float* a, const float* b, float* out, int n) {
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += STRIDE)
    sum += a[i] * b[i];
  out[threadIdx.x] = sum;
}
"""


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    file = tmp_path / "dot.cu"
    file.write_text(DOT, encoding="utf-8")
    return file


def _rule(spec: str) -> str:
    with pytest.raises(UserError) as caught:
        load_kernel(spec)
    return caught.value.diagnostics[0].rule


def test_operations_have_their_places_in_the_cuda_source(dot: Path) -> None:
    kernel = load_kernel(f"{dot}:dot")
    body = [op for loop in kernel.loops() if loop.is_innermost for op in loop.body]
    products = [op.location for op in body if op.opcode == "fma.rn.f32"]
    assert kernel.name == "dot"
    assert {(Path(p.file), p.line) for p in products if p} == {(dot, 18)}


def test_a_template_is_named_with_its_arguments(dot: Path) -> None:
    [loop] = load_kernel(f"{dot}:sums::fixed<double, 96>").loops()
    assert any(op.opcode == "add.f64" or op.opcode == "add.rn.f64" for op in loop.body)
    assert loop.trip_count == 96


def test_constants_are_macros(dot: Path) -> None:
    def steps(constants: dict[str, int]) -> set[int]:
        kernel = load_kernel(f"{dot}:dot", FrontendOptions(constants=constants))
        ops = [op for loop in kernel.loops() for op in loop.body if op.opcode == "add.s32"]
        return {i for op in ops for i in op.attributes.get("immediates", ())}

    assert 77 not in steps({})
    assert 77 in steps({"STRIDE": 77})


@pytest.mark.parametrize(
    ("option", "flag"),
    [({"arguments": {"n": "i32"}}, "--arg"), ({"config_index": 0}, "--config"), ({"num_stages": 2}, "--num-stages")],
)
def test_what_says_nothing_about_cuda_is_refused_by_its_name(dot: Path, option: dict[str, Any], flag: str) -> None:
    (dot.parent / "k.ptx").write_text(".version 8.0\n.target sm_80\n.address_size 64\n")
    for spec in (f"{dot}:dot", str(KERNELS / "matvec"), str(dot.parent / "k.ptx")):
        with pytest.raises(UserError, match="unused-option") as caught:
            load_kernel(spec, FrontendOptions(**option))
        assert flag in str(caught.value)


def test_a_loop_in_cuda_is_scheduled_to_a_proven_optimum(dot: Path) -> None:
    schedule = twill.schedule(f"{dot}:dot", target="a100")
    assert schedule.status == "optimal"
    # Two loads hold the load unit for 4 cycles each.
    assert schedule.ii_cycles >= 8


@pytest.mark.parametrize(
    ("text", "name", "rule"),
    [
        (DOT, "", "several-kernels"),
        (DOT, ":product", "unknown-kernel"),
        (DOT, ":fixed", "unknown-kernel"),
        ("int helper(int a) { return a; }", "", "no-kernel"),
        ("__global__ void broken(float* a) { a[0] = ; }", "", "cuda-error"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_its_rule(tmp_path: Path, text: str, name: str, rule: str) -> None:
    file = tmp_path / "k.cu"
    file.write_text(text, encoding="utf-8")
    assert _rule(f"{file}{name}") == rule


def test_a_missing_file_is_refused() -> None:
    assert _rule("nowhere.cu") == "missing-file"
    assert _rule("nowhere.cu:k") == "missing-file"


def test_an_error_of_the_compiler_is_at_the_place_in_the_source(tmp_path: Path) -> None:
    file = tmp_path / "k.cu"
    file.write_text("__global__ void broken(float* a) {\n  a[0] = ;\n}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_kernel(str(file))
    place = caught.value.diagnostics[0].location
    assert place is not None
    assert (Path(place.file), place.line) == (file, 2)


@pytest.mark.parametrize(
    "path",
    [p for p in task_files(KERNELS) if load_task(p).language == "cuda"],
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
def test_every_shipped_task_in_cuda_is_read(path: Path) -> None:
    task = load_task(path)
    kernel = load_kernel(path)
    assert kernel.name == task.name_expression
    assert all(loop.refusal or loop.body for loop in kernel.loops())
