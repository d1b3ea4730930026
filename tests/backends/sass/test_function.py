"""Whole kernels: a golden reading, places, loops, accesses, and the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from machine_codes import KERNELS, function

from backends.compilers.task import compile_task
from backends.sass import Function, read_sass
from ir.diagnostics import UserError
from ir.task import load_task


def rendered(code: Function) -> str:
    """One line for each instruction: control bits, pipe, text, registers; blocks and loops around them."""
    lines = []
    for block in code.blocks:
        lines.append(f"block {block.number} -> {', '.join(map(str, block.successors)) or 'end'}")
        for i in code.instructions[block.first : block.last]:
            c = i.control
            bits = f"{c.stall:2}{'y' if c.yields else '-'} w{_or(c.write_scoreboard)} r{_or(c.read_scoreboard)}"
            reads, writes = (" ".join(sorted(map(str, registers))) for registers in (i.reads, i.writes))
            waits = "".join(map(str, c.waits)) or "-"
            line = i.location.line if i.location else 0
            lines.append(f"  {bits} wait {waits:3} {i.pipe:8} line {line:3} {i.text:44} [{writes}] <- [{reads}]")
    lines.extend(f"loop {loop.header}: {sorted(loop.blocks)} in {loop.parent}" for loop in code.loops)
    return "\n".join(lines) + "\n"


def _or(scoreboard: int | None) -> str:
    return "-" if scoreboard is None else str(scoreboard)


def test_a_small_kernel(golden: Callable[[str, str], None]) -> None:
    """From PTX, so that the assembler alone decides; read by hand when it was made."""
    from backends.compilers.ptxas import assemble

    ptx = (KERNELS.parent / "tests" / "backends" / "sass" / "sources" / "saxpy.ptx").read_text(encoding="utf-8")
    built = assemble(ptx, "sm_80", file="saxpy.ptx")
    if not built.version.startswith("12."):
        pytest.skip(f"the golden file is of an assembler of CUDA 12, this one is of {built.version}")
    golden("saxpy_sm80.txt", rendered(read_sass(built.cubin, "saxpy", "sm_80")))


def test_the_loops_of_a_tiled_product() -> None:
    code = function("sgemm", "warp_tiled", "sm_80")
    products = [i for i in code.instructions if i.opcode == "FFMA"]
    loops = [loop for loop in code.loops if any(_within(code, i.index, loop.blocks) for i in products)]
    assert loops and products
    assert {i.pipe for i in products} == {"fma"}
    accesses = {(i.access.space, i.access.kind) for i in code.instructions if i.access}
    assert {("global", "load"), ("shared", "load"), ("shared", "store"), ("global", "store")} <= accesses


def _within(code: Function, index: int, blocks: frozenset[int]) -> bool:
    return any(code.blocks[b].first <= index < code.blocks[b].last for b in blocks)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_places_are_lines_of_the_source_and_of_the_ptx(architecture: str) -> None:
    """Every exponential of the machine code stems from one in the PTX, and is inlined from a known place."""
    task = load_task(KERNELS / "softmax")
    compiled = compile_task(task, task.sizes["verify"][-1], architecture)
    assert compiled.cubin is not None
    code = read_sass(compiled.cubin, compiled.entry, compiled.architecture)
    ptx = compiled.ptx.splitlines()
    exponentials = [i for i in code.instructions if i.opcode == "MUFU" and "EX2" in i.modifiers]
    assert exponentials
    for instruction in exponentials:
        assert instruction.ptx_line is not None and "ex2" in ptx[instruction.ptx_line - 1]
    assert any(i.inlined_at for i in code.instructions)
    assert {i.location.file.rsplit("/", 1)[-1] for i in code.instructions if i.location} >= {"kernel.py"}


def test_reading_is_fast() -> None:
    """Half a second for 5,000 instructions where the machine is idle; processor time is what is asserted here."""
    task = load_task(KERNELS / "attention_forward_descriptor")
    compiled = compile_task(task, task.sizes["verify"][-1], "sm_80")
    assert compiled.cubin is not None
    start = time.process_time()
    code = read_sass(compiled.cubin, compiled.entry, compiled.architecture)
    assert len(code.instructions) > 3000
    assert time.process_time() - start < 0.5 * len(code.instructions) / 5000 * 2


def test_what_is_no_machine_code_is_refused() -> None:
    with pytest.raises(UserError) as error:
        read_sass(b"\x7fELF", "k", "sm_80")
    assert error.value.diagnostics[0].rule == "bad-cubin"
