"""Sub-tiling: what is copied, what is shared, and each reason to refuse."""

from __future__ import annotations

import pytest

from backends.machines import load_machine
from ir.diagnostics import UserError
from ir.types import Type
from tests.twill.lowering.loops import Builder, gemm, pointers, tile
from twill.lowering import legal_subtiles, lower


def vectors(*shape: int) -> Builder:
    b = Builder()
    type_ = tile("f32", *shape)
    b.argument("start", type_)
    b.argument("other", type_)
    b.carry("x", type_, "start", "y")
    b.inside = True
    return b


def refused(builder: Builder, copies: int = 2, machine: str = "h100") -> str:
    kernel, loop = builder.kernel()
    with pytest.raises(UserError) as caught:
        lower(kernel, loop, load_machine(machine), copies)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "subtile-refused"
    assert diagnostic.location is not None
    assert copies not in legal_subtiles(kernel, loop, load_machine(machine))
    return diagnostic.message


def test_rows_of_a_product_are_copied_and_its_second_operand_is_shared() -> None:
    g = lower(*gemm(m=256), load_machine("h100"), 2)
    assert [op.name for op in g.ops] == ["a[0]", "a[1]", "b", "acc[0]", "acc[1]"]
    assert g.subtiles == 2
    assert g.by_name["a[0]"].smem_bytes == 16384  # 128 rows of 64
    assert {(e.source, e.target) for e in g.edges if e.source == "b"} == {("b", "acc[0]"), ("b", "acc[1]")}
    whole = lower(*gemm(m=256), load_machine("h100"))
    assert sum(o.occupancy_cycles for o in g.ops if o.unit == "tensor") == whole.by_name["acc"].occupancy_cycles


@pytest.mark.parametrize(
    ("machine", "m", "legal"),
    [
        ("h100", 256, (1, 2, 4)),
        ("h100", 128, (1, 2)),
        ("h100", 192, (1, 3)),
        ("h100", 64, (1,)),
        ("b200", 128, (1, 2)),
        ("b200", 256, (1, 2, 4)),
        ("a100", 64, (1, 2, 4)),
        ("a100", 16, (1,)),
    ],
)
def test_pieces_are_tiles_of_the_tensor_core(machine: str, m: int, legal: tuple[int, ...]) -> None:
    assert legal_subtiles(*gemm(m=m), load_machine(machine)) == legal


def test_a_piece_that_is_too_small_is_refused_with_the_numbers() -> None:
    with pytest.raises(UserError, match=r"a piece of `acc` has 32 rows, no multiple of the tensor core's 64"):
        lower(*gemm(m=128), load_machine("h100"), 4)


def test_rows_must_divide() -> None:
    assert "64 rows of `x` are no multiple of 3" in refused(elementwise(), 3)


def elementwise() -> Builder:
    b = vectors(64, 128)
    b.op("y", tile("f32", 64, 128), "arith.addf", "x", "other")
    return b


def test_elementwise_tiles_split() -> None:
    g = lower(*elementwise().kernel(), load_machine("h100"), 4)
    assert [(op.name, op.occupancy_cycles) for op in g.ops] == [(f"y[{i}]", 16) for i in range(4)]


def test_a_reduction_along_the_rows_forbids_it() -> None:
    b = vectors(64, 128)
    b.op("r", tile("f32", 128), "tt.reduce", "x", axis=0, combiner=["arith.addf"])
    b.op("rx", tile("f32", 1, 128), "tt.expand_dims", "r", axis=0)
    b.op("rb", tile("f32", 64, 128), "tt.broadcast", "rx")
    b.op("y", tile("f32", 64, 128), "arith.subf", "x", "rb")
    assert "a reduction runs along it" in refused(b)


def test_a_reduction_along_the_columns_does_not() -> None:
    b = vectors(64, 128)
    b.op("r", tile("f32", 64), "tt.reduce", "x", axis=1, combiner=["arith.addf"])
    b.op("rx", tile("f32", 64, 1), "tt.expand_dims", "r", axis=1)
    b.op("rb", tile("f32", 64, 128), "tt.broadcast", "rx")
    b.op("y", tile("f32", 64, 128), "arith.subf", "x", "rb")
    g = lower(*b.kernel(), load_machine("h100"), 2)
    assert {op.name for op in g.ops} == {"r[0]", "r[1]", "y[0]", "y[1]"}
    assert not any(e.source[-3:] != e.target[-3:] for e in g.edges)


def test_a_scan_along_the_rows_forbids_it() -> None:
    b = vectors(64, 128)
    b.op("y", tile("f32", 64, 128), "tt.scan", "x", axis=0, combiner=["arith.addf"])
    assert "a scan runs along it" in refused(b)


def test_a_product_that_sums_over_the_rows_forbids_it() -> None:
    b = Builder()
    acc = tile("f32", 128, 128)
    b.argument("p", Type("f16", pointer=True))
    b.constant("zero", acc, 0.0)
    b.stream("a", "p", "f16", 128, 128, 128)
    b.carry("x", acc, "zero", "y")
    b.inside = True
    b.op("h", tile("f16", 128, 128), "arith.truncf", "x")
    b.op("y", acc, "tt.dot", "a", "h", "x")
    assert "a product sums over it" in refused(b)


def test_a_square_of_one_operand_would_split_both_axes() -> None:
    b = Builder()
    acc = tile("f32", 128, 128)
    b.argument("p", Type("f16", pointer=True))
    b.constant("zero", acc, 0.0)
    b.stream("a", "p", "f16", 128, 64, 64)
    b.carry("x", acc, "zero", "y")
    b.inside = True
    b.op("t", tile("f16", 64, 128), "tt.trans", "a", order=(1, 0))
    b.op("y", acc, "tt.dot", "a", "t", "x")
    assert "both axes of `y` would be split" in refused(b)


@pytest.mark.parametrize(("shape", "legal"), [((64, 8, 16), True), ((8, 8, 128), False), ((1, 64, 128), True)])
def test_reshapes(shape: tuple[int, ...], legal: bool) -> None:
    b = vectors(64, 128)
    b.op("v", tile("f32", *shape), "tt.reshape", "x")
    b.op("w", tile("f32", *shape), "math.absf", "v")
    b.op("y", tile("f32", 64, 128), "tt.reshape", "w")
    if legal:
        assert len(lower(*b.kernel(), load_machine("h100"), 2).ops) == 2
    else:
        assert "mixes its elements" in refused(b)


@pytest.mark.parametrize("opcode", ["tt.gather", "tt.cat"])
def test_operations_that_mix_elements_forbid_it(opcode: str) -> None:
    b = vectors(64, 128)
    b.op("y", tile("f32", 64, 128), opcode, "x", "other")
    assert "mixes its elements" in refused(b)


def test_a_loop_without_a_carried_tile_has_nothing_to_split() -> None:
    b = Builder()
    b.argument("p", Type("f32", pointer=True))
    b.stream("v", "p", "f32", 64, 64, 64)
    b.inside = True
    b.op("", None, "tt.store", "v.ptrs", "v", has_mask=False)
    assert "the loop carries no tile" in refused(b)


def test_one_index_range_may_serve_rows_and_columns() -> None:
    """Triton merges equal ranges: rows must not be confused with columns through them."""
    b = Builder()
    acc = tile("f32", 128, 128)
    for name in ("p", "q"):
        b.argument(name, Type("f16", pointer=True))
    b.constant("zero", acc, 0.0)
    b.op("r", tile("i32", 128), "tt.make_range", start=0, end=128)
    b.op("rows", tile("i32", 128, 1), "tt.expand_dims", "r", axis=1)
    b.op("columns", tile("i32", 1, 128), "tt.expand_dims", "r", axis=0)
    b.op("rb", tile("i32", 128, 128), "tt.broadcast", "rows")
    b.op("cb", tile("i32", 128, 128), "tt.broadcast", "columns")
    b.constant("width", tile("i32", 128, 128), 4096)
    b.op("rw", tile("i32", 128, 128), "arith.muli", "rb", "width")
    b.op("at", tile("i32", 128, 128), "arith.addi", "rw", "cb")
    for name in ("p", "q"):
        b.op(f"{name}.s", pointers("f16", 128, 128), "tt.splat", name)
        b.op(f"{name}.0", pointers("f16", 128, 128), "tt.addptr", f"{name}.s", "at")
        b.carry(f"{name}.in", pointers("f16", 128, 128), f"{name}.0", f"{name}.next")
    b.carry("x", acc, "zero", "y")
    b.inside = True
    for name in ("p", "q"):
        b.op(f"{name}.next", pointers("f16", 128, 128), "tt.addptr", f"{name}.in", "width")
        b.op(f"{name}.t", tile("f16", 128, 128), "tt.load", f"{name}.in", has_mask=False)
    b.op("y", acc, "tt.dot", "p.t", "q.t", "x")
    g = lower(*b.kernel(), load_machine("h100"), 2)
    assert {op.name for op in g.ops} == {"p.t[0]", "p.t[1]", "q.t", "y[0]", "y[1]"}
