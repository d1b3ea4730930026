"""Every instruction of the shipped kernels, for six architectures, keeps the promises of its control bits."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hazards import hazards
from machine_codes import ARCHITECTURES, function, of_task, of_text, tasks

from backends.sass import Function, Instruction
from backends.sass.opcodes import PIPES

SAMPLES = [("sgemm", "warp_tiled"), ("reduction", "shuffle"), ("softmax_cuda", ""), ("gemm", "")]

EXTRAS = (Path(__file__).parent / "sources" / "instructions.cu").read_text(encoding="utf-8")
ENTRIES = re.findall(r"__global__ void (\w+)\(", EXTRAS)


def joined(instruction: Instruction) -> str:
    guard = [f"@{instruction.guard}"] if instruction.guard else []
    name = ".".join([instruction.opcode, *instruction.modifiers])
    return " ".join([*guard, name, ", ".join(instruction.operands)])


def squeezed(text: str) -> str:
    """Without spaces, and without the targets that the disassembler adds to an indirect branch."""
    return re.sub(r'\s|\(\*".*?"\*\)', "", text)


def check(function: Function) -> None:
    assert not list(hazards(function))
    for instruction in function.instructions:
        assert squeezed(joined(instruction)) == squeezed(instruction.text)
        assert instruction.pipe in PIPES
        # The disassembler shows no reuse for texture instructions, which have no operand cache.
        is_shown = instruction.pipe != "tex"
        assert not is_shown or instruction.text.count(".reuse") == instruction.control.reuse.bit_count()
    assert not list(misaligned(function))
    assert not list(too_close(function))
    check_blocks(function)


def misaligned(function: Function) -> list[str]:
    """Memory instructions whose values are not aligned to their width: then a width would be wrong."""
    found = []
    for instruction in function.instructions:
        width = instruction.access.bytes_per_lane // 4 if instruction.access else 0
        first = min((r.index for r in instruction.writes if r.file in ("R", "UR")), default=0)
        is_load = instruction.opcode in ("LDG", "LDS", "LDL", "LDC", "LDCU", "ULDC", "LD") and width in (2, 4)
        if is_load and first % width:
            found.append(instruction.text)
    return found


def too_close(function: Function) -> list[str]:
    """Neighbours on one pipe that the compiler issues sooner than the pipe is said to be free."""
    found = []
    for block in function.blocks:
        code = function.instructions[block.first : block.last]
        for one, other in pairwise(code):
            is_same = one.pipe == other.pipe and one.pipe_cycles is not None
            if is_same and one.control.stall < (one.pipe_cycles or 0):
                found.append(f"{one.text} / {other.text}")
    return found


def check_blocks(function: Function) -> None:
    """Blocks cover the code in order; loops are entered at their headers alone and nest."""
    assert [b.first for b in function.blocks[1:]] == [b.last for b in function.blocks[:-1]]
    assert function.blocks[0].first == 0 and function.blocks[-1].last == len(function.instructions)
    entries = {0, *(b.callee for b in function.blocks if b.callee is not None)}
    for loop in function.loops:
        assert not (entries & loop.blocks) - {loop.header}
        for block in function.blocks:
            inside = loop.blocks & set(block.successors)
            assert block.number in loop.blocks or inside <= {loop.header} or not reached(function)[block.number]
        assert loop.parent is None or loop.blocks < function.loops[loop.parent].blocks


def reached(function: Function) -> list[bool]:
    seen = [False] * len(function.blocks)
    waiting = [0, *(b.callee for b in function.blocks if b.callee is not None)]
    while waiting:
        number = waiting.pop()
        if not seen[number]:
            seen[number] = True
            waiting.extend(function.blocks[number].successors)
    return seen


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("kernel", "variant"), SAMPLES)
def test_a_sample_of_kernels(kernel: str, variant: str, architecture: str) -> None:
    check(function(kernel, variant, architecture))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rare_instructions(architecture: str) -> None:
    """Doubles, halves, atomics of every width, textures, integer and double matrix products, calls, switches."""
    opcodes: Counter[str] = Counter()
    for entry in ENTRIES:
        found = of_text(EXTRAS, entry, architecture)
        check(found)
        opcodes.update(i.opcode for i in found.instructions)
    assert {"DFMA", "HFMA2", "ATOMS", "TEX", "IMMA", "CALL", "POPC", "SUST"} <= opcodes.keys()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_kernels(architecture: str) -> None:
    checked = 0
    for task in tasks(architecture):
        check(of_task(task, architecture))
        checked += 1
    assert checked > 90


def test_a_wrong_wait_is_found() -> None:
    """The check of hazards can fail: without its waits no kernel passes."""
    code = function("sgemm", "warp_tiled", "sm_80")
    unwaited = tuple(replace(i, control=replace(i.control, wait_mask=0)) for i in code.instructions)
    shifted = tuple(
        replace(i, control=replace(i.control, wait_mask=i.control.wait_mask >> 1)) for i in code.instructions
    )
    assert list(hazards(replace(code, instructions=unwaited)))
    assert list(hazards(replace(code, instructions=shifted)))
