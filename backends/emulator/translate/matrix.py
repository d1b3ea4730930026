"""Warp-level matrix instructions: `mma.sync`, `ldmatrix`, `stmatrix`, `movmatrix`."""

from __future__ import annotations

import re

from backends.emulator.matrix import MatrixMultiply
from backends.emulator.program import Program
from backends.emulator.tensor import warp_fragments
from backends.emulator.tensor.fragments import Fragment
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.loads import space_of
from backends.emulator.translate.products import products_of
from backends.ptx.syntax import Instruction, Operand

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


def run_from(program: Program, block: int, start: int) -> range:
    """The instructions from `start` on that are the same unguarded `mma.sync`; empty if it is none."""
    first = program.instructions[start]
    if not first.opcode.startswith("mma.sync.") or first.guard is not None:
        return range(start, start)
    stop = start + 1
    end = program.blocks[block].stop
    while stop < end and (program.instructions[stop].opcode, program.instructions[stop].guard) == (first.opcode, None):
        stop += 1
    return range(start, stop)


def emit_run(b: BlockBuilder, run: range) -> None:
    """A run of the same unguarded `mma.sync`, as few products of larger matrices."""
    instructions = [b.begin(index) for index in run]
    products = products_of(instructions, b.program.register_uses)
    if products is None:
        for index in run:
            emit_mma(b, b.begin(index))
        return
    multiply = multiply_of(b, b.begin(run[0]))
    name = b.use(multiply, "mma")
    widths = [f"b{f.register_bits}" for f in (multiply.a, multiply.b, multiply.c)]
    # All factors and addends are read before any result is written.
    results = [(product, b.temporary()) for product in products]
    for product, result in results:
        tiles = (product.a_tiles, product.b_tiles, product.addends)
        lists = [
            f"[{', '.join(f'[{_registers(b, row, width)}]' for row in grid)}]"
            for grid, width in zip(tiles, widths, strict=True)
        ]
        b.line(f"{result} = {name}.apply_tiles({', '.join(lists)})")
    for product, result in results:
        for i, row in enumerate(product.results):
            for j, operand in enumerate(row):
                for index, item in enumerate(b.items(operand)):
                    b.write(item, f"b{multiply.d.register_bits}", f"{result}[{i}, {j}, {index}]")


def _registers(b: BlockBuilder, row: list[Operand], width: str) -> str:
    return ", ".join(f"[{', '.join(b.read_all(operand, width))}]" for operand in row)


def multiply_of(b: BlockBuilder, instruction: Instruction) -> MatrixMultiply:
    """The multiplication that an `mma.sync` asks for; refuses shapes, types and modifiers that are not known."""
    parts = instruction.parts
    shape = next((m for p in parts if (m := _SHAPE.match(p))), None)
    if shape is None or parts[1] != "sync" or "sp" in parts:
        raise b.refuse("this matrix multiplication")
    rows, columns, depth = (int(x) for x in shape.groups())
    d, a, right, c = parts[-4:]

    def fragment(operand: str, element: str) -> Fragment:
        found = warp_fragments.mma(rows, columns, depth, operand, element)
        if found is None or ("row" in parts and "col" not in parts):
            raise b.refuse(f"`{instruction.opcode}`")
        return found

    operation = next((p for p in parts if p in ("xor", "and")), "")
    layouts = fragment("a", a), fragment("b", right), fragment("c", c), fragment("d", d)
    return MatrixMultiply(*layouts, (a, right, c, d), operation, "satfinite" in parts)


def emit_ldmatrix(b: BlockBuilder, instruction: Instruction) -> None:
    """`ldmatrix.sync.aligned.m8n8.x{1,2,4}{.trans}.shared.b16 r, [p]`."""
    count, layout = _matrices(b, instruction)
    target, source = instruction.operands
    address, offset = b.address(source)
    result = b.temporary()
    place = f"{space_of(b, instruction)!r}, {address}, {offset}"
    b.effect(f"{result} = S.matrices.load(F, {place}, {count}, {layout}, {b.guard})")
    for index, item in enumerate(b.items(target)):
        b.write(item, "b32", f"{result}[{index}]")


def emit_stmatrix(b: BlockBuilder, instruction: Instruction) -> None:
    """`stmatrix.sync.aligned.m8n8.x{1,2,4}{.trans}.shared.b16 [p], r`."""
    count, layout = _matrices(b, instruction)
    target, source = instruction.operands
    address, offset = b.address(target)
    values = ", ".join(b.read_all(source, "b32"))
    place = f"{space_of(b, instruction)!r}, {address}, {offset}"
    b.effect(f"S.matrices.store(F, {place}, {count}, {layout}, [{values}], {b.guard})")


def _matrices(b: BlockBuilder, instruction: Instruction) -> tuple[int, str]:
    parts = instruction.parts
    count = next((int(p[1:]) for p in parts if p in ("x1", "x2", "x4")), 0)
    layout = warp_fragments.matrix_rows(count, "trans" in parts)
    if "m8n8" not in parts or parts[-1] != "b16" or layout is None:
        raise b.refuse(f"`{instruction.opcode}`")
    return count, b.use(layout, "layout")
