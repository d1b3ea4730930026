"""The PTX parser: what it reads, and where it says that a file is wrong."""

from pathlib import Path

import pytest

from backends.ptx.parser import parse_ptx, read_ptx
from backends.ptx.syntax import Address, Immediate, Instruction, Label, Pair, Register, Symbol, Vector
from ir.diagnostics import Location, UserError
from tests.twill.frontend.ptx_text import HEAD, kernel
from twill.frontend.ptx import load_ptx, ptx_entries

DATA = Path(__file__).parent / "data"


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
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_is_reported_where_it_is(name: str) -> None:
    text, rule, line, column = WRONG[name]
    with pytest.raises(UserError) as raised:
        parse_ptx(text, "k.ptx")
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.rule, diagnostic.location) == (rule, Location("k.ptx", line, column))


def test_missing_file_and_entries(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing-file"):
        load_ptx(tmp_path / "no.ptx")
    path = DATA / "reduce_sm90.ptx"
    assert ptx_entries(path) == ("dot", "clipped_sum", "find", "tiled_gemm", "nested")
    with pytest.raises(UserError, match=r"reduce_sm90.ptx:dot.*ptx-several-entries|ptx-several-entries"):
        load_ptx(path)
    with pytest.raises(UserError, match="ptx-no-entry"):
        load_ptx(f"{path}:dott")
    assert load_ptx(f"{path}:dot").name == load_ptx(path, "dot").name == "dot"
    (tmp_path / "function.ptx").write_text(".target sm_90\n.func f() { ret; }\n")
    with pytest.raises(UserError, match="ptx-no-entry"):
        load_ptx(tmp_path / "function.ptx")
