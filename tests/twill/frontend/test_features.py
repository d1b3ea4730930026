"""Each feature of Triton's language arrives in the kernel with its attributes, types and places."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from names_check import check_names

from ir.loop import Kernel, Loop, Operation, Value
from ir.types import Type
from twill.frontend.load import FrontendOptions, load_kernel

SOURCE = Path(__file__).parent / "sources" / "features.py"
POINTERS = {"x_ptr": "*fp32", "out_ptr": "*fp32", "n": "i32"}
ARGUMENTS = {
    "descriptors": {
        "a_desc": "tensordesc<fp16[64, 64]>", "b_desc": "tensordesc<fp16[64,64]>", "c_ptr": "*fp16",
        "m": "i32", "n": "i32:16", "k": "i32",
    },
    "scaled_dot": {"a_ptr": "*fp8e4nv", "b_ptr": "*fp8e5", "s_ptr": "*u8", "c_ptr": "*fp32", "n": "i32"},
    "shapes": {**POINTERS, "out_ptr": "*bf16"},
}  # fmt: skip


@cache
def kernel(name: str) -> Kernel:
    arguments = ARGUMENTS.get(name, POINTERS)
    options = FrontendOptions(arguments=arguments, constants={"BLOCK": 64}, num_warps=8, architecture="sm_100")
    return load_kernel(f"{SOURCE}:{name}", options)


def first_loop(name: str) -> Loop:
    return next(kernel(name).loops())


def find(name: str, opcode: str) -> list[Operation]:
    items = [*kernel(name).body, *(item for loop in kernel(name).loops() for item in loop.body)]
    return [item for item in items if isinstance(item, Operation) and item.opcode == opcode]


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(SOURCE.read_text().splitlines(), 1) if text in line)


def test_descriptors_have_block_shapes_and_dots_their_precision() -> None:
    loads = find("descriptors", "tt.descriptor_load")
    assert [(v.name, v.type) for op in loads for v in op.results] == [
        ("a", Type("f16", (64, 64))),
        ("b", Type("f16", (64, 64))),
    ]
    assert loads[0].operands[0] == "a_desc"
    arguments = {v.name: v.type for v in kernel("descriptors").arguments}
    assert arguments["a_desc"] == Type("f16", (64, 64), descriptor=True)
    (made,) = find("descriptors", "tt.make_tensor_descriptor")
    assert made.results[0] == Value("c_desc", Type("f16", (64, 64), descriptor=True))
    assert made.operands[:3] == ("c_ptr", "m", "n") and len(made.operands) == 5
    (dot,) = find("descriptors", "tt.dot")
    assert dot.attributes["inputPrecision"] == "ieee"
    assert dot.operands == ("a", "b", "acc.in") and dot.results[0].name == "acc"
    assert dot.location is not None and dot.location.line == line_of("acc = tl.dot(")
    (store,) = find("descriptors", "tt.descriptor_store")
    assert store.location is not None and store.location.line == line_of("c_desc.store(")


def test_what_the_compiler_was_told_of_arguments_and_loops_is_kept() -> None:
    told = kernel("descriptors").argument_attributes
    assert told == {"c_ptr": {"tt.divisibility": 16}, "n": {"tt.divisibility": 16}}
    loop = first_loop("descriptors")
    assert loop.attributes == {"tt.num_stages": 4, "tt.warp_specialize": True}
    assert first_loop("memory").attributes == {
        "tt.disallow_acc_multi_buffer": True,
        "tt.flatten": True,
        "tt.loop_unroll_factor": 1,
    }
    assert kernel("descriptors").warps == 8
    assert kernel("descriptors").attributes == {"architecture": 100, "num_stages": 3}


def test_reductions_and_scans_name_their_combiner_and_axis() -> None:
    argmax, total = find("reductions", "tt.reduce")
    assert argmax.attributes["axis"] == 0 and len(argmax.results) == 2 and "arith.select" in argmax.combiner
    assert total.combiner == ("arith.addf",)
    (scan,) = find("reductions", "tt.scan")
    assert scan.attributes == {"axis": 0, "reverse": True} and scan.combiner == ("arith.addf",)
    # Places and names are the user's, not those of Triton's library in which the reductions are written.
    assert all(op.location is not None and op.location.file == str(SOURCE) for op in (argmax, total, scan))
    assert scan.results[0].name == "sums"
    assert argmax.location is not None and argmax.location.line == line_of("tl.max(")


def test_loads_and_stores_say_their_masks_and_caching() -> None:
    plain, x, v = find("memory", "tt.load")
    assert [op.results[0].name for op in (plain, x, v)] == ["plain", "x", "v"]
    assert (plain.attributes["has_mask"], plain.attributes["has_other"]) == (False, False)
    assert (x.attributes["has_mask"], x.attributes["has_other"]) == (True, False)
    assert (x.attributes["cache"], x.attributes["evict"]) == ("cg", "evict_first")
    assert "cache" not in plain.attributes and v.attributes["isVolatile"] is True
    (store,) = find("memory", "tt.store")
    assert (store.attributes["cache"], store.attributes["has_mask"]) == ("wt", False)
    add, *others = find("memory", "tt.atomic_rmw")
    assert (add.attributes["atomic_rmw_op"], add.attributes["sem"], add.attributes["scope"]) == (
        "fadd", "release", "sys",
    )  # fmt: skip
    assert {op.attributes["atomic_rmw_op"] for op in others} <= {"max", "umin"}


def test_inline_assembly_and_maps_are_kept() -> None:
    (asm,) = find("assembly", "tt.elementwise_inline_asm")
    assert asm.attributes["asm_string"] == "ex2.approx.f32 $0, $1;"
    assert (asm.attributes["constraints"], asm.attributes["pure"], asm.attributes["packed_element"]) == (
        "=f,f",
        True,
        1,
    )
    (mapped,) = find("mapped", "tt.map_elementwise")
    assert len(mapped.results) == 2 and mapped.combiner == ("arith.addf", "arith.subf")


def test_scaled_products_name_their_formats() -> None:
    (dot,) = find("scaled_dot", "tt.dot_scaled")
    assert (dot.attributes["a_elem_type"], dot.attributes["b_elem_type"]) == ("e4m3", "e5m2")
    types = {v.name: v.type.element for v in kernel("scaled_dot").arguments}
    assert types == {"a_ptr": "f8E4M3FN", "b_ptr": "f8E5M2", "s_ptr": "i8", "c_ptr": "f32", "n": "i32"}


def test_unrolled_loops_vanish_and_constant_loops_have_a_trip_count() -> None:
    (loop,) = kernel("shapes").loops()
    assert loop.trip_count == len(range(3, 20, 4)) == 5
    assert len(find("shapes", "tt.trans")) == 2
    assert {v.type.element for op in find("shapes", "arith.truncf") for v in op.results} == {"bf16"}


def test_constants_keep_their_value() -> None:
    values = [op.attributes["value"] for op in find("reductions", "arith.constant")]
    assert 64 in values and any(type(v) is float and v == 0.0 for v in values)


@pytest.mark.parametrize("name", ["descriptors", "reductions", "memory", "assembly", "mapped", "scaled_dot", "shapes"])
def test_every_name_is_defined_once_before_its_uses(name: str) -> None:

    check_names(kernel(name))
