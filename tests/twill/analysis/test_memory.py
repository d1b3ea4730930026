"""Memory dependences: each answer on a loop where it is known."""

from __future__ import annotations

import pytest

from ir.types import Type
from tests.twill.lowering.loops import Builder, pointers, tile
from twill.analysis.access import accesses
from twill.analysis.affine import Affine
from twill.analysis.memory import MemoryFacts, memory_dependences
from twill.analysis.scope import Scope


def facts(builder: Builder, assume: bool = True) -> MemoryFacts:
    scope = Scope(*builder.kernel())
    return memory_dependences(scope, accesses(scope, Affine(scope)), assume)


def vector(b: Builder, name: str, base: str, offset: int, step: int, width: int = 64) -> str:
    """Pointers base + offset + step * iteration + 0 .. width - 1."""
    b.inside = False
    b.op(f"{name}.r", tile("i32", width), "tt.make_range", start=offset, end=offset + width)
    b.op(f"{name}.p", pointers("f32", width), "tt.splat", base)
    b.op(f"{name}.0", pointers("f32", width), "tt.addptr", f"{name}.p", f"{name}.r")
    b.constant(f"{name}.step", tile("i32", width), step)
    b.carry(f"{name}.in", pointers("f32", width), f"{name}.0", f"{name}.next")
    b.inside = True
    b.op(f"{name}.next", pointers("f32", width), "tt.addptr", f"{name}.in", f"{name}.step")
    return f"{name}.in"


def update(load_at: int, store_at: int, step: int, bases: tuple[str, str] = ("x", "x"), width: int = 64) -> Builder:
    """x = load(base + load_at); store(base + store_at, x)."""
    b = Builder()
    for base in dict.fromkeys(bases):
        b.argument(base, Type("f32", pointer=True))
    source = vector(b, "s", bases[0], load_at, step, width)
    target = vector(b, "t", bases[1], store_at, step, width)
    b.op("v", tile("f32", width), "tt.load", source, has_mask=False)
    b.op("", None, "tt.store", target, "v", has_mask=False)
    return b


def found(builder: Builder, assume: bool = True) -> set[tuple[str, str, int, bool]]:
    return {(d.source.name, d.target.name, d.distance, d.assumed) for d in facts(builder, assume).dependences}


def test_tiles_that_move_on_meet_only_in_their_own_iteration() -> None:
    assert found(update(0, 0, step=64)) == {("v", "tt.store", 0, False)}


def test_tiles_that_overlap_the_next_ones() -> None:
    assert found(update(0, 0, step=32)) == {("v", "tt.store", 0, False), ("tt.store", "v", 1, False)}


def test_the_same_tile_every_time() -> None:
    assert found(update(0, 0, step=0)) == {("v", "tt.store", 0, False), ("tt.store", "v", 1, False)}


@pytest.mark.parametrize("behind", [1, 2, 5])
def test_what_is_read_was_written_some_iterations_ago(behind: int) -> None:
    """Reads x[i], writes x[i + behind]."""
    assert found(update(0, 64 * behind, step=64)) == {("tt.store", "v", behind, False)}


@pytest.mark.parametrize("ahead", [1, 3])
def test_what_is_written_was_read_some_iterations_ago(ahead: int) -> None:
    assert found(update(64 * ahead, 0, step=64)) == {("v", "tt.store", ahead, False)}


def test_disjoint_halves_never_meet() -> None:
    b = update(0, 1 << 20, step=0)
    assert found(b) == set()


def test_different_arguments_are_assumed_distinct_and_it_is_said() -> None:
    b = update(0, 0, step=64, bases=("x", "y"))
    assert found(b) == set()
    assert facts(b).assumptions == ("assumed: `x` and `y` do not overlap",)


def test_without_the_assumption_both_orders_are_kept() -> None:
    b = update(0, 0, step=64, bases=("x", "y"))
    assert found(b, assume=False) == {("v", "tt.store", 0, True), ("tt.store", "v", 1, True)}
    assert facts(b, assume=False).assumptions == ()


def test_reasons_name_the_lines() -> None:
    b = update(0, 0, step=64)
    (dependence,) = facts(b).dependences
    load, store = (op.location.line for op in b.body if op.opcode in ("tt.load", "tt.store") and op.location)
    assert f"line {load} reads and line {store} writes" in dependence.reason


def test_an_unknown_address_keeps_both_orders() -> None:
    b = Builder()
    b.argument("x", Type("f32", pointer=True))
    b.argument("table", tile("i32", 64))
    source = vector(b, "s", "x", 0, 64)
    b.op("p", pointers("f32", 64), "tt.addptr", source, "table")
    b.op("v", tile("f32", 64), "tt.load", source, has_mask=False)
    b.op("", None, "tt.store", "p", "v", has_mask=False)
    assert found(b) == {("v", "tt.store", 0, True), ("tt.store", "v", 1, True)}


def test_two_reads_are_free() -> None:
    b = Builder()
    b.argument("x", Type("f32", pointer=True))
    source = vector(b, "s", "x", 0, 0)
    b.op("u", tile("f32", 64), "tt.load", source, has_mask=False)
    b.op("v", tile("f32", 64), "tt.load", source, has_mask=False)
    assert found(b) == set()


def atomics(kinds: tuple[str, str], used: bool = False) -> Builder:
    b = Builder()
    b.argument("x", Type("f32", pointer=True))
    b.argument("value", tile("f32", 64))
    target = vector(b, "s", "x", 0, 0)
    for number, kind in enumerate(kinds):
        b.op(f"old{number}", tile("f32", 64), "tt.atomic_rmw", target, "value", atomic_rmw_op=kind, has_mask=False)
    if used:
        b.op("sum", tile("f32", 64), "arith.addf", "old0", "old0")
    return b


def test_atomic_sums_change_places() -> None:
    assert found(atomics(("fadd", "fadd"))) == set()


@pytest.mark.parametrize("kinds", [("fadd", "max"), ("exch", "exch")])
def test_other_atomics_do_not(kinds: tuple[str, str]) -> None:
    assert found(atomics(kinds)) == {("old0", "old1", 0, False), ("old1", "old0", 1, False)}


def test_atomics_whose_old_value_is_used_do_not() -> None:
    assert len(found(atomics(("fadd", "fadd"), used=True))) == 2


def test_rows_of_unknown_stride_do_not_meet_columns_further_on() -> None:
    b = Builder()
    b.argument("x", Type("f32", pointer=True))
    b.argument("stride", Type("i32"))
    b.stream("v", "x", "f32", 16, 32, step=32, stride="stride")
    b.inside = True
    b.op("", None, "tt.store", "v.ptrs", "v", has_mask=False)
    assert found(b) == {("v", "tt.store", 0, False)}
