"""Products on each family: cycles by hand, places of operands and sums, types that a machine lacks."""

from __future__ import annotations

import pytest

from backends.machines import load_machine
from ir.diagnostics import UserError
from ir.graph import DependenceGraph, Op
from ir.types import Memory, Type
from tests.twill.lowering.loops import Builder, gemm, tile
from twill.lowering import lower
from twill.lowering.context import tensor_columns


def graph(machine: str, *args: object, **kwargs: object) -> DependenceGraph:
    return lower(*gemm(*args, **kwargs), load_machine(machine))  # type: ignore[arg-type]


def op(g: DependenceGraph, name: str) -> Op:
    return g.by_name[name]


# 2 m n k operations over the rate; the second operand is read from shared memory once for each 64 (wgmma) or 128 rows
# (tcgen05) at 128 bytes a cycle, the first once.
@pytest.mark.parametrize(
    ("machine", "element", "m", "n", "k", "cycles"),
    [
        ("h100", "f16", 64, 128, 128, 512),  # 2*64*128*128/4096
        ("h100", "f16", 64, 256, 16, 128),  # the measured interval of wgmma m64n256k16
        ("h100", "f16", 64, 64, 16, 32),
        ("h100", "f16", 64, 32, 16, 24),  # (64 + 32) rows of 32 bytes at 128 bytes a cycle, as measured
        ("h100", "f16", 128, 128, 64, 512),
        ("h100", "i8", 64, 128, 128, 256),
        ("h100", "f8E4M3FN", 64, 128, 128, 256),
        ("h100", "f32", 64, 128, 128, 1024),  # tf32
        ("b200", "f16", 128, 128, 128, 512),
        ("b200", "f16", 64, 128, 128, 512),  # 64 rows at half the rate
        ("b200", "bf16", 128, 256, 16, 128),  # the measured intervals of tcgen05
        ("b200", "bf16", 128, 128, 16, 64),
        ("b200", "bf16", 128, 64, 16, 48),
        ("b200", "bf16", 64, 64, 16, 32),
        ("b200", "f8E5M2", 128, 128, 128, 256),
        ("a100", "f16", 128, 128, 64, 1024),  # 2*128*128*64/2048
        ("a100", "f64", 64, 64, 16, 1024),  # 2*64*64*16/128
        ("rtx4090", "f16", 128, 128, 32, 2048),  # 2*128*128*32/512
        ("rtx4090", "f8E4M3FN", 128, 128, 32, 1024),
        ("a6000", "bf16", 128, 128, 32, 1024),
        ("rtx5090", "i8", 128, 128, 32, 512),
    ],
)
def test_cycles_of_a_product(machine: str, element: str, m: int, n: int, k: int, cycles: int) -> None:
    acc = op(graph(machine, element, m, n, k), "acc")
    assert (acc.unit, acc.occupancy_cycles) == ("tensor", cycles)


def test_hopper_sum_is_held_once_in_registers() -> None:
    g = graph("h100")
    acc = op(g, "acc")
    assert acc.registers == 0
    (held,) = g.invariants
    assert (held.name, held.registers, held.readers) == ("acc.accumulator", 128, ("acc",))
    assert (acc.warps, acc.latency_cycles, acc.issue_cycles) == (4, 512 + 14, 16)
    (chain,) = [e for e in g.edges if e.source == "acc"]
    assert (chain.target, chain.distance, chain.latency_cycles) == ("acc", 1, 512)
    assert chain.in_place
    assert not chain.blocking


def test_blackwell_sum_is_in_tensor_memory() -> None:
    g = graph("b200", "f16", 128, 256, 64)
    acc = op(g, "acc")
    assert (acc.warps, acc.registers, acc.issue_cycles) == (1, 0, 30)
    assert acc.latency_cycles == acc.occupancy_cycles + 388
    assert [(i.name, i.tmem_columns) for i in g.invariants] == [("acc.accumulator", 256)]


def test_hopper_operands_come_by_tma_and_are_waited_for() -> None:
    g = graph("h100")
    for name in ("a", "b"):
        load = op(g, name)
        assert (load.unit, load.smem_bytes, load.registers, load.warps) == ("tma", 16384, 0, 1)
        assert load.variable_latency
        assert load.streaming
        assert (load.latency_cycles, load.occupancy_cycles) == (318 + 151, 171)  # 9.4 for each KiB, 96 bytes a cycle
    assert {(e.source, e.target) for e in g.edges if e.blocking} == {("a", "acc"), ("b", "acc")}


def test_ampere_reads_fragments_with_one_wait() -> None:
    g = graph("a100", warps=8)
    assert op(g, "a").unit == "l2"
    assert op(g, "a").smem_bytes == 16384
    # 8 warps in 4 rows of 2: A is read twice, B four times, at 128 bytes a cycle.
    assert op(g, "acc.ldmatrix_a").occupancy_cycles == 2 * 16384 // 128
    assert op(g, "acc.ldmatrix_b").occupancy_cycles == 4 * 16384 // 128
    assert {(e.source, e.target) for e in g.edges if e.blocking} == {("a", "acc.wait"), ("b", "acc.wait")}
    assert op(g, "acc").issue_cycles == op(g, "acc").occupancy_cycles == 1024
    assert op(g, "acc").warps == 8
    (held,) = g.invariants
    assert held.registers == 64  # 128*128*4 / 4 / 256 threads


def test_ampere_fragments_run_two_slices_ahead_at_most() -> None:
    g = graph("a100", warps=8)
    (back,) = [e for e in g.edges if (e.source, e.target) == ("acc", "acc.ldmatrix_b")]
    assert (back.kind, back.distance, back.latency_cycles) == ("order", 1, 512)  # 2 of 4 slices are done
    assert "2 slices" in back.reason


@pytest.mark.parametrize(("machine", "rows"), [("h100", 32), ("b200", 32), ("h100", 16)])
def test_few_rows_take_mma_sync(machine: str, rows: int) -> None:
    acc = op(graph(machine, "f16", rows, 128, 64), "acc")
    assert "mma.sync" in acc.detail
    assert acc.issue_cycles == acc.occupancy_cycles
    assert acc.tmem_columns == 0


def test_full_precision_takes_fma() -> None:
    acc = op(graph("h100", "f32", 64, 64, 16, inputPrecision="ieee"), "acc")
    assert acc.unit == "alu"
    assert acc.occupancy_cycles == 64 * 64 * 16 // 128


def test_three_passes_of_tf32() -> None:
    acc = op(graph("h100", "f32", 64, 128, 128, inputPrecision="tf32x3"), "acc")
    assert acc.occupancy_cycles == 3 * 1024


@pytest.mark.parametrize(
    ("machine", "element"), [("a100", "f8E4M3FN"), ("a6000", "f8E5M2"), ("rtx4090", "f64"), ("a6000", "f64")]
)
def test_a_type_that_the_tensor_core_lacks_is_refused_with_its_place(machine: str, element: str) -> None:
    with pytest.raises(UserError, match=r"kernel\.py:\d+:1: error: the tensor cores of .*unsupported-type"):
        graph(machine, element)


def test_scaled_products_need_blackwell() -> None:
    b = Builder()
    acc = tile("f32", 128, 128)
    for name in ("a_ptr", "b_ptr"):
        b.argument(name, Type("f8E4M3FN", pointer=True))
    b.argument("scales", tile("i8", 128, 2))
    b.constant("zero", acc, 0.0)
    b.stream("a", "a_ptr", "f8E4M3FN", 128, 64, 64)
    b.stream("b", "b_ptr", "f8E4M3FN", 64, 128, 64 * 4096)
    b.carry("acc.in", acc, "zero", "acc")
    b.inside = True
    kinds = {"a_elem_type": "e4m3", "b_elem_type": "e4m3"}
    b.op("acc", acc, "tt.dot_scaled", "a", "b", "acc.in", "scales", "scales", **kinds)
    assert lower(*b.kernel(), load_machine("b200")).by_name["acc"].occupancy_cycles == 128
    with pytest.raises(UserError, match="no block-scaled products"):
        lower(*b.kernel(), load_machine("h100"))


def test_8_bit_operands_of_wgmma_are_transposed_where_k_is_not_adjacent() -> None:
    g = graph("h100", "f8E4M3FN")
    move = op(g, "b.transpose")
    assert (move.unit, move.smem_bytes, move.occupancy_cycles) == ("lsu", 8192, 2 * 8192 // 128)
    assert "a.transpose" not in g.by_name
    assert "b.transpose" not in graph("b200", "f8E4M3FN").by_name
    assert "b.transpose" not in graph("h100", "f16").by_name


@pytest.mark.parametrize(
    ("element", "shape", "columns"),
    [("f32", (128, 128), 128), ("f16", (128, 128), 64), ("f32", (64, 64), 64), ("f32", (256, 64), 128)],
)
def test_columns_of_tensor_memory(element: str, shape: tuple[int, ...], columns: int) -> None:
    assert tensor_columns(Type(element, shape, memory=Memory.TENSOR)) == columns
