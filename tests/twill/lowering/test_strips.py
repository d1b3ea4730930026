"""Tiles that pass in strips take the registers of 32 columns; all others those of the whole tile."""

from __future__ import annotations

from backends.machines import load_machine
from ir.graph import DependenceGraph
from ir.types import Type
from tests.twill.lowering.loops import Builder, tile
from twill.lowering import lower


def rescaled(read_twice: bool) -> DependenceGraph:
    """acc = (acc * factor) + a @ b on Blackwell: load, multiply, store."""
    b = Builder()
    acc = tile("f32", 128, 128)
    b.argument("p", Type("f16", pointer=True))
    b.argument("factor", acc)
    b.constant("zero", acc, 0.0)
    b.stream("a", "p", "f16", 128, 64, 64)
    b.stream("b", "p", "f16", 64, 128, 64)
    b.carry("x", acc, "zero", "y")
    if read_twice:
        b.carry("last", acc, "zero", "m")
    b.inside = True
    b.op("m", acc, "arith.mulf", "x", "factor")
    if read_twice:
        b.op("both", acc, "arith.addf", "last", "last")
    b.op("y", acc, "tt.dot", "a", "b", "m")
    return lower(*b.kernel(), load_machine("b200"))


def test_a_rescaled_sum_passes_in_strips() -> None:
    g = rescaled(read_twice=False)
    assert [g.by_name[name].registers for name in ("y.tmem_load", "m")] == [32, 32]
    assert g.by_name["m.tmem_store"].tmem_columns == 128


def test_a_tile_with_two_readers_stands_as_a_whole() -> None:
    g = rescaled(read_twice=True)
    assert g.by_name["m"].registers == 128
    assert g.by_name["y.tmem_load"].registers == 128
