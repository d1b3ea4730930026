"""The PTX parser: what it reads, and where it says that a file is wrong."""

import re
from pathlib import Path

import pytest

from backends.ptx.parser import parse_ptx, read_ptx
from backends.ptx.syntax import Address, Immediate, Instruction, Label, Pair, Register, Symbol, Vector
from ir.diagnostics import Location, UserError
from tests.twill.frontend.ptx_text import HEAD, kernel

DATA = Path(__file__).parents[2] / "twill" / "frontend" / "data"


def instructions(statements: str) -> list[Instruction]:
    found = parse_ptx(kernel(statements)).entries[0].statements
    return [s for s in found if isinstance(s, Instruction)]


def test_operands_of_every_form() -> None:
    text = (
        "@!%p1 ld.global.v2.b32 {%r1, %r2}, [%rd1+-8]; mov.u32 %r3, %tid.x; mov.u64 %rd2, buffer+16; st.b32 [16], -4;"
    )
    load, special, symbol, store, _ = instructions(text)
    assert load.guard is not None and not load.guard.expected
    assert load.operands == (
        Vector((Register("%r1", "b32"), Register("%r2", "b32"))),
        Address(Register("%rd1", "b64"), -8),
    )
    assert special.operands[1] == Symbol("%tid.x")
    assert symbol.operands[1] == Symbol("buffer", 16)
    assert store.operands == (Address(Immediate("16", 16)), Immediate("-4", -4))


def test_pairs_and_tma_coordinates() -> None:
    shuffle, copy, _ = instructions(
        "shfl.sync.bfly.b32 %r1|%p1, %r2, 16, 31, -1;"
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2, %r3}], [%r4];"
    )
    assert shuffle.operands[0] == Pair(Register("%r1", "b32"), Register("%p1", "pred"))
    assert copy.operands[1] == Address(
        Register("%rd1", "b64"), 0, (Vector((Register("%r2", "b32"), Register("%r3", "b32"))),)
    )


def test_scopes_repeat_labels_and_registers() -> None:
    wait = "{ .reg .pred done; again: mbarrier.try_wait.parity.shared.b64 done, [%r1], %r2; @!done bra again; }"
    statements = parse_ptx(kernel(wait + wait)).entries[0].statements
    labels = [s.name for s in statements if isinstance(s, Label)]
    branches = [s for s in statements if isinstance(s, Instruction) and s.base == "bra"]
    assert labels == ["again.1", "again.2"]
    assert [b.operands for b in branches] == [(Symbol("again.1"),), (Symbol("again.2"),)]
    assert [b.guard.register.name for b in branches if b.guard] == ["done.1", "done.2"]


def test_inlined_code_is_placed_at_the_call() -> None:
    text = '.file 1 "k.py"\n.file 2 "lib.py"\n' + kernel(
        "\t.loc 1 10 4\n\tmov.u32 %r1, 0;\n"
        "\t.loc 2 99 1, function_name $L__info_string0, inlined_at 1 12 7\n\tmov.u32 %r2, 0;\n"
    )
    found = [s for s in parse_ptx(text).entries[0].statements if isinstance(s, Instruction)]
    assert [i.origin for i in found[:2]] == [Location("k.py", 10, 4), Location("k.py", 12, 7)]


def test_indirect_branch_targets() -> None:
    text = kernel("A: mov.u32 %r1, 0; B: mov.u32 %r1, 1; table: .branchtargets A, B; brx.idx %r1, table;")
    assert parse_ptx(text).entries[0].targets == {"table": ("A", "B")}


@pytest.mark.parametrize("name", ["gemm_sm80", "gemm_sm90", "gemm_sm100", "reduce_sm90"])
def test_compiler_output_parses(name: str) -> None:
    module = read_ptx(DATA / f"{name}.ptx")
    assert module.target == f"sm_{name.rpartition('sm')[2]}" + ("a" if name in ("gemm_sm90", "gemm_sm100") else "")
    places = [s.origin for f in module.entries for s in f.statements if isinstance(s, Instruction)]
    assert sum(p is not None and not p.file.endswith(".ptx") for p in places) > 0.9 * len(places)


WRONG = {
    "no-target": ("// nothing\n", "ptx-syntax", 1, 0),
    "character": (kernel("\tmov.u32 %r1, 0 ` 1;\n"), "ptx-syntax", 18, 17),
    "no-semicolon": (kernel("\tmov.u32 %r1, 0\n"), "ptx-syntax", 19, 2),
    "opcode": (kernel("\tmvo.u32 %r1, 0;\n"), "ptx-unknown-instruction", 18, 2),
    "register": (kernel("\tmov.u32 %r100, 0;\n"), "ptx-undeclared-register", 18, 10),
    "guard": (kernel("\t@%r1 mov.u32 %r1, 0;\n"), "ptx-undeclared-register", 18, 3),
    "label": (kernel("\tbra nowhere;\n"), "ptx-undefined-label", 18, 2),
    "two-labels": (kernel("\tA: mov.u32 %r1, 0;\n\tA: mov.u32 %r1, 0;\n"), "ptx-duplicate-label", 19, 2),
    "bracket": (kernel("\tld.b32 %r1, [%rd1;\n"), "ptx-syntax", 18, 19),
    "vector": (kernel("\tld.v2.b32 {%r1, %r2, [%rd1];\n"), "ptx-syntax", 18, 29),
    "directive": (kernel("\t.regg .b32 %x;\n"), "ptx-syntax", 18, 2),
    "loc": (kernel("\t.loc one\n"), "ptx-syntax", 18, 2),
    "end": (HEAD, "ptx-syntax", 18, 1),
    "outside": (".target sm_90\nmov.u32 %r1, 0;\n", "ptx-syntax", 2, 1),
    "outside-directive": (".target sm_90\n.regg .b32 %x;\n", "ptx-syntax", 2, 1),
    "version": (".version x\n", "ptx-syntax", 1, 10),
    "no-type": (".target sm_90\n.global x;\n", "ptx-syntax", 2, 9),
    "odd-type": (".target sm_90\n.global .u33 x;\n", "ptx-syntax", 2, 9),
    "alignment": (".target sm_90\n.global .align 3 .b8 x;\n", "ptx-alignment", 2, 16),
    "inner-size": (".target sm_90\n.global .b8 x[2][];\n", "ptx-syntax", 2, 18),
    "negative-size": (".target sm_90\n.global .b8 x[-2];\n", "ptx-syntax", 2, 15),
    "too-many-values": (".target sm_90\n.global .b8 x[2] = {1, 2, 3};\n", "ptx-initializer", 2, 27),
    "too-large": (".target sm_90\n.global .b8 x[1 << 40] = {1};\n", "ptx-initializer", 2, 13),
    "real-for-integer": (".target sm_90\n.global .b32 x = 1.5;\n", "ptx-initializer", 2, 18),
    "deep-initializer": (".target sm_90\n.global .b32 x[2] = {{1}};\n", "ptx-syntax", 2, 22),
    "register-type": (kernel("\t.reg .b32x %x;\n"), "ptx-syntax", 18, 7),
    "performance-directive": (".target sm_90\n.entry k() .maxtid 4 { ret; }\n", "ptx-syntax", 2, 12),
    "extent": (".target sm_90\n.entry k() .reqntid 0 { ret; }\n", "ptx-syntax", 2, 21),
    "four-extents": (".target sm_90\n.entry k() .reqntid 1,1,1,1 { ret; }\n", "ptx-syntax", 2, 21),
    "large-number": (kernel(f"\tmov.b64 %rd1, {1 << 64};\n"), "ptx-syntax", 18, 16),
    "huge-number": (kernel(f"\tmov.b64 %rd1, {'9' * 4000};\n"), "ptx-syntax", 18, 16),
    "by-zero": (kernel("\tmov.b64 %rd1, 4 / 0;\n"), "ptx-constant", 18, 18),
    "minus-register": (kernel("\tadd.s32 %r1, %r2, -%r3;\n"), "ptx-syntax", 18, 21),
    "register-offset": (kernel("\tld.b32 %r1, [%rd1+%rd2];\n"), "ptx-syntax", 18, 20),
    "three-in-a-pair": (kernel("\tsetp.eq.s32 %p1|%p2|%p3, %r1, 0;\n"), "ptx-syntax", 18, 21),
    "deep-brackets": (kernel(f"\tmov.b32 %r1, {'(' * 99}1;\n"), "ptx-syntax", 18, 28),
    "deep-vectors": (kernel(f"\tmov.b32 {'{' * 99}%r1;\n"), "ptx-syntax", 18, 75),
    "deep-scopes": (kernel("{" * 99), "ptx-syntax", 18, 64),
    "section": (".target sm_90\n.section .debug_str { .b8 1\n", "ptx-syntax", 3, 1),
}


def test_every_rule_has_a_test() -> None:
    package = Path(__file__).parents[3] / "backends" / "ptx"
    rules = {rule for path in package.glob("*.py") for rule in re.findall(r'"(ptx-[a-z-]+)"', path.read_text())}
    assert rules == {rule for _, rule, _, _ in WRONG.values()}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_is_reported_where_it_is(name: str) -> None:
    text, rule, line, column = WRONG[name]
    with pytest.raises(UserError) as raised:
        parse_ptx(text, "k.ptx")
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.rule, diagnostic.location) == (rule, Location("k.ptx", line, column))
