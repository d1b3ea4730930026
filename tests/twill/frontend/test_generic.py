"""The reader of MLIR's generic form: attributes, types, places, and faults with their line and column."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from backends.compilers.triton_library import is_library
from ir.diagnostics import Location, UserError
from ir.types import Memory, Type
from twill.frontend.attributes import Dense, Opaque, Symbol, kernel_attributes, number
from twill.frontend.generic import Frame, Node, read_generic
from twill.frontend.places import name, names, place
from twill.frontend.types import read_type


def module(text: str, after: str = "") -> str:
    return f'"builtin.module"() ({{\n{text}\n}}) : () -> ()\n{after}'


def node(text: str, after: str = "") -> Node:
    (block,) = read_generic(module(text, after), "a.ttir").regions[0]
    return block.nodes[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7 : i32", 7),
        ("-7", -7),
        ("1.5 : f32", 1.5),
        ("0xFF800000 : f32", -math.inf),
        ("0x7C00 : f16", math.inf),
        ("true", True),
        ("unit", True),
        ('"a\\22b" : !llvm', 'a"b'),
        ("[1, 2 : i32]", (1, 2)),
        ("{x = 1, y}", {"x": 1, "y": True}),
        ("@f::@g", Symbol("f::g")),
        ("array<i32: 1, 0>", Dense("array", "[ 1, 0]", "i32")),
        ("array<i32>", Dense("array", "[]", "i32")),
        ("dense<[[1], [2]]> : tensor<2x1xi32>", Dense("dense", "[[1], [2]]", "tensor<2x1xi32>")),
        ("#arith.fastmath<fast>", Opaque("#arith.fastmath<fast>")),
        ("#alias", Opaque("#ttg.blocked<{order = [1, 0]}>")),
        ("tensor<4x!tt.ptr<f16>, #alias>", Opaque("tensor<4x!tt.ptr<f16>, #alias>")),
        ("(i32, f32) -> tensor<4xi32>", Opaque("(i32, f32) -> tensor<4xi32>")),
        ("!tt.ptr<f16>", Opaque("!tt.ptr<f16>")),
        ("loc(unknown)", Opaque("loc(unknown)")),
    ],
)
def test_attribute_values(text: str, value: Any) -> None:
    read = node(f'"x"() <{{a = {text}}}> {{b = {text}}} : () -> ()', "#alias = #ttg.blocked<{order = [1, 0]}>\n")
    assert read.attributes == {"a": value, "b": value}


def test_results_operands_successors_and_regions() -> None:
    regions = '({\n^bb0(%i: i32):\n "y"(%i) : (i32) -> ()\n}, {\n})'
    read = node(f'%r:2, %s = "x"(%a, %b#1)[^bb1] {regions} : (i1, i1) -> (i1, f32, i8)')
    assert read.results == ("%r#0", "%r#1", "%s") and read.result_types == ("i1", "f32", "i8")
    assert read.operands == ("%a", "%b#1") and read.successors == ("^bb1",)
    (block,), empty = read.regions
    assert block.arguments[0].name == "%i" and block.nodes[0].opcode == "y" and empty == ()


@pytest.mark.parametrize(
    ("location", "frames"),
    [
        ("unknown", ()),
        ('"a.py":3:4', [((), "a.py:3:4")]),
        ('"a.py":3:4 to :9', [((), "a.py:3:4")]),
        ('"a.py":3:4 to 5:9', [((), "a.py:3:4")]),
        ('"acc"("a.py":3:4)', [(("acc",), "a.py:3:4")]),
        ('"b"("a"("a.py":3:4))', [(("b", "a"), "a.py:3:4")]),
        ('callsite("x"("f.py":1:2) at callsite("g.py":3:4 at "y"("h.py":5:6)))',
         [(("x",), "f.py:1:2"), ((), "g.py:3:4"), (("y",), "h.py:5:6")]),
        ('fused<"p">[unknown, "a.py":3:4]', [((), "a.py:3:4")]),
        ("#loc1", [((), "z.py:9:9")]),
        ('"v"(#loc1)', [(("v",), "z.py:9:9")]),
    ],
)  # fmt: skip
def test_places(location: str, frames: list[tuple[tuple[str, ...], str]]) -> None:
    read = node(f'"x"() : () -> () loc({location})', '#loc1 = loc("z.py":9:9)\n')
    assert [(f.names, str(f.location)) for f in read.frames] == list(frames)


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ('"x"() () -> ()', 2, 10, "expected `:`"),
        ('"x"(%a : () -> ()', 2, 8, "expected `)`"),
        ('"x"() {a = } : () -> ()', 2, 12, "expected an attribute"),
        ('"x"() : () -> () loc(#nowhere)', 2, 30, "expected a known location, not #nowhere"),
        ('"x"() : (tensor<4xi32) -> ()', 2, 16, "expected the closing bracket of this one"),
        ("x() : () -> ()", 2, 1, "expected a result"),
    ],
)
def test_faults_have_line_and_column(text: str, line: int, column: int, expected: str) -> None:
    with pytest.raises(UserError) as raised:
        node(text)
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.rule == "generic-syntax" and expected in diagnostic.message
    assert diagnostic.location == Location("a.ttir", line, column)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("f32", Type("f32")),
        ("!tt.ptr<bf16, 1>", Type("bf16", pointer=True)),
        ("!tt.ptr<!tt.ptr<f16>>", Type("i64", pointer=True)),
        ("tensor<8xi1>", Type("i1", (8,))),
        ("tensor<128x64xf8E4M3FN, #ttg.slice<{dim = 0, parent = #blocked}>>", Type("f8E4M3FN", (128, 64))),
        ("tensor<4x!tt.ptr<f16>, #blocked>", Type("f16", (4,), pointer=True)),
        ("!tt.tensordesc<128x64xf16, #shared>", Type("f16", (128, 64), descriptor=True)),
        ("!tt.tensordesc<tensor<1x64xf16>>", Type("f16", (1, 64), descriptor=True)),
        ("!ttg.memdesc<3x1xi64, #shared1, #smem, mutable>", Type("i64", (3, 1), memory=Memory.SHARED)),
        ("!ttg.memdesc<128x128xf32, #tmem, #ttng.tensor_memory, mutable, 1x128x128>",
         Type("f32", (128, 128), memory=Memory.TENSOR)),
        ("!ttg.async.token", Type("token")),
        ("i128", Type("i128")),
    ],
)  # fmt: skip
def test_types(text: str, type_: Type) -> None:
    assert read_type(text) == type_


def test_attributes_that_a_kernel_keeps() -> None:
    raw = {
        "predicate": 2,
        "fastmath": Opaque("#arith.fastmath<none>"),
        "overflowFlags": Opaque("#arith.overflow<nsw>"),
        "value": Dense("dense", "0x7FC00000", "tensor<4xf32>"),
        "list": Dense("dense", "[[1, 2], [3, 4]]", "tensor<2x2xi32>"),
        "floats": Dense("dense", "[1.0, 2.0]", "tensor<2xf32>"),
        "callee": Symbol("f"),
        "empty": (),
        "nested": {"a": 1},
        "cachePolicy": Opaque("#tt.cache_policy<cache_modifier = none, eviction_policy = evict_last>"),
    }
    kept = kernel_attributes("arith.cmpi", raw)
    assert math.isnan(kept.pop("value"))  # type: ignore[arg-type]
    assert kept == {
        "predicate": "slt", "overflowFlags": "nsw", "list": (1, 2, 3, 4), "floats": "[1.0, 2.0]", "callee": "f",
        "evict": "evict_last",
    }  # fmt: skip
    assert kernel_attributes("arith.cmpf", {"predicate": 2}) == {"predicate": "ogt"}
    # A number that the enumeration does not have is kept as it is.
    assert kernel_attributes("tt.dot", {"inputPrecision": 99}) == {"inputPrecision": 99}


def test_floats_of_every_width_from_their_bits() -> None:
    assert number("0xFF80", "bf16") == -math.inf
    assert number("0x7FF0000000000000", "f64") == math.inf
    assert math.isnan(number("0x7F", "f8E4M3FN"))


def test_places_see_through_tritons_library_and_only_that() -> None:
    import triton

    library = str(Path(triton.__file__).parent / "language" / "standard.py")
    inner, user = Frame(("s",), Location(library, 1, 1)), Frame(("acc", "x"), Location("triton/mine.py", 2, 2))
    assert is_library(library) and not is_library("triton/mine.py")
    assert place((inner, user)) == Location("triton/mine.py", 2, 2)
    assert names((inner, user)) == ("acc", "x") and name((inner,)) == ""
    assert place((inner,)) == Location(library, 1, 1) and place(()) is None
