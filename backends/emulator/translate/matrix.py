"""Warp-level matrix instructions: `mma.sync`, `ldmatrix`, `stmatrix`, `movmatrix`."""

from __future__ import annotations

import re

from backends.emulator.matrix import MatrixMultiply
from backends.emulator.tensor import warp_fragments
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.loads import space_of
from backends.ptx.syntax import Instruction

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)$")


def emit_mma(b: BlockBuilder, instruction: Instruction) -> None:
    """`mma.sync.aligned.shape.row.col.d.a.b.c d, a, b, c`."""
    multiply = multiply_of(b, instruction)
    target, *sources = instruction.operands
    widths = [f"b{f.register_bits}" for f in (multiply.a, multiply.b, multiply.c)]
    lists = [f"[{', '.join(b.read_all(s, w))}]" for s, w in zip(sources, widths, strict=False)]
    result = b.temporary()
    b.line(f"{result} = {b.use(multiply, 'mma')}.apply({', '.join(lists[:3])})")
    width = f"b{multiply.d.register_bits}"
    for index, item in enumerate(b.items(target)):
        b.write(item, width, f"{result}[{index}]")


def multiply_of(b: BlockBuilder, instruction: Instruction) -> MatrixMultiply:
    """The multiplication that an `mma.sync` asks for; refuses shapes, types and modifiers that are not known."""
    parts = instruction.parts
    shape = next((m for p in parts if (m := _SHAPE.match(p))), None)
    if shape is None or parts[1] != "sync" or "sp" in parts:
        raise b.refuse("this matrix multiplication")
    m, n, k = (int(x) for x in shape.groups())
    d, a, right, c = parts[-4:]
    fragments = [
        warp_fragments.mma(m, n, k, operand, element) for operand, element in (("a", a), ("b", right), ("c", c), ("d", d))
    ]
    if None in fragments or ("row" in parts and "col" not in parts):
        raise b.refuse(f"`{instruction.opcode}`")
    operation = next((p for p in parts if p in ("xor", "and")), "")
    return MatrixMultiply(*fragments, (a, right, c, d), operation, "satfinite" in parts)  # type: ignore[arg-type]


def emit_ldmatrix(b: BlockBuilder, instruction: Instruction) -> None:
    """`ldmatrix.sync.aligned.m8n8.x{1,2,4}{.trans}.shared.b16 r, [p]`."""
    count, layout = _matrices(b, instruction)
    target, source = instruction.operands
    address, offset = b.address(source)
    result = b.temporary()
    b.effect(
        f"{result} = S.matrices.load(F, {space_of(b, instruction)!r}, {address}, {offset}, {count}, {layout}, {b.guard})"
    )
    for index, item in enumerate(b.items(target)):
        b.write(item, "b32", f"{result}[{index}]")


def emit_stmatrix(b: BlockBuilder, instruction: Instruction) -> None:
    """`stmatrix.sync.aligned.m8n8.x{1,2,4}{.trans}.shared.b16 [p], r`."""
    count, layout = _matrices(b, instruction)
    target, source = instruction.operands
    address, offset = b.address(target)
    values = ", ".join(b.read_all(source, "b32"))
    b.effect(
        f"S.matrices.store(F, {space_of(b, instruction)!r}, {address}, {offset}, {count}, {layout}, [{values}], {b.guard})"
    )


def _matrices(b: BlockBuilder, instruction: Instruction) -> tuple[int, str]:
    parts = instruction.parts
    count = next((int(p[1:]) for p in parts if p in ("x1", "x2", "x4")), 0)
    layout = warp_fragments.matrix_rows(count, "trans" in parts)
    if "m8n8" not in parts or parts[-1] != "b16" or layout is None:
        raise b.refuse(f"`{instruction.opcode}`")
    return count, b.use(layout, "layout")
