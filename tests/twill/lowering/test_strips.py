"""Tiles that pass in strips take the registers of 32 columns; all others those of the whole tile."""

from __future__ import annotations

import pytest

from backends.machines import load_machine
from ir.graph import DependenceGraph
from ir.types import Memory, Type
from tests.twill.lowering.loops import Builder, tile
from twill.lowering import lower
from twill.lowering.draft import DraftOp
from twill.lowering.strips import lead_cycles


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


def made(name: str, opcode: str, cycles: float, shape: tuple[int, ...] = (64, 128), fuses: bool = True) -> DraftOp:
    return DraftOp(name, opcode, "alu", cycles, 4, result=tile("f32", *shape), memory=Memory.REGISTERS, fuses=fuses)


# Of 128 columns a strip is a quarter: the reader starts after the first, and ends one of its own strips after the last.
@pytest.mark.parametrize(
    ("source_cycles", "target_cycles", "lead"), [(64, 64, 4 + 16), (64, 512, 4 + 16), (512, 64, 4 + 512 - 64 + 16)]
)
def test_a_reader_of_strips_starts_after_the_first_and_ends_after_the_last(
    source_cycles: float, target_cycles: float, lead: int
) -> None:
    source, target = made("u", "arith.addf", source_cycles), made("v", "math.exp2", target_cycles)
    assert lead_cycles(source, target) == lead
    assert lead + target.occupancy_cycles >= source.latency_cycles


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (made("u", "tt.dot", 512, fuses=False), made("v", "arith.addf", 64)),
        (made("u", "arith.addf", 64), made("v", "tt.dot", 512, fuses=False)),
        (made("u", "arith.addf", 1, (64,)), made("v", "arith.addf", 64)),
        (made("u", "tt.reduce", 64, (64,), fuses=False), made("v", "arith.addf", 1, (64,))),
    ],
    ids=["of a product", "by a product", "of a vector", "of a reduction"],
)
def test_a_reader_of_the_whole_waits_for_it(source: DraftOp, target: DraftOp) -> None:
    assert lead_cycles(source, target) is None


def test_a_reduction_takes_strips() -> None:
    assert lead_cycles(made("u", "arith.addf", 64), made("v", "tt.reduce", 84, (64,), fuses=False)) == 4 + 16
