"""Arguments to PTX parameters: order, descriptors, hidden pointers, and what a specialisation forbids."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.compilers.artifact import Compiled, Parameter, Scratch, TensorMapLayout
from backends.compilers.launch import (
    Descriptor,
    LaunchShape,
    TensorMap,
    encode,
    launch_shape,
    parameter_values,
    scratch_bytes,
)
from backends.compilers.task import compile_task
from ir.diagnostics import UserError
from ir.task import load_task

ROOT = Path(__file__).parents[3]
GEMM = {"a_ptr": 256, "b_ptr": 512, "c_ptr": 1024, "m": 256, "n": 384, "k": 512}
GEMM |= {"stride_a": 512, "stride_b": 384, "stride_c": 384}


@pytest.fixture(scope="module")
def gemm(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    from backends.compilers.cache import Cache

    cache = Cache(tmp_path_factory.mktemp("cache"))
    return compile_task(load_task(ROOT / "kernels" / "gemm"), {"M": 256, "N": 384, "K": 512}, "sm_90", cache)


def _rules(error: pytest.ExceptionInfo[UserError]) -> list[str]:
    return [d.rule for d in error.value.diagnostics]


def test_values_come_in_the_order_of_ptx(gemm: Compiled) -> None:
    values = parameter_values(gemm, GEMM, {"global-scratch": 4096})
    assert values == (256, 512, 1024, 256, 384, 512, 512, 384, 384, 4096, 0)


def test_the_shape_of_the_launch(gemm: Compiled) -> None:
    assert launch_shape(gemm, (6, 1, 1)) == LaunchShape((6, 1, 1), (256, 1, 1), (1, 1, 1), 98304)
    clusters = replace(gemm, cluster=(2, 1, 1))
    assert launch_shape(clusters, (6, 2, 1)).grid == (12, 2, 1)
    assert launch_shape(replace(clusters, language="cuda"), (6, 2, 1)).grid == (6, 2, 1)


def test_a_block_that_the_code_forbids(gemm: Compiled) -> None:
    with pytest.raises(UserError) as error:
        launch_shape(gemm, (1, 1, 1), (128, 1, 1))
    assert _rules(error) == ["wrong-block"]
    free = replace(gemm, block=None, max_threads=128)
    assert launch_shape(free, (1, 1, 1), (64, 2, 1)).block == (64, 2, 1)
    for block, rule in (((64, 4, 1), "wrong-block"), (None, "missing-block")):
        with pytest.raises(UserError) as error:
            launch_shape(free, (1, 1, 1), block)
        assert _rules(error) == [rule]


def test_scratch_is_for_every_block(gemm: Compiled) -> None:
    assert scratch_bytes(gemm, (6, 2, 1)) == {}
    needing = replace(gemm, global_scratch=Scratch(128, 128), cluster=(2, 1, 1))
    assert scratch_bytes(needing, (6, 2, 1)) == {"global-scratch": 128 * 24}


def test_missing_arguments_are_listed(gemm: Compiled) -> None:
    with pytest.raises(UserError) as error:
        parameter_values(gemm, {k: v for k, v in GEMM.items() if k not in ("m", "k")})
    assert _rules(error) == ["missing-argument"] * 2


@pytest.mark.parametrize("changed", [{"k": 100}, {"a_ptr": 264}, {"BLOCK_M": 64}], ids=str)
def test_arguments_that_the_code_was_not_made_for(gemm: Compiled, changed: dict[str, int]) -> None:
    with pytest.raises(UserError) as error:
        parameter_values(gemm, GEMM | changed)
    assert _rules(error) == ["wrong-specialisation"]


LAYOUT = TensorMapLayout(3, 7, 4, (64, 32))


class Triton:
    """Looks like Triton's TensorDescriptor."""

    def __init__(self, **changed: Any) -> None:
        self.base, self.shape, self.strides, self.padding = self, [100, 48], [64, 1], "zero"
        self.round_f32_to_tf32 = False
        vars(self).update(changed)

    def data_ptr(self) -> int:
        return 4096


def _descriptor_kernel(*roles: tuple[str, str, int]) -> Compiled:
    parameters = tuple(
        Parameter(role, dtype, 128 if role == "tensor-map" else 8, 8, "x", axis=axis) for role, dtype, axis in roles
    )
    parameters = tuple(replace(p, tensor_map=LAYOUT) if p.role == "tensor-map" else p for p in parameters)
    return Compiled("triton", "k", "sm_90a", "", None, parameters)


def test_a_descriptor_with_a_tensor_map() -> None:
    kernel = _descriptor_kernel(("tensor-map", "fp32", 0), ("shape", "i32", 1), ("stride", "i64", 0))
    found = parameter_values(kernel, {"x": Triton()})
    assert found == (TensorMap(4096, (100, 48), (64, 1), LAYOUT), 48, 64)
    assert isinstance(found[0], TensorMap) and found[0].stride_bytes == (256,)
    own = Descriptor(4096, (100, 48), (64, 1), padding="nan", round_f32_to_tf32=True)
    (tensor_map, *_) = parameter_values(kernel, {"x": own})
    assert tensor_map == TensorMap(4096, (100, 48), (64, 1), replace(LAYOUT, element_type=11), True)


def test_a_padded_descriptor_of_four_bit_elements_is_twice_as_wide() -> None:
    kernel = _descriptor_kernel(("tensor-map", "u8", 0))
    padded = replace(kernel.parameters[0], tensor_map=replace(LAYOUT, fp4_padded=True))
    (found,) = parameter_values(replace(kernel, parameters=(padded,)), {"x": Triton()})
    assert isinstance(found, TensorMap) and found.shape == (100, 96)


def test_a_descriptor_without_a_tensor_map() -> None:
    roles = [("base", "fp32", 0), ("shape", "i64", 0), ("stride", "i64", 0), ("nan-padding", "i1", 0)]
    kernel = _descriptor_kernel(*roles, ("tf32-rounding", "i1", 0))
    assert parameter_values(kernel, {"x": Triton(padding="nan")}) == (4096, 100, 64, 1, 0)


def test_an_element_of_a_tuple() -> None:
    parameter = Parameter("scalar", "i32", 4, 4, "pair", (1, 0))
    kernel = Compiled("triton", "k", "sm_90a", "", None, (parameter,))
    assert parameter_values(kernel, {"pair": (1, (7, 8))}) == (7,)


@pytest.mark.parametrize(
    ("dtype", "size", "value", "expected"),
    [
        ("i32", 4, -1, b"\xff" * 4),
        ("u64", 8, 2**64 - 1, b"\xff" * 8),
        ("u1", 1, True, b"\x01"),
        ("fp32", 4, 0.1, struct.pack("<f", 0.1)),
        ("fp64", 8, 0.1, struct.pack("<d", 0.1)),
        ("fp16", 2, 1.5, b"\x00\x3e"),
        ("bf16", 2, 1.0, b"\x80\x3f"),
        ("bf16", 2, 1.0 + 2**-8, b"\x80\x3f"),
        ("bf16", 2, 1.0 + 3 * 2**-8, b"\x82\x3f"),
        ("bf16", 2, 1.0 + 2**-8 + 2**-16, b"\x81\x3f"),
        ("bf16", 2, -math.inf, b"\x80\xff"),
    ],
)
def test_bytes_of_scalars(dtype: str, size: int, value: float, expected: bytes) -> None:
    assert encode(Parameter("scalar", dtype, size, size), value) == expected


def test_bytes_of_other_parameters() -> None:
    (nan,) = struct.unpack("<H", encode(Parameter("scalar", "bf16", 2, 2), math.nan))
    assert nan & 0x7F80 == 0x7F80 and nan & 0x7F
    assert encode(Parameter("pointer", "fp32", 8, 8), 2**40) == (2**40).to_bytes(8, "little")
    assert encode(Parameter("struct", "", 3, 1), b"abc") == b"abc"
