"""One test for each rule: what an operation becomes, what it costs, and where its result is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backends.machines import load_machine
from ir.diagnostics import UserError
from ir.graph import DependenceGraph, Edge
from ir.loop import Predicate
from ir.types import Type
from tests.twill.lowering.loops import Builder, gemm, pointers, tile
from twill.lowering import lower


def low(builder: Builder, machine: str = "h100", warps: int = 4, **options: Any) -> DependenceGraph:
    return lower(*builder.kernel(warps), load_machine(machine), **options)


def edge(g: DependenceGraph, source: str, target: str) -> Edge:
    (found,) = [e for e in g.edges if (e.source, e.target) == (source, target)]
    return found


def carrying(element: str = "f32", *shape: int) -> Builder:
    """A loop that carries one tile `x`, to be changed by the operation under test."""
    b = Builder()
    type_ = tile(element, *(shape or (64, 128)))
    b.argument("start", type_)
    b.argument("other", type_)
    b.carry("x", type_, "start", "y")
    b.inside = True
    return b


# 64 x 128 = 8192 elements; rates of a cycle: 128 float, 64 integer and logic, 16 special functions.
@pytest.mark.parametrize(
    ("element", "opcode", "unit", "cycles"),
    [
        ("f32", "arith.addf", "alu", 64),
        ("f32", "arith.maxnumf", "alu", 128),
        ("f16", "arith.mulf", "alu", 32),
        ("f64", "arith.mulf", "alu", 128),
        ("i32", "arith.addi", "alu", 128),
        ("i64", "arith.addi", "alu", 256),
        ("i64", "arith.muli", "alu", 512),
        ("i32", "arith.xori", "alu", 128),
        ("i32", "arith.divsi", "alu", 33 * 128),
        ("f32", "math.exp2", "sfu", 512),
        ("f32", "math.rsqrt", "sfu", 512),
        ("f32", "math.erf", "alu", 20 * 64),
    ],
)
def test_elementwise(element: str, opcode: str, unit: str, cycles: int) -> None:
    b = carrying(element)
    type_ = tile(element, 64, 128)
    b.op("y", type_, opcode, "x", *(["other"] if opcode.startswith("arith") else []))
    op = low(b).by_name["y"]
    assert (op.unit, op.occupancy_cycles, op.issue_cycles) == (unit, cycles, cycles)
    assert op.registers == 8192 * type_.element_bits // 32 // 128


@pytest.mark.parametrize(
    ("machine", "cycles"), [("h100", 64), ("a100", 128), ("rtx4090", 64), ("b200", 64), ("rtx5090", 64)]
)
def test_float_rate_of_each_machine(machine: str, cycles: int) -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "arith.addf", "x", "other")
    assert low(b, machine).by_name["y"].occupancy_cycles == cycles


@pytest.mark.parametrize(("machine", "cycles"), [("h100", 128), ("rtx5090", 512)])
def test_narrowing(machine: str, cycles: int) -> None:
    b = carrying()
    b.op("h", tile("f16", 64, 128), "arith.truncf", "x")
    b.op("y", tile("f32", 64, 128), "arith.extf", "h")
    g = low(b, machine)
    assert g.by_name["y"].occupancy_cycles == 2 * cycles  # both conversions, in one op


def test_an_exponential_is_a_multiplication_and_a_special_function() -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "math.exp", "x")
    g = low(b)
    assert {op.name: (op.unit, op.occupancy_cycles) for op in g.ops} == {"y.alu": ("alu", 64), "y": ("sfu", 512)}


def test_a_product_that_only_a_sum_reads_is_one_instruction() -> None:
    b = carrying()
    b.op("m", tile("f32", 64, 128), "arith.mulf", "x", "other")
    b.op("y", tile("f32", 64, 128), "arith.addf", "m", "other")
    (op,) = low(b).ops
    assert (op.name, op.opcode, op.occupancy_cycles) == ("y", "fma", 64)


def test_a_product_with_two_readers_is_not() -> None:
    b = carrying()
    b.op("m", tile("f32", 64, 128), "arith.mulf", "x", "other")
    b.op("n", tile("f32", 64, 128), "arith.addf", "m", "other")
    b.op("y", tile("f32", 64, 128), "arith.divf", "n", "m")
    assert "m" in low(b).by_name


def test_a_chain_on_one_unit_becomes_one_op_unless_it_would_wait_for_more() -> None:
    b = carrying()
    full = tile("f32", 64, 128)
    b.op("a", full, "arith.subf", "x", "other")
    b.op("c", full, "math.absf", "a")
    b.op("e", full, "math.exp2", "c")
    b.op("y", full, "arith.mulf", "e", "c")
    g = low(b)
    assert {op.name: op.occupancy_cycles for op in g.ops} == {"c": 128, "e": 512, "y": 64}
    assert edge(g, "y", "c").distance == 1


def test_scalar_integers_and_index_vectors_cost_nothing() -> None:
    b = carrying()
    b.op("twice", Type("i32"), "arith.addi", "i", "i")
    b.op("r", tile("i32", 128), "tt.make_range", start=0, end=128)
    b.op("s", tile("i32", 128), "tt.splat", "twice")
    b.op("at", tile("i32", 128), "arith.addi", "r", "s")
    b.op("limit", tile("i32", 128), "tt.splat", "upper")
    b.op("inside", tile("i1", 128), "arith.cmpi", "at", "limit", predicate="slt")
    b.op("row", tile("i1", 1, 128), "tt.expand_dims", "inside", axis=0)
    b.op("mask", tile("i1", 64, 128), "tt.broadcast", "row")
    b.op("y", tile("f32", 64, 128), "arith.select", "mask", "x", "other")
    g = low(b)
    assert {op.name: op.occupancy_cycles for op in g.ops} == {"inside": 2, "y": 128}


def test_scalar_floats_are_ops() -> None:
    b = Builder()
    b.argument("start", Type("f32"))
    b.argument("rate", Type("f32"))
    b.carry("x", Type("f32"), "start", "y")
    b.inside = True
    b.op("y", Type("f32"), "arith.mulf", "x", "rate")
    (op,) = low(b).ops
    assert (op.occupancy_cycles, op.latency_cycles, op.registers) == (1, 5, 1)


@pytest.mark.parametrize(("opcode", "cycles"), [("arith.addf", 64 + 20), ("arith.maxnumf", 128 + 24)])
def test_reduction_within_a_row(opcode: str, cycles: int) -> None:
    """Beside a product 4 lanes hold a row: 2 steps of 256 shuffles and combinations."""
    b = reducing(opcode, axis=1)
    op = low(b).by_name["r"]
    assert op.occupancy_cycles == cycles
    assert op.latency_cycles == cycles + 4 + 2 * (24 + 4)
    assert op.registers == 1


def reducing(opcode: str, axis: int) -> Builder:
    b = Builder()
    full = tile("f32", 64, 128)
    b.argument("p", Type("f16", pointer=True))
    b.constant("zero", full, 0.0)
    b.stream("a", "p", "f16", 64, 64, 64)
    b.stream("c", "p", "f16", 64, 128, 64 * 4096)
    b.argument("start", tile("f32", (64, 128)[1 - axis]))
    b.carry("m", tile("f32", (64, 128)[1 - axis]), "start", "n")
    b.inside = True
    b.op("s", full, "tt.dot", "a", "c", "zero")
    b.op("r", tile("f32", (64, 128)[1 - axis]), "tt.reduce", "s", axis=axis, combiner=[opcode])
    b.op("n", tile("f32", (64, 128)[1 - axis]), "arith.addf", "m", "r")
    return b


def test_reduction_over_rows_crosses_warps_through_shared_memory() -> None:
    within, across = (low(reducing("arith.addf", axis)).by_name["r"] for axis in (1, 0))
    assert across.latency_cycles - across.occupancy_cycles > within.latency_cycles - within.occupancy_cycles
    # 3 steps between 8 lanes and 19 + 29 + 28 through shared memory, 2 * 128 columns * 4 warps * 4 bytes at 128.
    assert across.latency_cycles - across.occupancy_cycles == 4 + 3 * 28 + 76 + 32


def test_a_scan_combines_twice() -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "tt.scan", "x", axis=1, combiner=["arith.addf"])
    c = carrying()
    c.op("r", tile("f32", 64), "tt.reduce", "x", axis=1, combiner=["arith.addf"])
    c.op("w", tile("f32", 64, 1), "tt.expand_dims", "r", axis=1)
    c.op("v", tile("f32", 64, 128), "tt.broadcast", "w")
    c.op("y", tile("f32", 64, 128), "arith.addf", "x", "v")
    scan, reduction = low(b).by_name["y"], low(c).by_name["r"]
    assert scan.occupancy_cycles == reduction.occupancy_cycles + 64
    assert scan.registers == 64


def loading(machine: str, rows: int = 64, columns: int = 128, element: str = "f32", **told: Any) -> DependenceGraph:
    b = Builder()
    b.argument("p", Type(element, pointer=True), **told)
    full = tile(element, rows, columns)
    b.argument("start", full)
    b.carry("x", full, "start", "y")
    b.stream("t", "p", element, rows, columns, columns)
    b.inside = True
    b.op("y", full, "arith.addf", "x", "t")
    return low(b, machine)


def test_a_large_dense_tile_comes_by_tma_and_is_read_from_shared_memory() -> None:
    g = loading("h100")
    assert (g.by_name["t"].unit, g.by_name["t"].smem_bytes) == ("tma", 32 * 1024)
    move = g.by_name["t.smem_load"]
    assert (move.unit, move.occupancy_cycles, move.latency_cycles, move.registers) == ("lsu", 256, 256 + 29, 64)
    assert edge(g, "t", "t.smem_load").blocking
    assert not edge(g, "t.smem_load", "y").blocking


def test_a_small_tile_is_a_plain_load() -> None:
    load = loading("h100", 4, 64).by_name["t"]
    assert (load.unit, load.registers, load.variable_latency) == ("l2", 2, False)
    assert load.latency_cycles == 1024 // 64 + 286


def test_ampere_has_cp_async_instead() -> None:
    g = loading("a100")
    load = g.by_name["t"]
    assert (load.unit, load.smem_bytes, load.warps) == ("l2", 32 * 1024, 4)
    assert load.variable_latency
    assert load.streaming


def gather(machine: str, feeds_product: bool = False) -> DependenceGraph:
    """Rows chosen by an index that is loaded too."""
    b = Builder()
    b.argument("p", Type("f16", pointer=True))
    b.argument("table", Type("i32", pointer=True))
    acc = tile("f32", 64, 64)
    b.argument("start", acc)
    b.stream("index", "table", "i32", 64, 1, 64, stride=1)
    base = b.matrix("tile", "p", "f16", 64, 64)
    b.carry("x", acc, "start", "y")
    b.inside = True
    b.op("rows", tile("i32", 64, 64), "tt.broadcast", "index")
    b.op("at", pointers("f16", 64, 64), "tt.addptr", base, "rows")
    b.op("g", tile("f16", 64, 64), "tt.load", "at", has_mask=False)
    if feeds_product:
        b.op("y", acc, "tt.dot", "g", "g", "x")
    else:
        b.op("w", acc, "arith.extf", "g")
        b.op("y", acc, "arith.addf", "x", "w")
    return low(b, machine)


def test_a_gather_waits_for_its_indices() -> None:
    g = gather("h100")
    assert g.by_name["g"].unit == "l2"
    assert edge(g, "index", "g").kind == "data"


def test_a_gather_for_a_product_is_copied_by_the_warps() -> None:
    g = gather("h100", feeds_product=True)
    load = g.by_name["g"]
    assert (load.unit, load.smem_bytes, load.warps, load.variable_latency) == ("l2", 8192, 4, True)
    assert not load.streaming


def test_unaligned_rows_are_not_for_tma() -> None:
    assert loading("h100", 64, 128, "f16").by_name["t"].unit == "tma"
    b = Builder()
    b.argument("p", Type("f16", pointer=True))
    b.argument("start", tile("f16", 64, 128))
    b.carry("x", tile("f16", 64, 128), "start", "y")
    b.stream("t", "p", "f16", 64, 128, 128, stride=4097)
    b.inside = True
    b.op("y", tile("f16", 64, 128), "arith.addf", "x", "t")
    assert low(b).by_name["t"].unit == "l2"


@pytest.mark.parametrize("divisibility", [1, 16])
def test_a_stride_of_unknown_alignment_is_noted(divisibility: int) -> None:
    b = Builder()
    b.argument("p", Type("f16", pointer=True))
    b.argument("stride", Type("i32"), **{"tt.divisibility": divisibility})
    b.argument("start", tile("f16", 64, 128))
    b.carry("x", tile("f16", 64, 128), "start", "y")
    b.stream("t", "p", "f16", 64, 128, 128, stride="stride")
    b.inside = True
    b.op("y", tile("f16", 64, 128), "arith.addf", "x", "t")
    g = low(b)
    assert g.by_name["t"].unit == "tma"
    assert any("aligned to 16 bytes" in note for note in g.notes) == (divisibility == 1)


def test_a_descriptor_load_and_store() -> None:
    b = Builder()
    b.argument("d", Type("f16", (64, 128), descriptor=True))
    b.inside = True
    b.op("t", tile("f16", 64, 128), "tt.descriptor_load", "d", "i", "i")
    b.op("u", tile("f16", 64, 128), "arith.addf", "t", "t")
    b.op("", None, "tt.descriptor_store", "d", "u", "i", "i")
    g = low(b)
    assert [op.name for op in g.ops] == ["t", "t.smem_load", "u", "u.smem_store", "d.store"]
    store = g.by_name["d.store"]
    assert (store.unit, store.warps, store.smem_bytes) == ("tma", 1, 0)
    assert not store.variable_latency
    assert g.by_name["u.smem_store"].smem_bytes == 16384


def storing(opcode: str, **attributes: Any) -> Builder:
    b = Builder()
    b.argument("p", Type("f32", pointer=True))
    b.argument("v", tile("f32", 64, 128))
    start = b.matrix("tile", "p", "f32", 64, 128)
    b.carry("at", pointers("f32", 64, 128), start, "next")
    b.constant("step", tile("i32", 64, 128), 128)
    b.inside = True
    b.op("next", pointers("f32", 64, 128), "tt.addptr", "at", "step")
    b.op("old", tile("f32", 64, 128) if opcode == "tt.atomic_rmw" else None, opcode, "at", "v", **attributes)
    return b


def test_a_store() -> None:
    g = low(storing("tt.store", has_mask=False))
    op = g.by_name["p.store"]
    assert (op.unit, op.occupancy_cycles, op.issue_cycles, op.registers) == ("l2", 512, 256, 0)
    assert [(i.name, i.registers, i.readers) for i in g.invariants] == [("v", 64, ("p.store",))]


def test_an_atomic_sum_is_slow() -> None:
    op = low(storing("tt.atomic_rmw", atomic_rmw_op="fadd", has_mask=False)).by_name["p.atomic"]
    assert op.occupancy_cycles == -(-64 * 128 * 100 // 196)  # 1.96 a cycle
    assert op.registers == 0


@pytest.mark.parametrize(("sem", "noted"), [("relaxed", False), ("acq_rel", True)])
def test_the_ordering_of_an_atomic_is_left_out_and_said_so(sem: str, noted: bool) -> None:
    g = low(storing("tt.atomic_rmw", atomic_rmw_op="fadd", has_mask=False, sem=sem))
    assert any("orders no other access" in note for note in g.notes) == noted


def test_a_computed_operand_goes_through_shared_memory() -> None:
    """The second operand of wgmma cannot come from registers."""
    b = Builder()
    b.argument("p", Type("f16", pointer=True))
    acc = tile("f32", 64, 128)
    b.constant("zero", acc, 0.0)
    b.stream("a", "p", "f16", 64, 64, 64)
    b.stream("b", "p", "f16", 64, 128, 64)
    b.carry("x", acc, "zero", "y")
    b.inside = True
    b.op("w", tile("f16", 64, 128), "math.absf", "b")
    b.op("y", acc, "tt.dot", "a", "w", "x")
    g = low(b)
    store = g.by_name["w.smem_store"]
    assert (store.unit, store.occupancy_cycles, store.smem_bytes) == ("lsu", 128, 16384)
    assert store.latency_cycles == 128 + 19 + 9
    assert edge(g, "w.smem_store", "y").kind == "data"


def test_a_constant_operand_is_put_in_shared_memory_once() -> None:
    b = Builder()
    b.argument("p", Type("f16", pointer=True))
    acc = tile("f32", 64, 64)
    b.constant("zero", acc, 0.0)
    b.constant("ones", tile("f16", 64, 64), 1.0)
    b.stream("a", "p", "f16", 64, 64, 64)
    b.carry("x", acc, "zero", "y")
    b.inside = True
    b.op("y", acc, "tt.dot", "a", "ones", "x")
    g = low(b)
    assert [op.name for op in g.ops] == ["a", "y"]
    assert {i.name: i.smem_bytes for i in g.invariants} == {"ones": 8192, "y.accumulator": 0}


@pytest.mark.parametrize(("transposed", "place"), [(False, "registers"), (True, "shared memory")])
def test_a_first_operand_stays_in_registers_unless_it_is_transposed(transposed: bool, place: str) -> None:
    b = Builder()
    b.argument("p", Type("f16", pointer=True))
    acc = tile("f32", 64, 64)
    b.constant("zero", acc, 0.0)
    b.stream("a", "p", "f16", 64, 64, 64)
    b.stream("b", "p", "f16", 64, 64, 64)
    b.carry("x", acc, "zero", "y")
    b.inside = True
    b.op("w", tile("f16", 64, 64), "math.absf", "a")
    b.op("t", tile("f16", 64, 64), "tt.trans", "w", order=(1, 0))
    b.op("y", acc, "tt.dot", "t" if transposed else "w", "b", "x")
    assert f"A from {place}" in low(b).by_name["y"].detail


def test_a_read_sum_in_tensor_memory_is_read_before_it_changes() -> None:
    b = Builder()
    acc = tile("f32", 128, 64)
    b.argument("p", Type("f16", pointer=True))
    b.argument("out", Type("f32", pointer=True))
    b.constant("zero", acc, 0.0)
    b.stream("a", "p", "f16", 128, 64, 64)
    b.stream("b", "p", "f16", 64, 64, 64)
    start = b.matrix("o", "out", "f32", 128, 64)
    b.carry("x", acc, "zero", "y")
    b.inside = True
    b.op("y", acc, "tt.dot", "a", "b", "x")
    b.op("", None, "tt.store", start, "x", has_mask=False)
    g = low(b, "b200")
    order = edge(g, "y.tmem_load", "y")
    assert (order.kind, order.distance) == ("order", 0)
    assert "overwrites" in order.reason
    assert [e.in_place for e in g.edges if (e.source, e.target) == ("y", "y")] == [True]


def test_a_predicated_operation_depends_on_its_condition() -> None:
    b = carrying()
    b.op("row", tile("f32", 128), "tt.reduce", "x", axis=0, combiner=["arith.addf"])
    b.op("m", Type("f32"), "tt.reduce", "row", axis=0, combiner=["arith.addf"])
    b.op("big", Type("i1"), "arith.cmpf", "m", "m", predicate="ogt")
    b.op("y", tile("f32", 64, 128), "arith.addf", "x", "other")
    b.body[-1] = replace(b.body[-1], predicates=(Predicate("big"),))
    assert edge(low(b), "m", "y").kind == "data"


def test_a_barrier_keeps_accesses_on_their_side() -> None:
    b = storing("tt.store", has_mask=False)
    b.op("", None, "gpu.barrier")
    g = low(b)
    found = {(e.source, e.target, e.distance) for e in g.edges}
    assert found == {("p.store", "barrier", 0), ("barrier", "p.store", 1)}


def test_a_print_is_left_out_and_said_so() -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "arith.addf", "x", "other")
    b.op("", None, "tt.print", "y")
    g = low(b)
    assert len(g.ops) == 1
    assert any("`tt.print`" in note for note in g.notes)


def test_an_estimated_cost_is_said_to_be_one() -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "tt.extern_elementwise", "x", pure=True)
    assert any("is an estimate" in note for note in low(b).notes)


@pytest.mark.parametrize("opcode", ["tt.unheard_of", "ttx.magic"])
def test_an_unknown_operation_is_refused_with_its_place(opcode: str) -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), opcode, "x")
    with pytest.raises(UserError, match=rf"kernel\.py:1:1: error: no rule lowers `{opcode}` \[unknown-opcode\]"):
        low(b)


def test_an_unknown_combiner_is_refused() -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "tt.scan", "x", axis=1, combiner=["tt.unheard_of"])
    with pytest.raises(UserError, match=r"no rule lowers `tt\.unheard_of` in a tt\.scan"):
        low(b)


def test_an_unknown_architecture_is_refused() -> None:
    kernel, loop = gemm()
    machine = replace(load_machine("h100"), architecture="sm_70")
    with pytest.raises(UserError, match=r"no rules for sm_70.*unknown-architecture"):
        lower(kernel, loop, machine)


def test_a_loop_that_the_frontend_refused_is_refused() -> None:
    kernel, loop = gemm()
    refused = replace(loop, refusal="it calls `f`")
    with pytest.raises(UserError, match=r"it calls `f`.*loop-refused"):
        lower(kernel, refused, load_machine("h100"))


def test_a_missing_rate_is_named() -> None:
    kernel, loop = gemm()
    machine = load_machine("h100")
    rates = {k: v for k, v in machine.rates.items() if k != "wgmma_pipeline_cycles"}
    with pytest.raises(UserError, match="states no rate `wgmma_pipeline_cycles`"):
        lower(kernel, loop, replace(machine, rates=rates))


def test_handing_registers_over_costs_a_trip_through_shared_memory() -> None:
    b = carrying()
    b.op("y", tile("f32", 64, 128), "arith.addf", "x", "other")
    head_start = 68 - (4 + 16)  # its reader may start on the first of four strips, one in another group may not
    assert low(b, "h100").by_name["y"].handoff_cycles == 47 + 61 + 16 * 32 + head_start
    assert low(b, "a100").by_name["y"].handoff_cycles == 0


def test_a_rotated_value_is_two_iterations_old() -> None:
    b = carrying()
    b.carry("before", tile("f32", 64, 128), "start", "x")
    b.op("y", tile("f32", 64, 128), "arith.addf", "x", "before")
    g = low(b)
    assert sorted(e.distance for e in g.edges) == [1, 2]
