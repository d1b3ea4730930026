"""Operands and statements: exact constants, negation, pairs, sinks, scopes, call sequences, places."""

import math

import pytest

from backends.ptx import parse_ptx
from backends.ptx.syntax import (
    Address,
    Function,
    Immediate,
    Instruction,
    Negated,
    Operand,
    Pair,
    Register,
    Symbol,
    Vector,
    registers,
)
from ir.diagnostics import Location
from tests.twill.frontend.ptx_text import kernel


def entry(statements: str) -> Function:
    return parse_ptx(kernel(statements), "k.ptx").entries[0]


def instructions(statements: str) -> list[Instruction]:
    return [s for s in entry(statements).statements if isinstance(s, Instruction)]


def operand(text: str) -> Operand:
    return instructions(f"mov.b32 %r1, {text};")[0].operands[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-1", -1), ("0x7fU", 127), ("010", 8), ("0b101", 5), ("0xFFFFFFFFFFFFFFFF", 2**64 - 1),
        ("(1 + 2 * 3)", 7), ("-(8 / -3)", 2), ("~0", -1), ("(7 % 4 << 2 | 1)", 13), ("(1 < 2 ? 10 : 20)", 10),
        ("!5", 0), ("WARP_SZ", 32), ("((.u64)-1)", 2**64 - 1), ("(3 >= 3 && 1 != 1 || 2 == 2)", 1),
        ("(0xFFFFFFFFFFFFFFFF + 1)", 0), ("2 * -3 - 4", -10), ("1 << 63", 2**63),
        ("8 - 2 - 1", 5), ("(6 ^ 3 & 2)", 4), ("(-7 % 3)", -1),
    ],
)  # fmt: skip
def test_integers_are_exact(text: str, value: int) -> None:
    assert operand(text) == Immediate(text, value)


@pytest.mark.parametrize(
    ("text", "bits", "kind", "real"),
    [
        ("0f3F800000", 0x3F800000, "f32", 1.0),
        ("-0f3F800000", 0xBF800000, "f32", -1.0),
        ("0d400921FB54442D18", 0x400921FB54442D18, "f64", math.pi),
        ("-0.0", 1 << 63, "f64", -0.0),
        ("1.5e2", 0x4062C00000000000, "f64", 150.0),
        ("0fFF800000", 0xFF800000, "f32", -math.inf),
    ],
)
def test_floating_point_literals_keep_their_bits(text: str, bits: int, kind: str, real: float) -> None:
    found = operand(text)
    assert found == Immediate(text, None, bits, kind)
    assert isinstance(found, Immediate)
    assert found.real == real


def test_a_quiet_nan_keeps_its_payload() -> None:
    found = operand("0f7FFFFFFF")
    assert isinstance(found, Immediate)
    assert found.bits == 0x7FFFFFFF
    assert found.real is not None
    assert math.isnan(found.real)


def test_negation_pairs_and_sinks() -> None:
    logic, elect, load, wait, _ = instructions(
        "and.pred %p1, %p2, !%p3; elect.sync _|%p4, -1; ld.global.v2.b32 {%r1, _}, [%rd1];"
        "setp.lt.and.s32 %p1|%p2, %r1, 4, !%p5;"
    )
    predicate = Register("%p3", "pred")
    assert logic.operands[2] == Negated(predicate)
    assert list(registers(logic.operands[2])) == [predicate]
    assert elect.operands == (Pair(Symbol("_"), Register("%p4", "pred")), Immediate("-1", -1))
    assert load.operands[0] == Vector((Register("%r1", "b32"), Symbol("_")))
    assert [o.is_sink for o in load.operands[0].items if isinstance(o, Symbol)] == [True]
    assert list(registers(wait.operands[0])) == [Register("%p1", "pred"), Register("%p2", "pred")]


def test_addresses_of_every_form() -> None:
    text = (
        "ld.b32 %r1, [%rd1]; ld.b32 %r1, [%rd1+-8]; ld.b32 %r1, [buffer+(4*2)]; ld.b32 %r1, [ %rd1 + 0 ];"
        "ld.b32 %r1, [16+4]; prefetch.tensormap [%rd1, {%r2, %r3}]; cp.async.cg.shared.global [%r1], [%rd1], 16;"
    )
    found = [next(o for o in i.operands if isinstance(o, Address)) for i in instructions(text)[:-1]]
    pointer = Register("%rd1", "b64")
    assert found == [
        Address(pointer),
        Address(pointer, -8),
        Address(Symbol("buffer"), 8),
        Address(pointer),
        Address(Immediate("16+4", 20)),
        Address(pointer, 0, (Vector((Register("%r2", "b32"), Register("%r3", "b32"))),)),
        Address(Register("%r1", "b32")),
    ]


def test_call_sequences_have_variables_of_their_own() -> None:
    call = (
        "{ .param .b64 param0; st.param.b64 [param0], %rd1; .param .align 4 .b8 retval0[8];\n"
        "proto : .callprototype (.param .b32 _) _ (.param .b64 _);\n"
        "call.uni (retval0), vprintf, (param0, %r1), proto; ld.param.b32 %r2, [retval0+4]; }"
    )
    function = entry(call + call)
    assert [(v.name, v.space, v.bytes) for v in function.variables] == [
        ("buffer", "shared", 1024),
        ("param0.1", "param", 8),
        ("retval0.1", "param", 8),
        ("param0.2", "param", 8),
        ("retval0.2", "param", 8),
    ]
    second = [s for s in function.statements if isinstance(s, Instruction)][3:6]
    assert second[0].operands[0] == Address(Symbol("param0.2"))
    assert second[1].operands == (
        Vector((Symbol("retval0.2"),)),
        Symbol("vprintf"),
        Vector((Symbol("param0.2"), Register("%r1", "b32"))),
        Symbol("proto.2"),
    )
    assert second[2].operands[1] == Address(Symbol("retval0.2"), 4)


def test_call_targets() -> None:
    assert entry("table: .calltargets f, g; call _, %rd1, (%r1), table;").targets == {"table": ("f", "g")}


def test_vector_registers_are_their_parts() -> None:
    load, move, _ = instructions(".reg .v2 .f32 v; ld.global.v2.f32 v, [%rd1]; mov.f32 %f1, v.g;")
    x, y = Register("v.x", "f32"), Register("v.y", "f32")
    assert load.operands[0] == Vector((x, y))
    assert move.operands[1] == y


def test_registers_that_are_used_and_no_others() -> None:
    function = entry("{ .reg .pred %p1; setp.eq.s32 %p1, %r7, 0; @%p1 mov.b32 %r2, %r7; }")
    assert function.registers == (Register("%p1.1", "pred"), Register("%r7", "b32"), Register("%r2", "b32"))


def test_places_in_the_ptx_and_in_the_source() -> None:
    text = '.file 1 "k.py"\n.file 2 "lib.py"\n' + kernel(
        "\tmov.u32 %r1, 0;\n\t.loc 1 10 4 // k.py\n\tmov.u32 %r1, 0;\n"
        "\t.loc 2 99 1, function_name $L__info_string0+4, inlined_at 1 12 7\n\tmov.u32 %r2, 0;\n"
    )
    none, plain, inlined, _ = (s for s in parse_ptx(text, "k.ptx").entries[0].statements if isinstance(s, Instruction))
    assert (none.location, none.inlined, none.origin) == (Location("k.ptx", 20, 2), None, none.place)
    assert (plain.location, plain.inlined, plain.origin) == (Location("k.py", 10, 4), None, plain.location)
    assert (inlined.location, inlined.inlined) == (Location("lib.py", 99, 1), Location("k.py", 12, 7))
    assert inlined.origin == inlined.inlined
    assert inlined.place == Location("k.ptx", 24, 2)
