"""CUDA C++ through NVRTC: templates, options, headers, and messages at the user's line and column."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from backends.compilers.artifact import Compiled, from_json, to_json
from backends.compilers.cache import Cache
from backends.compilers.cuda_headers import missing_headers
from backends.compilers.nvrtc import CudaOptions, compile_file, compile_source
from backends.compilers.ptxas import CompileTimeoutError, source_line
from backends.compilers.task import compile_task
from ir.diagnostics import Diagnostic, ExitCode, UserError
from ir.task import load_task

ROOT = Path(__file__).parents[3]
SCALE = """
template <typename T, int THREADS>
__global__ void __launch_bounds__(THREADS) scale(const T* x, T* y, T factor, int n) {
  __shared__ T tile[THREADS];
  int i = blockIdx.x * THREADS + threadIdx.x;
  tile[threadIdx.x] = i < n ? x[i] : T(0);
  __syncthreads();
  if (i < n) y[i] = tile[THREADS - 1 - threadIdx.x] / factor;
}
"""


def _errors(text: str, entry: str = "k", **options: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(UserError) as error:
        compile_source(text, entry, "sm_90", CudaOptions(**options))
    assert error.value.exit_code == ExitCode.USAGE
    return error.value.diagnostics


def _place(found: Diagnostic) -> tuple[int, int]:
    assert found.location is not None
    return found.location.line, found.location.column


@pytest.mark.parametrize(
    ("architecture", "target"), [("sm_80", "sm_80"), ("sm_90", "sm_90a"), ("sm_100", "sm_100a"), ("sm_120", "sm_120a")]
)
def test_an_instance_of_a_template(architecture: str, target: str) -> None:
    found = compile_source(SCALE, "scale<float, 64>", architecture)
    assert found.entry.startswith("_Z5scaleIfLi64EE") and found.architecture == target
    assert f".target {target}" in found.ptx and found.cubin is not None and found.cubin.startswith(b"\x7fELF")
    assert (found.block, found.max_threads, found.static_smem_bytes) == (None, 64, 256)
    assert found.resources is not None and found.resources.registers > 0 and found.resources.barriers == 1
    address = "pointer" if ".ptr" in found.ptx else "scalar"
    assert [(p.kind, p.bytes) for p in found.parameters] == [
        (address, 8),
        (address, 8),
        ("scalar", 4),
        ("scalar", 4),
    ]
    assert from_json(to_json(found)) == found


def test_names_and_types_of_arguments() -> None:
    types = {"x": "*fp32", "y": "*fp32", "factor": "fp32", "n": "i32"}
    found = compile_source(SCALE, "scale<float, 64>", "sm_90", arguments=types)
    assert [(p.argument, p.role, p.dtype) for p in found.parameters] == [
        ("x", "pointer", "fp32"),
        ("y", "pointer", "fp32"),
        ("factor", "scalar", "fp32"),
        ("n", "scalar", "i32"),
    ]


@pytest.mark.parametrize(
    "types", [{"x": "*fp32"}, {"x": "*fp32", "y": "*fp32", "factor": "fp64", "n": "i32"}], ids=["number", "size"]
)
def test_other_arguments_than_the_kernel_has(types: dict[str, str]) -> None:
    with pytest.raises(UserError) as error:
        compile_source(SCALE, "scale<float, 64>", "sm_90", arguments=types)
    assert [d.rule for d in error.value.diagnostics] == ["argument-mismatch"]


def test_structs_and_tensor_maps() -> None:
    text = """struct Pair { float* data; int n; };
    struct alignas(64) Map { char bytes[128]; };
    extern "C" __global__ void k(Pair pair, const __grid_constant__ Map map, bool flag, double d, short s) {
      if (flag) pair.data[0] = map.bytes[pair.n] + d + s;
    }"""
    found = compile_source(text, "k", "sm_90")
    assert found.entry == "k"
    told = [(p.role, p.dtype, p.bytes) for p in found.parameters]
    assert told == [
        ("struct", "", 16),
        ("tensor-map", "", 128),
        ("scalar", "u8", 1),
        ("scalar", "fp64", 8),
        ("scalar", "u16", 2),
    ]


def test_fast_math_divides_approximately() -> None:
    exact, fast = (compile_source(SCALE, "scale<float, 64>", "sm_90", CudaOptions(fast_math=f)) for f in (False, True))
    assert "div.rn.f32" in exact.ptx and "div.approx" not in exact.ptx
    assert "div.approx.ftz.f32" in fast.ptx


def test_line_information() -> None:
    found = compile_source(SCALE, "scale<float, 64>", "sm_90", file="scale.cu")
    numbers = [i for i, line in enumerate(found.ptx.splitlines(), 1) if "div.rn.f32" in line]
    place = source_line(found.ptx, numbers[0])
    assert place is not None and (place.file, place.line) == (str(Path("scale.cu").absolute()), 8)
    assert found.sources == {place.file: SCALE}
    without = compile_source(SCALE, "scale<float, 64>", "sm_90", CudaOptions(line_info=False))
    assert ".loc" not in without.ptx


def test_macros_standard_and_registers() -> None:
    text = "#if __cplusplus < 202002L\n#error old\n#endif\n__global__ void k(int* x) { x[0] = VALUE; }"
    options = CudaOptions(standard="c++20", macros={"VALUE": "42", "BARE": None}, max_registers=32)
    found = compile_source(text, "k", "sm_90", options)
    assert "42" in found.ptx and found.resources is not None and found.resources.registers <= 32
    assert [_place(d)[0] for d in _errors(text, macros={"VALUE": "42"})] == [2]


def test_ptx_alone() -> None:
    found = compile_source(SCALE, "scale<float, 64>", "sm_90", CudaOptions(cubin=False))
    assert found.cubin is None and found.resources is None and found.architecture == "sm_90a"


HEADERS = {
    "cuda_fp16.h": "__half",
    "cuda_bf16.h": "__nv_bfloat16",
    "mma.h": "nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float>",
    "cooperative_groups.h": "cooperative_groups::thread_block*",
    "cuda/barrier": "cuda::barrier<cuda::thread_scope_block>*",
    "cub/block/block_reduce.cuh": "cub::BlockReduce<float, 128>::TempStorage*",
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_the_wheels(header: str) -> None:
    assert not missing_headers()
    text = f"#include <{header}>\n__global__ void k(int* size) {{ *size = sizeof({HEADERS[header]}); }}"
    assert compile_source(text, "k", "sm_90", CudaOptions(cubin=False)).ptx


def test_without_the_wheels_headers_a_header_is_missing() -> None:
    (found,) = _errors("#include <cuda_fp16.h>\n__global__ void k() {}", system_headers=False)
    assert "cuda_fp16.h" in found.message and _place(found)[0] == 1


def test_errors_have_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "bad.cu"
    file.write_text("__global__ void k(float* a) {\n\tfloat x = y + 1;\n  int z\n  a[0] = x;\n}\n")
    with pytest.raises(UserError) as error:
        compile_file(file, "k", "sm_90")
    first, second = error.value.diagnostics
    assert (first.message, _place(first)) == ('identifier "y" is undefined', (2, 12))
    assert (second.message, _place(second)) == ('expected a ";"', (4, 3))
    assert first.render().splitlines()[1:] == ["     float x = y + 1;", "               ^"]


def test_an_error_in_a_template_says_where_it_is_instantiated() -> None:
    text = (
        "template <class T> __device__ T f(T a) { return a.x; }\ntemplate <class T> __global__ void k(T* a) { f(*a); }"
    )
    (found,) = _errors(text, "k<int>")
    assert _place(found) == (1, 49) and "[with T=int]" in found.message


def test_an_error_of_the_assembler_is_at_the_source_line() -> None:
    found = _errors('__global__ void k() {\n  asm("foo.bar;");\n}')
    assert {(d.rule, _place(d)) for d in found} == {("cuda-error", (2, 3))}
    assert any("'foo'" in d.message for d in found)


def test_an_error_in_a_header_is_in_the_header(tmp_path: Path) -> None:
    (tmp_path / "helper.h").write_text("__device__ int f() { return z; }\n")
    file = tmp_path / "k.cu"
    file.write_text('#include "helper.h"\n__global__ void k(int* x) { *x = f(); }')
    with pytest.raises(UserError) as error:
        compile_file(file, "k", "sm_90")
    (found,) = error.value.diagnostics
    assert found.location is not None and (found.location.file, found.location.line) == (str(tmp_path / "helper.h"), 1)


def test_warnings_are_kept() -> None:
    found = compile_source("__global__ void k() {\n  int unused;\n}", "k", "sm_90")
    (warning,) = found.warnings
    assert (warning.rule, _place(warning)) == ("cuda-warning", (2, 7)) and "unused" in warning.message


@pytest.mark.parametrize(
    ("entry", "part"),
    [("scal<float, 64>", "did you mean `scale`"), ("scale<Foo, 64>", '"Foo" is undefined'), ("scale<float>", "scale")],
)
def test_an_unknown_kernel(entry: str, part: str) -> None:
    (found,) = _errors(SCALE, entry)
    assert found.rule == "unknown-kernel" and part in found.render()


def test_a_kernel_behind_a_broken_line_is_not_unknown() -> None:
    first, *_ = _errors('foo bar\nextern "C" __global__ void k() {}', "k")
    assert (first.rule, _place(first)) == ("cuda-error", (1, 1)) and '"foo" is undefined' in first.message


def test_an_architecture_that_nvrtc_lacks() -> None:
    with pytest.raises(UserError) as error:
        compile_source(SCALE, "scale<float, 64>", "sm_35")
    assert "gpu-architecture" in error.value.diagnostics[0].message


def test_a_missing_file() -> None:
    with pytest.raises(UserError) as error:
        compile_file("nowhere.cu", "k", "sm_90")
    assert error.value.diagnostics[0].rule == "missing-file"


def test_a_time_limit() -> None:
    text = f"#include <cub/block/block_reduce.cuh>\n{SCALE}"
    with pytest.raises(CompileTimeoutError) as error:
        compile_source(text, "scale<float, 64>", "sm_90", CudaOptions(timeout_s=1e-3))
    assert error.value.exit_code == ExitCode.TIME_LIMIT


def test_without_the_bindings_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("cuda"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in [n for n in sys.modules if n.partition(".")[0] == "cuda"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError) as error:
        compile_source(SCALE, "scale<float, 64>", "sm_90")
    assert error.value.exit_code == ExitCode.MISSING
    assert "twill-optiml[cuda]" in error.value.diagnostics[0].remedy


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from cuda.bindings import nvrtc

    def unfound() -> Any:
        raise RuntimeError("Failed to dlopen libnvrtc")

    monkeypatch.setattr(nvrtc, "nvrtcVersion", unfound)
    with pytest.raises(UserError) as error:
        compile_source(SCALE, "scale<float, 64>", "sm_90")
    assert error.value.exit_code == ExitCode.MISSING and "nvidia-cuda-nvrtc" in error.value.diagnostics[0].message


def _builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from backends.compilers import nvrtc

    made: list[str] = []
    build = nvrtc._build
    monkeypatch.setattr(nvrtc, "_build", lambda *a: made.append(a[1]) or build(*a))
    return made


def test_a_changed_header_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cache = _builds(monkeypatch), Cache(tmp_path / "c")
    file, header = tmp_path / "k.cu", tmp_path / "value.h"
    file.write_text('#include "value.h"\n__global__ void k(int* x) { *x = VALUE; }')

    def compiled(value: int) -> Compiled:
        header.write_text(f"#define VALUE {value}")
        return compile_file(file, "k", "sm_90", cache=cache)

    assert compiled(41).ptx != compiled(42).ptx and len(made) == 2
    assert compiled(41) == compiled(41) and len(made) == 2


def test_a_header_that_a_macro_names_is_never_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cache = _builds(monkeypatch), Cache(tmp_path / "c")
    options = CudaOptions(macros={"HEADER": "<cuda_fp16.h>"})
    for _ in range(2):
        compile_source("#include HEADER\n__global__ void k(__half* x) {}", "k", "sm_90", options, cache=cache)
    assert len(made) == 2


def test_a_task_in_cuda(tmp_path: Path) -> None:
    (tmp_path / "kernel.cu").write_text(SCALE)
    (tmp_path / "reference.py").write_text("def reference(x, factor): return {'y': x / factor}\n")
    (tmp_path / "task.toml").write_text(
        """name = "scale"
source = "kernel.cu"
entry = "scale<T, THREADS>"
reference = "reference.py:reference"
targets = ["sm_90"]
argument = [
    { name = "x", role = "in", dtype = "fp32", shape = ["N"] },
    { name = "y", role = "out", dtype = "fp32", shape = ["N"] },
    { name = "factor", kind = "scalar", dtype = "fp32", value = 2.0 },
    { name = "n", kind = "scalar", dtype = "i32", value = "N" },
]
[constants]
T = "float"
THREADS = 128
[launch]
grid = ["cdiv(N, THREADS)"]
block = ["THREADS"]
smem_bytes = 64
[sizes]
search = [{ N = 256 }]
verify = [{ N = 100 }]
report = [{ N = 1024 }]
"""
    )
    found = compile_task(load_task(tmp_path), {"N": 256}, "sm_90")
    assert (found.language, found.block, found.static_smem_bytes, found.dynamic_smem_bytes) == (
        "cuda",
        (128, 1, 1),
        512,
        64,
    )
    assert [p.argument for p in found.parameters] == ["x", "y", "factor", "n"]


def test_an_empty_log_leaves_python_as_it_was() -> None:
    """NVRTC writes into the buffer that it is given; a byte of `bytes` would be one that Python shares."""
    source = 'extern "C" __global__ void one(int *a) { a[0] = 1; }'
    assert compile_source(source, "one", "sm_80", CudaOptions(cubin=False), cache=Cache.off()).log == ""
    assert bytes([32])[0] == 32
