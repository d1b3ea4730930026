"""Addresses and accesses of hand-made loops: strides, steps, what is dense, what is a bounds mask."""

from __future__ import annotations

import pytest

from ir.types import Type
from tests.twill.lowering.loops import Builder, pointers, tile
from twill.analysis.access import Access, Effect, accesses
from twill.analysis.affine import Affine
from twill.analysis.polynomial import Polynomial, Symbol
from twill.analysis.scope import Scope


def only(builder: Builder) -> Access:
    scope = Scope(*builder.kernel())
    (access,) = accesses(scope, Affine(scope))
    return access


def with_base(element: str = "f16") -> Builder:
    b = Builder()
    b.argument("x", Type(element, pointer=True))
    b.argument("stride", Type("i32"))
    b.argument("bound", Type("i32"))
    return b


def test_row_major_tile() -> None:
    b = with_base()
    b.stream("a", "x", "f16", 128, 64, step=64, stride=4096)
    access = only(b)
    assert access.effect is Effect.READ
    assert access.base == "x"
    assert [str(s) for s in access.strides] == ["4096", "1"]
    assert access.step("0") == Polynomial.number(64)
    assert access.contiguous_axis == 1
    assert access.is_dense


def test_symbolic_stride() -> None:
    b = with_base()
    b.stream("a", "x", "f16", 128, 64, step=64, stride="stride")
    access = only(b)
    assert access.strides[0] == Polynomial.of(Symbol("stride"))
    assert access.is_dense


def test_a_transposed_tile_is_contiguous_along_rows() -> None:
    b = with_base()
    start = b.matrix("p", "x", "f16", 32, 64)
    b.op("t", pointers("f16", 64, 32), "tt.trans", start, order=(1, 0))
    b.inside = True
    b.op("a", tile("f16", 64, 32), "tt.load", "t", has_mask=False)
    access = only(b)
    assert access.contiguous_axis == 0
    assert access.is_dense


@pytest.mark.parametrize("opcode", ["arith.remsi", "arith.divsi", "arith.xori"])
def test_wrapped_rows_are_not_dense_but_contiguous(opcode: str) -> None:
    b = with_base()
    b.op("r", tile("i32", 128), "tt.make_range", start=0, end=128)
    b.op("bounds", tile("i32", 128), "tt.splat", "bound")
    b.op("wrapped", tile("i32", 128), opcode, "r", "bounds")
    b.op("rx", tile("i32", 128, 1), "tt.expand_dims", "wrapped", axis=1)
    b.op("rb", tile("i32", 128, 64), "tt.broadcast", "rx")
    start = b.matrix("p", "x", "f16", 128, 64)
    b.inside = True
    b.op("q", pointers("f16", 128, 64), "tt.addptr", start, "rb")
    b.op("a", tile("f16", 128, 64), "tt.load", "q", has_mask=False)
    access = only(b)
    assert not access.is_dense
    assert access.contiguous_axis == 1
    assert access.can_copy_async


def test_a_row_read_for_every_row_is_not_dense() -> None:
    b = with_base()
    b.stream("a", "x", "f16", 128, 64, step=64, stride=0)
    assert not only(b).is_dense


def masked(opcode: str = "arith.cmpi", other: float = 0.0, loaded: bool = False) -> Access:
    b = with_base()
    start = b.matrix("p", "x", "f16", 128, 64)
    b.op("limit", tile("i32", 1, 64), "tt.splat", "bound")
    b.constant("zero", tile("f16", 128, 64), other)
    index = "p.cx"
    if loaded:
        b.argument("table", tile("i32", 1, 64))
        index = "table"
    b.op("inside", tile("i1", 1, 64), opcode, index, "limit", predicate="slt")
    b.op("mask", tile("i1", 128, 64), "tt.broadcast", "inside")
    b.inside = True
    b.op("a", tile("f16", 128, 64), "tt.load", start, "mask", "zero", has_mask=True, has_other=True)
    return only(b)


def test_a_bounds_mask_leaves_a_tile_dense() -> None:
    assert masked().is_dense


def test_any_other_mask_does_not() -> None:
    assert not masked(loaded=True).is_dense
    assert masked(loaded=True).can_copy_async


def test_only_zeros_can_be_filled_in() -> None:
    access = masked(other=float("-inf"))
    assert not access.is_dense
    assert not access.can_copy_async


def test_the_last_stride_of_a_descriptor_is_one() -> None:
    b = with_base()
    b.argument("d.stride.0", Type("i64"))
    b.argument("d.stride.1", Type("i64"))
    b.op("r", tile("i64", 64), "tt.make_range", start=0, end=64)
    b.op("s", tile("i64", 64), "tt.splat", "d.stride.1")
    b.op("rs", tile("i64", 64), "arith.muli", "r", "s")
    b.op("p", pointers("f16", 64), "tt.splat", "x")
    b.inside = True
    b.op("q", pointers("f16", 64), "tt.addptr", "p", "rs")
    b.op("a", tile("f16", 64), "tt.load", "q", has_mask=False)
    assert only(b).contiguous_axis == 0


def test_a_value_that_grows_by_itself_is_no_induction() -> None:
    b = with_base()
    b.carry("n", Type("i32"), "bound", "n.next")
    b.inside = True
    b.op("n.next", Type("i32"), "arith.addi", "n", "n")
    scope = Scope(*b.kernel())
    assert Affine(scope)("n") == Polynomial.of(Symbol("n"))


def test_invariant_operations_inside_the_loop_are_found() -> None:
    b = with_base()
    b.inside = True
    b.op("two", Type("i32"), "arith.addi", "bound", "stride")
    b.op("moving", Type("i32"), "arith.addi", "two", "i")
    scope = Scope(*b.kernel())
    assert scope.is_invariant("two")
    assert not scope.is_invariant("moving")
    assert not scope.is_invariant("i")
