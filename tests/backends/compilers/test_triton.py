"""Triton and Gluon to artifacts: the same code as Triton's own launcher makes, its parameters, its errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.compilers.artifact import Compiled, from_json, to_json
from backends.compilers.cache import Cache
from backends.compilers.entry_header import read_head
from backends.compilers.pretended_gpu import _pretended_driver
from backends.compilers.ptxas import CompileTimeoutError
from backends.compilers.python_source import import_file
from backends.compilers.task import compile_task
from backends.compilers.triton import TritonOptions, compile_call, compile_function, load_task_kernel
from backends.compilers.triton import compile_task as compile_triton_task
from ir.diagnostics import ExitCode, UserError
from ir.task import load_task

ROOT = Path(__file__).parents[3]
SOURCES = Path(__file__).parent / "sources"
GEMM = load_task(ROOT / "kernels" / "gemm")
SIZES = {"M": 256, "N": 384, "K": 512}
SMALL_TILE = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32}
TILE = "tensordesc<fp16[64, 64],NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=16, rank=2)>"


def _kernels(name: str) -> Any:
    return import_file(SOURCES / name)


class Tensor:
    """Of a tensor the compiler looks at type and address."""

    def __init__(self, dtype: str, address: int = 256) -> None:
        self.dtype, self.address = dtype, address

    def data_ptr(self) -> int:
        return self.address


def _gemm_arguments(**changed: Any) -> dict[str, Any]:
    tensors = {name: Tensor("torch.float16") for name in ("a_ptr", "b_ptr", "c_ptr")}
    numbers = {"m": 256, "n": 130, "k": 192, "stride_a": 192, "stride_b": 130, "stride_c": 130}
    return {**tensors, **numbers, **GEMM.constants, **changed}


@pytest.mark.parametrize(
    ("architecture", "target", "registers", "smem_bytes", "tmem_columns"),
    [("sm_80", "sm_80", 190, 65536, 0), ("sm_90", "sm_90a", 108, 98304, 0), ("sm_100", "sm_100a", 94, 98320, 128)],
)
def test_a_task(architecture: str, target: str, registers: int, smem_bytes: int, tmem_columns: int) -> None:
    found = compile_task(GEMM, SIZES, architecture)
    assert (found.entry, found.language, found.architecture) == ("gemm_kernel", "triton", target)
    assert found.cubin is not None and found.cubin.startswith(b"\x7fELF")
    assert f".target {target}" in found.ptx
    assert (found.block, found.warps, found.max_threads) == ((256, 1, 1), 8, 256)
    assert (found.dynamic_smem_bytes, found.tmem_columns) == (smem_bytes, tmem_columns)
    assert found.resources is not None and not found.resources.spills
    assert abs(found.resources.registers - registers) <= registers // 4
    assert found.sources[str(GEMM.source)] == GEMM.source.read_text()
    assert set(found.versions) == {"triton", "ptxas"}
    assert found.options["num_warps"] == 8


def test_ptx_alone() -> None:
    found = compile_task(GEMM, SIZES, "sm_90", cubin=False)
    assert found.cubin is None and found.resources is None and ".entry gemm_kernel" in found.ptx


@pytest.mark.parametrize("architecture", ["sm_86", "sm_89", "sm_120"])
def test_other_architectures(architecture: str) -> None:
    found = compile_task(GEMM, SIZES, architecture)
    assert found.architecture.startswith(architecture) and found.cubin is not None


UNALIGNED = {"a_ptr": Tensor("torch.bfloat16", 264), "b_ptr": Tensor("torch.bfloat16")}


@pytest.mark.parametrize(
    ("capability", "changed"),
    [(80, {}), (90, {"m": 1}), (90, {"n": 2**33}), (100, {}), (120, UNALIGNED)],
    ids=["plain", "one", "long", "blackwell", "unaligned"],
)
def test_the_code_is_that_of_tritons_launcher(
    capability: int, changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = import_file(GEMM.source).gemm_kernel
    arguments = _gemm_arguments(**SMALL_TILE, **changed)
    kernel.device_caches.clear()
    with _pretended_driver(capability):
        theirs = kernel.run(**arguments, grid=(1,), warmup=True, num_warps=4, num_stages=2)
    kernel.device_caches.clear()
    ours = compile_call(kernel, arguments, f"sm_{capability}", TritonOptions(4, 2))
    assert ours.ptx == theirs.asm["ptx"]
    assert ours.cubin == theirs.asm["cubin"]
    assert (ours.dynamic_smem_bytes, ours.warps) == (theirs.metadata.shared, theirs.metadata.num_warps)


def test_a_one_is_compiled_in_and_alignment_is_relied_on() -> None:
    found = compile_task(GEMM, {"M": 1, "N": 130, "K": 192}, "sm_90")
    assert found.constants == {"m": 1, **GEMM.constants}
    relied = {p.argument: p.divisibility for p in found.parameters if not p.is_hidden}
    assert relied == {
        "a_ptr": 16, "b_ptr": 16, "c_ptr": 16, "n": 1, "k": 16, "stride_a": 16, "stride_b": 1, "stride_c": 1,
    }  # fmt: skip


def test_the_task_decides_the_types() -> None:
    found = compile_task(GEMM.variant("bf16"), SIZES, "sm_90")
    assert [p.dtype for p in found.parameters][:4] == ["bf16", "bf16", "bf16", "i32"]


@pytest.mark.parametrize(("architecture", "form"), [("sm_80", "base"), ("sm_90", "tensor-map")])
def test_a_descriptor_becomes_several_parameters(architecture: str, form: str) -> None:
    task = load_task(ROOT / "kernels" / "attention_forward_descriptor")
    found = compile_task(task, {"HEADS": 2, "SEQ_Q": 256, "SEQ_K": 512}, architecture)
    roles = [p.role for p in found.parameters if p.argument == "q_desc"]
    shape_and_strides = ["shape"] * 3 + ["stride"] * 3
    # Versions before 3.7 do not have the second flag.
    flags = [role for role in ("nan-padding", "tf32-rounding") if role in roles]
    assert roles == [form, *(shape_and_strides if form == "base" else ()), *flags, *shape_and_strides]
    assert ("nan-padding" in roles) == (form == "base")
    assert [p.role for p in found.parameters][-2:] == ["global-scratch", "profile-scratch"]
    head = read_head(found.ptx, found.entry)
    assert [p.bytes for p in found.parameters] == [p.bytes for p in head.parameters]
    if form == "tensor-map":
        layout = found.parameters[0].tensor_map
        assert layout is not None and (layout.box, layout.swizzle, layout.element_bytes) == ((1, 128, 64), 3, 2)


def test_tuples_are_flattened() -> None:
    arguments = {"pair": (Tensor("fp32"), 3), "out_ptr": Tensor("fp32"), "scale": 0.5, "flag": True, "BLOCK": 128}
    found = compile_call(_kernels("triton_kernels.py").tuple_kernel, arguments, "sm_90")
    told = [(p.argument, p.path, p.role, p.dtype) for p in found.parameters if not p.is_hidden]
    assert told == [
        ("pair", (0,), "pointer", "fp32"),
        ("pair", (1,), "scalar", "i32"),
        ("out_ptr", (), "pointer", "fp32"),
        ("scale", (), "scalar", "fp32"),
        ("flag", (), "scalar", "u1"),
    ]


def test_a_one_inside_a_tuple_is_compiled_in() -> None:
    arguments = {"pair": (Tensor("fp32"), 1), "out_ptr": Tensor("fp32"), "scale": 0.5, "flag": True, "BLOCK": 128}
    found = compile_call(_kernels("triton_kernels.py").tuple_kernel, arguments, "sm_90")
    assert found.constants == {"pair.1": 1, "BLOCK": 128}


def test_a_constant_may_be_a_dtype() -> None:
    import triton.language as tl

    kernel = _kernels("triton_kernels.py").typed_kernel
    signature = {"x_ptr": "*fp32", "y_ptr": "*fp16", "DTYPE": "constexpr"}
    found = compile_function(kernel, signature, {"DTYPE": tl.float16}, "sm_80")
    assert found.constants == {"DTYPE": "fp16"}


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
def test_gluon(architecture: str) -> None:
    signature = {"x_ptr": "*fp32", "y_ptr": "*fp32", "n": "i32", "BLOCK": "constexpr"}
    kernel = _kernels("gluon_kernels.py").copy_kernel
    found = compile_function(kernel, signature, {"BLOCK": 512}, architecture)
    assert (found.language, found.entry, found.block) == ("gluon", "copy_kernel", (128, 1, 1))
    assert found.cubin is not None


def test_warp_groups_add_threads() -> None:
    kernel = _kernels("gluon_kernels.py").specialised_copy_kernel
    found = compile_function(kernel, {"x_desc": TILE, "y_desc": TILE}, {}, "sm_90")
    assert found.warps == 8 and found.options["num_warps"] == 4
    assert ".reqntid 256" in found.ptx
    assert [p.role for p in found.parameters].count("tensor-map") == 2


def test_options() -> None:
    kernel = import_file(GEMM.source).gemm_kernel
    options = TritonOptions(8, 3, max_registers=64)
    found = compile_call(kernel, _gemm_arguments(), "sm_80", options)
    assert found.resources is not None and found.resources.registers <= 64 and found.resources.spills
    clusters = compile_call(kernel, _gemm_arguments(), "sm_90", TritonOptions(4, 2, num_ctas=2, cubin=False))
    assert clusters.cluster == (2, 1, 1) and clusters.cubin is None and clusters.resources is None


def test_no_fusion_reaches_the_assembler() -> None:
    kernel = _kernels("triton_kernels.py").tuple_kernel
    arguments = {"pair": (Tensor("fp32"), 3), "out_ptr": Tensor("fp32"), "scale": 0.5, "flag": 2.0, "BLOCK": 128}
    fused, apart = (
        compile_call(kernel, arguments, "sm_80", TritonOptions(other={"enable_fp_fusion": f})) for f in (True, False)
    )
    assert fused.cubin != apart.cubin and apart.options["enable_fp_fusion"] is False


def _rule(error: pytest.ExceptionInfo[UserError]) -> str:
    return error.value.diagnostics[0].rule


def test_an_error_is_at_the_users_line() -> None:
    kernel = _kernels("triton_kernels.py").broken_kernel
    with pytest.raises(UserError) as error:
        compile_function(kernel, {"x_ptr": "*fp32", "n": "i32"}, {}, "sm_90")
    place = error.value.diagnostics[0].location
    lines = (SOURCES / "triton_kernels.py").read_text().splitlines()
    assert _rule(error) == "compile-error" and place is not None
    assert "undefined_name" in lines[place.line - 1]
    assert lines[place.line - 1][place.column - 1 :].startswith("undefined_name")


@pytest.mark.parametrize(
    ("changed", "rule"),
    [({"nonsense": 1}, "bad-arguments"), ({"m": object()}, "bad-arguments")],
    ids=["unknown", "kind"],
)
def test_bad_arguments(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(UserError) as error:
        compile_call(import_file(GEMM.source).gemm_kernel, _gemm_arguments(**changed), "sm_90")
    assert _rule(error) == rule


def test_a_missing_argument() -> None:
    arguments = _gemm_arguments()
    del arguments["k"]
    with pytest.raises(UserError, match="'k'") as error:
        compile_call(import_file(GEMM.source).gemm_kernel, arguments, "sm_90")
    assert _rule(error) == "bad-arguments"


def test_an_unknown_option() -> None:
    options = TritonOptions(other={"num_warp": 4})
    with pytest.raises(UserError, match="did you mean `num_warps`") as error:
        compile_call(import_file(GEMM.source).gemm_kernel, _gemm_arguments(), "sm_90", options)
    assert _rule(error) == "unknown-option"


def test_what_is_no_kernel() -> None:
    with pytest.raises(UserError) as error:
        compile_function(len, {}, {}, "sm_90")
    assert _rule(error) == "no-kernel"


def test_an_unknown_kernel_of_a_task() -> None:
    with pytest.raises(UserError, match="did you mean `gemm_kernel`") as error:
        compile_triton_task(replace(GEMM, entry="gem_kernel"), SIZES, "sm_90")
    assert _rule(error) == "unknown-kernel"


def test_an_unknown_architecture() -> None:
    with pytest.raises(UserError) as error:
        compile_task(GEMM, SIZES, "gfx942")
    assert _rule(error) == "unknown-architecture"


def test_the_assembler_has_a_time_limit() -> None:
    with pytest.raises(CompileTimeoutError) as error:
        compile_triton_task(GEMM, SIZES, "sm_80", TritonOptions(8, 3, timeout_s=1e-3))
    assert error.value.exit_code == ExitCode.TIME_LIMIT


def test_json_gives_the_same_artifact() -> None:
    task = load_task(ROOT / "kernels" / "attention_forward_descriptor")
    found = compile_task(task, {"HEADS": 2, "SEQ_Q": 256, "SEQ_K": 512}, "sm_90")
    assert from_json(to_json(found)) == found
    assert to_json(from_json(to_json(found))) == to_json(found)


def test_the_cache_tells_specialisations_and_options_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")
    made: list[Compiled] = []
    from backends.compilers import triton

    compiled = triton._compiled
    monkeypatch.setattr(triton, "_compiled", lambda *a: made.append(compiled(*a)) or made[-1])
    ptx = TritonOptions(8, 3, cubin=False)
    different = [
        ({"M": 256, "N": 384, "K": 512}, "sm_90", ptx),
        ({"M": 1, "N": 384, "K": 512}, "sm_90", ptx),
        ({"M": 256, "N": 384, "K": 512}, "sm_80", ptx),
        ({"M": 256, "N": 384, "K": 512}, "sm_90", replace(ptx, num_stages=2)),
        ({"M": 256, "N": 384, "K": 512}, "sm_90", replace(ptx, cubin=True)),
    ]
    first = [triton.compile_task(GEMM, *one, cache=cache) for one in different]
    assert len(made) == len(different)
    again = [triton.compile_task(GEMM, *one, cache=cache) for one in different]
    same = triton.compile_task(GEMM, {"M": 512, "N": 768, "K": 1024}, "sm_90", ptx, cache=cache)
    assert len(made) == len(different) and again == first and same == first[0]


def test_the_cache_tells_releases_of_triton_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two may differ in native code alone, of which the hashes of source, options and tools say nothing."""
    import triton

    options, cache = TritonOptions(8, 3, cubin=False), Cache(tmp_path / "c")
    kernel = load_task_kernel(GEMM)
    found = []
    for release in ("3.7.0", "3.7.1"):
        monkeypatch.setattr(triton, "__version__", release)
        found.append(compile_triton_task(GEMM, SIZES, "sm_90", options, kernel, cache).versions["triton"])
    assert found == ["3.7.0", "3.7.1"]
