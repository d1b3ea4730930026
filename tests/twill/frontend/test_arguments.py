"""What each parameter is: types, constants, where they come from, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from backends.compilers.triton_adaptor import Request, dtype
from backends.compilers.triton_function import unwrap
from ir.diagnostics import Diagnostic, UserError
from twill.frontend.arguments import Choice, settle
from twill.frontend.load import FrontendOptions, load_function, load_kernel
from twill.frontend.signature import ArgumentType, read_argument_type

SOURCE = """\
import triton
import triton.language as tl


@triton.jit
def helper(x):
    return x + 1


@triton.jit
def copy(x_ptr, y_ptr, n: tl.int32, stride_x, BLOCK: tl.constexpr, DT: tl.constexpr = tl.float32,
         EVEN: tl.constexpr = False):
    cols = tl.arange(0, BLOCK)
    for i in range(0, n, BLOCK):
        tl.store(y_ptr + i + cols, helper(tl.load(x_ptr + i * stride_x + cols)).to(DT))


copy_tuned = triton.autotune(
    configs=[
        triton.Config({"BLOCK": 32}, num_warps=2, num_stages=5),
        triton.Config({"BLOCK": 64}, num_warps=8, num_stages=2),
    ],
    key=["n"],
)(triton.heuristics({"EVEN": lambda args: args["BLOCK"] == 64})(copy))


@triton.heuristics({"BLOCK": lambda args: args["n"] // 2})
@triton.jit
def needs_values(x_ptr, n, BLOCK: tl.constexpr):
    tl.store(x_ptr, BLOCK)
"""
TYPES = {"x_ptr": "*fp32", "y_ptr": "*fp32", "stride_x": "i32"}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    path = tmp_path_factory.mktemp("arguments") / "kernels.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("argument_kernels", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def settled(kernel: Any, task: Choice | None = None, **options: Any) -> Request:
    unwrapped = unwrap(kernel)
    assert unwrapped is not None
    return settle(unwrapped, FrontendOptions(**{"arguments": TYPES, **options}), task or Choice())


def refused(kernel: Any, **options: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(UserError) as raised:
        settled(kernel, **options)
    return raised.value.diagnostics


def test_types_come_from_flags_and_annotations_constants_from_flags_and_defaults(kernels: ModuleType) -> None:
    request = settled(kernels.copy, constants={"BLOCK": 16})
    assert request.signature == {
        "x_ptr": "*fp32", "y_ptr": "*fp32", "n": "i32", "stride_x": "i32",
        "BLOCK": "constexpr", "DT": "constexpr", "EVEN": "constexpr",
    }  # fmt: skip
    assert request.constants == {"BLOCK": 16, "DT": dtype("float32"), "EVEN": False}
    assert set(request.attributes) == {(0,), (1,), (3,)}, "pointers and strides are divisible by 16"
    assert (request.capability, request.num_warps, request.num_stages) == (90, 4, 3)


def test_the_first_configuration_or_the_one_asked_for_and_heuristics(kernels: ModuleType) -> None:
    first, second = settled(kernels.copy_tuned), settled(kernels.copy_tuned, config_index=1)
    assert (first.constants["BLOCK"], first.num_warps, first.num_stages) == (32, 2, 5)
    assert (second.constants["BLOCK"], second.num_warps, second.num_stages) == (64, 8, 2)
    assert (first.constants["EVEN"], second.constants["EVEN"]) == (False, True)


def test_the_user_has_the_last_word(kernels: ModuleType) -> None:
    task = Choice({"n": ArgumentType("i64")}, {"BLOCK": 8, "DT": "tl.float16"}, 16, 1)
    request = settled(kernels.copy_tuned, task, constants={"BLOCK": 128, "EVEN": True}, num_warps=1)
    assert request.constants == {"BLOCK": 128, "DT": dtype("fp16"), "EVEN": True}
    assert request.signature["n"] == "i64" and (request.num_warps, request.num_stages) == (1, 5)


def test_an_argument_may_be_a_constant(kernels: ModuleType) -> None:
    request = settled(kernels.copy, arguments={**TYPES, "stride_x": "1", "n": "i32:16"}, constants={"BLOCK": 16})
    assert request.constants["stride_x"] == 1 and request.signature["stride_x"] == "constexpr"
    assert set(request.attributes) == {(0,), (1,), (2,)}
    assert load_function(kernels.copy, FrontendOptions(request_types(request), {"BLOCK": 16, "stride_x": 1}))


def request_types(request: Request) -> dict[str, str]:
    return {name: text for name, text in request.signature.items() if text != "constexpr"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*fp16", ArgumentType("*fp16", 16)),
        ("*fp16:1", ArgumentType("*fp16", 1)),
        ("*bfloat16:8", ArgumentType("*bf16", 8)),
        (" *kfp32 ", ArgumentType("*kfp32", 16)),
        ("tl.float32", ArgumentType("fp32")),
        ("int64", ArgumentType("i64")),
        ("i32:1", ArgumentType("constexpr", constant=1, is_constant=True)),
        ("-2.5", ArgumentType("constexpr", constant=-2.5, is_constant=True)),
        ("None", ArgumentType("constexpr", constant=None, is_constant=True)),
        ("True", ArgumentType("constexpr", constant=True, is_constant=True)),
        ("tensordesc<fp16[128,64]>", ArgumentType("tensordesc<fp16[128, 64]>")),
        ("tensordesc< float16 [ 128, 64 ] >", ArgumentType("tensordesc<fp16[128, 64]>")),
    ],
)
def test_argument_types(text: str, expected: ArgumentType) -> None:
    assert read_argument_type("a", text) == expected


def test_missing_constants_and_arguments_are_all_listed(kernels: ModuleType) -> None:
    constants, arguments = refused(kernels.copy, arguments={"x_ptr": "*fp32"})
    assert (constants.rule, arguments.rule) == ("missing-constant", "missing-argument")
    assert "`BLOCK`" in constants.message and constants.remedy == "give --const BLOCK=VALUE"
    assert "--arg y_ptr=TYPE --arg stride_x=TYPE" in arguments.remedy
    assert constants.location is not None and "def copy" in SOURCE.splitlines()[constants.location.line]


def test_a_heuristic_that_needs_run_time_values_is_a_missing_constant(kernels: ModuleType) -> None:
    (missing,) = refused(kernels.needs_values, arguments={"x_ptr": "*i32", "n": "i32"})
    assert missing.rule == "missing-constant" and "`BLOCK`" in missing.message
    assert settled(kernels.needs_values, arguments={"x_ptr": "*i32", "n": "64"}).constants["BLOCK"] == 32


def test_unknown_arguments_are_all_listed_with_the_nearest(kernels: ModuleType) -> None:
    first, second = refused(kernels.copy, arguments={"x_prt": "*fp32"}, constants={"BLOK": 3})
    assert {first.rule, second.rule} == {"unknown-argument"}
    assert "`BLOK`" in first.message and first.remedy.startswith("did you mean `BLOCK`?")
    assert "`x_prt`" in second.message and second.remedy.startswith("did you mean `x_ptr`?")


@pytest.mark.parametrize(
    ("text", "hint"), [("*pf16", "did you mean `fp16`?"), ("fp32[]", "write *fp16"), ("*", "write")]
)
def test_a_bad_type_is_refused_with_the_nearest(kernels: ModuleType, text: str, hint: str) -> None:
    (bad,) = refused(kernels.copy, arguments={**TYPES, "x_ptr": text}, constants={"BLOCK": 3})
    assert bad.rule == "bad-argument-type" and f"`{text}`" in bad.message and bad.remedy.startswith(hint)


@pytest.mark.parametrize("index", [2, -1])
def test_an_unknown_configuration(kernels: ModuleType, index: int) -> None:
    (bad,) = refused(kernels.copy_tuned, config_index=index)
    assert (bad.rule, bad.remedy) == ("unknown-config", "write 0 to 1")
    (none,) = refused(kernels.copy, config_index=1, constants={"BLOCK": 3})
    assert none.rule == "unknown-config" and "no @triton.autotune" in none.message


def test_an_unknown_dtype_and_an_unknown_architecture(kernels: ModuleType) -> None:
    (bad,) = refused(kernels.copy, constants={"BLOCK": 3, "DT": "tl.float17"})
    assert bad.rule == "unknown-dtype" and "`tl.float17`" in bad.message
    (bad,) = refused(kernels.copy, constants={"BLOCK": 3}, architecture="gfx942")
    assert bad.rule == "unknown-architecture" and "`gfx942`" in bad.message


@pytest.mark.parametrize("architecture", ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120", "90"])
def test_every_architecture_compiles(kernels: ModuleType, architecture: str) -> None:
    options = FrontendOptions({**TYPES, "n": "i32"}, {"BLOCK": 16}, architecture=architecture)
    assert len(list(load_function(kernels.copy, options).loops())) == 1


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(UserError, match="no Triton kernel"):
        load_function(len, FrontendOptions())


def test_the_task_file_beside_a_kernel_is_used_and_can_be_overridden() -> None:
    path = Path(__file__).parents[3] / "kernels" / "gemm" / "kernel.py"
    kernel = load_kernel(f"{path}:gemm_kernel", FrontendOptions(constants={"BLOCK_K": 32}))
    assert kernel.warps == 8
    (loop,) = kernel.loops()
    assert any(str(c.argument.type) == "tensor<128x32x!ptr<f16>>" for c in loop.carried)
