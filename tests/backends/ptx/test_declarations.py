"""Variables, parameters and performance directives: sizes, alignments, initial values, relocations."""

import struct

import pytest

from backends.ptx import parse_ptx
from backends.ptx.syntax import Attributes, Function, Module, Parameter, Relocation, Variable
from ir.diagnostics import Location

HEAD = ".version 8.4\n.target sm_90a, debug\n.address_size 64\n"


def module(text: str) -> Module:
    return parse_ptx(HEAD + text, "k.ptx")


def variable(text: str) -> Variable:
    (found,) = module(text).variables
    return found


def function(text: str) -> Function:
    (found,) = module(text).functions
    return found


def test_head_and_tables() -> None:
    found = module(
        '.file 1 "a.cu", 1700000000, 42\n.file\t2 "b.cuh"\n.pragma "x";\n.alias f, g;\n.section .debug_str { .b8 1\n}'
    )
    assert (found.version, found.target, found.address_size) == ("8.4", "sm_90a", 64)
    assert found.files == {1: "a.cu", 2: "b.cuh"}
    assert found.aliases == {"f": "g"}


def test_a_file_table_behind_the_functions_holds_for_them() -> None:
    found = module('.visible .entry k() {\n.loc 1 7 2\nret; }\n\t.file\t1 "late.py"\n')
    assert found.entries[0].location == Location("late.py", 7, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".global .u32 a;", ("a", "global", "u32", 4, 1, 4)),
        (".shared .align 16 .b8 t[1024];", ("t", "shared", "b8", 16, 1024, 1024)),
        (".const .align 8 .f64 t[2][3];", ("t", "const", "f64", 8, 6, 48)),
        (".global .v4 .f32 v;", ("v", "global", "f32", 16, 4, 16)),
        (".global .attribute(.managed) .align 4 .u32 m;", ("m", "global", "u32", 4, 1, 4)),
        (".global .texref t;", ("t", "global", "texref", 8, 1, 8)),
        (".global .b8 a[(1 + 3) * 4 << 1];", ("a", "global", "b8", 1, 32, 32)),
        (".global .u16 a[] = {1, 2, 3};", ("a", "global", "u16", 2, 3, 6)),
    ],
)
def test_space_type_alignment_and_size(text: str, expected: tuple[object, ...]) -> None:
    v = variable(text)
    assert (v.name, v.space, v.type, v.alignment, v.elements, v.bytes) == expected


def test_storage_sized_at_the_launch() -> None:
    v = variable(".extern .shared .align 16 .b8 smem[];")
    assert v == Variable("smem", "shared", "b8", 16, None, 0, linkage="extern")
    assert v.is_extern
    assert v.place == Location("k.ptx", 4, 31)


def test_several_variables_in_one_declaration() -> None:
    assert [(v.name, v.bytes) for v in module(".visible .global .b32 a, b[2] = {1, 2}, c;").variables] == [
        ("a", 4),
        ("b", 8),
        ("c", 4),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".global .u32 a = 7;", struct.pack("<I", 7)),
        (".global .s16 a = -2;", struct.pack("<h", -2)),
        (".global .u64 a = 0xFFFFFFFFFFFFFFFF;", b"\xff" * 8),
        (".global .b8 a[8] = {1, 2};", b"\x01\x02"),
        (".global .f32 a[3] = {0f3F800000, 2.5, -1};", struct.pack("<fff", 1, 2.5, -1)),
        (".global .f32 a = 1.0e300;", struct.pack("<f", float("inf"))),
        (".global .f64 a = 0d7FF8000000000001;", bytes.fromhex("010000000000f87f")),
        (".global .b8 a[2][3] = {{1}, {2, 3, 4}};", b"\x01\0\0\x02\x03\x04"),
        (".global .b8 a[2][2] = {1, 2, 3, 4};", b"\x01\x02\x03\x04"),
        (".global .v2 .b16 a[2] = {{1, 2}, {3, 4}};", struct.pack("<4H", 1, 2, 3, 4)),
        (".const .b32 a = WARP_SZ;", struct.pack("<I", 32)),
        (".const .b32 a = (1 ? 5 : 6) % 3;", struct.pack("<I", 2)),
    ],
)
def test_initial_values(text: str, expected: bytes) -> None:
    assert variable(text).initial == expected


def test_addresses_become_relocations() -> None:
    v = variable(".global .u64 p[4] = {1, generic(a) + 4, f, b-8};")
    assert v.initial == struct.pack("<4Q", 1, 0, 0, 0)
    assert v.relocations == (
        Relocation(8, 8, "a", 4, is_generic=True),
        Relocation(16, 8, "f"),
        Relocation(24, 8, "b", -8),
    )


def test_an_address_byte_by_byte() -> None:
    v = variable(".global .b8 p[3] = {9, 0xFF(generic(a)), 0xFF00(a+1)};")
    assert v.relocations == (
        Relocation(1, 1, "a", 0, is_generic=True, mask=0xFF),
        Relocation(2, 1, "a", 1, mask=0xFF00),
    )


def test_parameters_of_every_kind() -> None:
    f = function(
        ".visible .func (.reg .b32 r) f(.param .u64 .ptr .global .align 1 p, .param .align 64 .b8 map[128],"
        " .reg .f64 x, .param .b8 rest[]) { add.f64 x, x, x; ret; }"
    )
    assert f.parameters == (
        Parameter("p", "u64", 8, 8),
        Parameter("map", "b8", 64, 128),
        Parameter("x", "f64", 8, 8, is_register=True),
        Parameter("rest", "b8", 1, 0),
    )
    assert f.returns == (Parameter("r", "b32", 4, 4, is_register=True),)
    assert (f.is_entry, f.linkage, [r.name for r in f.registers]) == (False, "visible", ["x"])


def test_performance_directives() -> None:
    text = (
        ".entry k() .reqntid 64, 2 .maxntid 256 .minnctapersm 2 .maxnreg 168 .explicitcluster"
        ' .reqnctapercluster 2, 1, 1 .maxclusterrank 8 .pragma "nounroll"; .noreturn { ret; }'
    )
    f = function(text)
    assert f.attributes == Attributes((64, 2, 1), (256, 1, 1), 2, 168, (2, 1, 1), 8, True, True)
    assert f.threads == 128


def test_a_declaration_has_no_statements() -> None:
    f = function(".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);")
    assert f.is_declaration
    assert (f.name, f.statements, f.linkage, len(f.parameters)) == ("vprintf", (), "extern", 2)
    assert not module(".entry k();").entries
