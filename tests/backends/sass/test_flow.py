"""Blocks, edges and loops of small listings, written by hand."""

from __future__ import annotations

import pytest

from backends.sass import Function
from backends.sass.function import function_of
from backends.sass.listing import parse_listing
from ir.diagnostics import UserError

# Stall 4, no scoreboards.
_ENCODING = 0x000FC80000000000 << 64


def written(rows: list[str], entry: str = "k") -> str:
    """A listing as the disassembler prints it; rows are instructions, labels (`x:`) or source places."""
    lines, address = [f".text.{entry}:"], 0
    for row in rows:
        if row.endswith(":") or row.startswith("//##"):
            lines.append(row if row.endswith(":") else f"\t{row}")
            continue
        lines.append(f"        /*{address:04x}*/                   {row} ;    /* 0x{_ENCODING & (2**64 - 1):016x} */")
        lines.append(f"                                               /* 0x{_ENCODING >> 64:016x} */")
        address += 16
    return "\n".join(lines)


def made(*rows: str) -> Function:
    return function_of(parse_listing(written(list(rows)), "k"), "k", "sm_90")


def edges(function: Function) -> list[tuple[int, ...]]:
    return [block.successors for block in function.blocks]


def test_a_loop_and_the_padding_after_it() -> None:
    function = made(
        "MOV R0, RZ",
        ".L_0:",
        "IADD3 R0, R0, 0x1, RZ",
        "ISETP.LT.AND P0, PT, R0, 0x10, PT",
        "@P0 BRA `(.L_0)",
        "EXIT",
        ".L_1:",
        "BRA `(.L_1)",
        "NOP",
    )
    assert edges(function) == [(1,), (1, 2), (), (3,), ()]
    (loop,) = function.loops
    assert (loop.header, loop.blocks, loop.back_edges, loop.parent) == (1, {1}, ((1, 1),), None)


def test_loops_nest() -> None:
    function = made(
        ".L_out:",
        "MOV R1, RZ",
        ".L_in:",
        "IADD3 R1, R1, 0x1, RZ",
        "@P0 BRA `(.L_in)",
        "@P1 BRA `(.L_in)",
        "@!P2 BRA `(.L_out)",
        "EXIT",
    )
    outer, inner = function.loops
    assert outer.blocks == {0, 1, 2, 3} and outer.parent is None
    assert inner.blocks == {1, 2} and inner.parent == 0 and inner.back_edges == ((1, 1), (2, 1))


def test_conditions_of_branches() -> None:
    """A condition may be an operand; a guarded exit goes on; a branch for divergence has a mask."""
    function = made("BRA.U !UP0, `(.L)", "BRA.DIV UR4, `(.L)", "@P0 EXIT", "BRA `(.L)", ".L:", "EXIT")
    assert edges(function) == [(4, 1), (4, 2), (3,), (4,), ()]


def test_convergence_barriers_end_blocks_but_go_on() -> None:
    function = made("BSSY B0, `(.L_1)", "@P0 BRA `(.L_0)", "MOV R0, R1", ".L_0:", "BSYNC B0", ".L_1:", "EXIT")
    assert edges(function) == [(2, 1), (2,), (3,), ()]
    assert {str(r) for r in function.instructions[0].writes} == {"B0"} and not function.loops


def test_calls_return() -> None:
    """A called function is not part of a loop around the call; the call goes on behind it."""
    function = made(
        ".L_0:",
        "MOV R4, 0x30",
        "CALL.REL.NOINC `($f)",
        "@P0 BRA `(.L_0)",
        "EXIT",
        "$f:",
        ".L_f:",
        "MUFU.RCP R0, R0",
        "@P1 BRA `(.L_f)",
        "RET.REL.NODEC R4 `(k)",
    )
    assert [(b.successors, b.callee) for b in function.blocks[:2]] == [((1,), 3), ((0, 2), None)]
    assert [(loop.header, set(loop.blocks)) for loop in function.loops] == [(0, {0, 1}), (3, {3})]


def test_a_call_of_a_label_is_a_jump() -> None:
    function = made("@P6 CALL.REL.NOINC `(.L_1)", "BRA `(.L_2)", ".L_1:", "MOV R0, R1", ".L_2:", "EXIT")
    assert edges(function) == [(2, 1), (3,), (3,), ()]
    assert all(block.callee is None for block in function.blocks)


def test_indirect_branches_go_where_the_disassembler_says() -> None:
    function = made('BRX R2 -0x10 (*"BRANCH_TARGETS .L_a,.L_b"*)', ".L_a:", "EXIT", ".L_b:", "EXIT")
    assert edges(function) == [(1, 2), (), ()]
    assert function.instructions[0].operands == ("R2 -0x10",)


def test_two_entries_make_no_natural_loop() -> None:
    """A cycle that is entered at two places has no header that dominates it."""
    function = made("@P0 BRA `(.L_b)", ".L_a:", "MOV R0, R1", ".L_b:", "MOV R1, R0", "@P1 BRA `(.L_a)", "EXIT")
    assert not function.loops


def test_places_hold_until_the_next_ones() -> None:
    function = made(
        '//## File "a.py", line 3 inlined at "b.py", line 5',
        '//## File "b.py", line 5 inlined at "c.py", line 7',
        '//## File "c.py", line 7',
        '//## File ".nv_debug_ptx_txt", line 40',
        "MOV R0, R1",
        "MOV R1, R2",
        '//## File "c.py", line 8',
        "EXIT",
    )
    first, second, last = function.instructions
    assert str(first.location) == "a.py:3" and [str(p) for p in first.inlined_at] == ["b.py:5", "c.py:7"]
    assert second.location == first.location and second.inlined_at == first.inlined_at
    assert str(last.location) == "c.py:8" and last.inlined_at == ()
    assert [i.ptx_line for i in function.instructions] == [40, 40, 40]


def test_every_unknown_opcode_is_named_once() -> None:
    with pytest.raises(UserError) as error:
        made("FROB.X R0, R1", '//## File "c.cu", line 8', "GLORP R1", "FROB R2, R3", "EXIT")
    messages = [d.message for d in error.value.diagnostics]
    assert messages == ["no pipe is known for `FROB` of sm_90", "no pipe is known for `GLORP` of sm_90"]
    assert [str(d.location) for d in error.value.diagnostics] == ["None", "c.cu:8"]
    assert {d.rule for d in error.value.diagnostics} == {"unknown-opcode"}


def test_an_unknown_entry_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="no entry `other`") as error:
        parse_listing(written(["EXIT"]), "other")
    assert error.value.diagnostics[0].rule == "unknown-entry" and "k" in error.value.diagnostics[0].remedy


def test_a_listing_that_ends_within_an_instruction_is_refused() -> None:
    text = written(["MOV R0, R1", "EXIT"]).replace("/* 0x000fc80000000000 */", "?", 1)
    with pytest.raises(UserError) as error:
        parse_listing(text, "k")
    assert error.value.diagnostics[0].rule == "bad-listing"
