"""The example kernels through the whole frontend: golden text, structure, every variant."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from names_check import check_names

from ir.loop import Kernel, Operation
from ir.task import load_task
from ir.text import parse_kernel, print_kernel
from ir.types import Type
from twill.frontend.load import load_kernel

KERNELS = Path(__file__).parents[3] / "kernels"
TRITON_TASKS = sorted(p.parent for p in KERNELS.glob("*/task.toml") if load_task(p).language == "triton")
GOLDEN_TRITON = "3.9"


@cache
def kernel(spec: str) -> Kernel:
    return load_kernel(KERNELS / spec)


def operations(spec: str, loop: str = "0") -> dict[str, Operation]:
    body = next(each for each in kernel(spec).loops() if each.name == loop).body
    return {v.name: op for op in body if isinstance(op, Operation) for v in op.results}


def test_attention_has_one_loop_that_carries_softmax_and_accumulator() -> None:
    (loop,) = kernel("attention_forward").loops()
    carried = {c.argument.name: (c.initial, c.yielded, c.result.name) for c in loop.carried}
    assert carried["acc.in"][1:] == ("acc", "acc.out")
    assert carried["row_sum.in"][1:] == ("row_sum", "row_sum.out")
    assert carried["row_max.in"][1:] == ("new_max", "row_max.out")
    assert loop.induction is not None and loop.induction.name == "start_n"
    assert loop.upper == "seq_k" and loop.is_innermost and loop.refusal is None
    lines = (KERNELS / "attention_forward" / "kernel.py").read_text().splitlines()
    assert loop.location is not None and lines[loop.location.line - 1].lstrip().startswith("for start_n in")


def test_attention_operations_are_named_by_variable_and_place() -> None:
    ops = operations("attention_forward")
    assert {n: ops[n].opcode for n in ("k", "qk", "p", "v", "acc")} == {
        "k": "tt.load", "qk": "tt.dot", "p": "math.exp2", "v": "tt.load", "acc": "tt.dot",
    }  # fmt: skip
    assert ops["acc"].operands[1:] == ("v", "acc.mulf")
    assert ops["new_max.reduce"].combiner == ("arith.maxnumf",) and ops["new_max.reduce"].attributes["axis"] == 1
    lines = (KERNELS / "attention_forward" / "kernel.py").read_text().splitlines()
    for name in ("qk", "p", "alpha", "row_sum", "acc"):
        place = ops[name].location
        assert place is not None and lines[place.line - 1].lstrip().startswith(f"{name} = "), name


def test_a_mask_is_there_only_where_the_kernel_has_one() -> None:
    assert operations("attention_forward")["k"].attributes["has_mask"] is False
    ragged = operations("attention_forward:ragged")["k"]
    assert ragged.attributes["has_mask"] is True and ragged.attributes["has_other"] is True
    assert operations("attention_forward:causal")["qk"].opcode == "arith.select"


def test_gemm_carries_pointers_and_a_sum() -> None:
    (loop,) = kernel("gemm").loops()
    assert [(c.argument.name, c.argument.type) for c in loop.carried] == [
        ("a_ptrs.in", Type("f16", (128, 64), pointer=True)),
        ("b_ptrs.in", Type("f16", (64, 128), pointer=True)),
        ("acc.in", Type("f32", (128, 128))),
    ]
    assert kernel("gemm").warps == 8 and kernel("gemm").attributes["num_stages"] == 3
    assert kernel("gemm").argument_attributes["stride_a"] == {"tt.divisibility": 16}
    assert operations("gemm:bf16")["a"].results[0].type == Type("bf16", (128, 64))


def test_nested_loops_of_a_persistent_kernel() -> None:
    outer, inner = kernel("gemm_persistent").loops()
    assert (outer.name, inner.name, outer.is_innermost, inner.is_innermost) == ("0", "0.0", False, True)
    assert "acc" in operations("gemm_persistent", "0.0")


@pytest.mark.parametrize("spec", ["attention_forward:causal", "gemm", "attention_forward_descriptor"])
def test_golden_text(spec: str, golden: Callable[[str, str], None]) -> None:
    triton = pytest.importorskip("triton")
    if not triton.__version__.startswith(GOLDEN_TRITON):
        pytest.skip(f"the golden files are of Triton {GOLDEN_TRITON}, this is {triton.__version__}")
    text = re.sub(r' (loc\(".*"\d*:\d+:\d+\)|source ".*?")', "", print_kernel(kernel(spec)))
    golden(f"{spec.replace(':', '_')}.kernel", text)


def check_variants(folder: Path) -> None:
    for task in load_task(folder).all_variants():
        spec = f"{folder}:{task.variant_name}" if task.variant_name else str(folder)
        loaded = load_kernel(spec)
        check_names(loaded)
        assert parse_kernel(print_kernel(loaded)) == loaded
        assert list(loaded.loops()), spec


@pytest.mark.parametrize("folder", TRITON_TASKS[:3], ids=lambda p: p.name)
def test_variants_load_and_read_back(folder: Path) -> None:
    check_variants(folder)


@pytest.mark.slow
@pytest.mark.parametrize("folder", TRITON_TASKS, ids=lambda p: p.name)
def test_every_variant_loads_and_reads_back(folder: Path) -> None:
    check_variants(folder)
