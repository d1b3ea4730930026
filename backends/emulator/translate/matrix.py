"""Warp-level matrix instructions: `mma.sync`, `ldmatrix`, `stmatrix`, `movmatrix`."""

from __future__ import annotations

import re

from backends.emulator.matrix import MatrixMultiply, Scale, ScaledMultiply
from backends.emulator.program import Program
from backends.emulator.tensor import warp_fragments
from backends.emulator.tensor.fragments import Fragment
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.loads import space_of
from backends.emulator.translate.products import products_of
from backends.ptx.syntax import Immediate, Instruction, Operand

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)$")


def emit_mma(b: BlockBuilder, instruction: Instruction) -> None:
    """`mma.sync.aligned.shape.row.col.d.a.b.c d, a, b, c`, and the same with `.block_scale`."""
    if "block_scale" in instruction.parts:
        _emit_scaled(b, instruction)
        return
    multiply = multiply_of(b, instruction)
    target, *sources = instruction.operands
    widths = [f"b{f.register_bits}" for f in (multiply.a, multiply.b, multiply.c)]
    lists = [f"[{', '.join(b.read_all(s, w))}]" for s, w in zip(sources, widths, strict=False)]
    result = b.temporary()
    b.line(f"{result} = {b.use(multiply, 'mma')}.apply({', '.join(lists[:3])})")
    width = f"b{multiply.d.register_bits}"
    for index, item in enumerate(b.items(target)):
        b.write(item, width, f"{result}[{index}]")


_SCALE_VECTORS = {"scale_vec::1X": 1, "scale_vec::2X": 2, "scale_vec::4X": 4}
# Kinds of block-scaled products: depth, factors of a row and their types. Source: PTX ISA, mma.sync, block scaling.
_SCALED_KINDS: dict[str, tuple[int, dict[int, tuple[str, ...]]]] = {
    "kind::mxf8f6f4": (32, {1: ("ue8m0",)}),
    "kind::mxf4": (64, {2: ("ue8m0",)}),
    "kind::mxf4nvf4": (64, {2: ("ue8m0",), 4: ("ue8m0", "ue4m3")}),
}


def _emit_scaled(b: BlockBuilder, instruction: Instruction) -> None:
    """`... d, a, b, c, scale-a, {byte, thread}, scale-b, {byte, thread}`."""
    parts = instruction.parts
    kind = next((p for p in parts if p in _SCALED_KINDS), "")
    if not kind:
        raise b.refuse("this kind of block-scaled product")
    depth, vectors = _SCALED_KINDS[kind]
    default = min(vectors) if len(vectors) == 1 else 0
    per_row = next((_SCALE_VECTORS[p] for p in parts if p in _SCALE_VECTORS), default)
    if parts[-1] not in vectors.get(per_row, ()) or f"m16n8k{depth}" not in parts:
        raise b.refuse(f"`{instruction.opcode}`")
    plain = multiply_of(b, instruction, parts[-5:-1])
    target, *sources = instruction.operands
    if len(sources) != 7:
        raise b.refuse("these operands")
    scales = [_scale(b, sources[index], parts[-1], per_row, threads) for index, threads in ((4, 2), (6, 4))]
    lists = [f"[{', '.join(b.read_all(s, 'b32'))}]" for s in sources[:3]]
    factors = f"[{b.read(sources[3], 'b32')}, {b.read(sources[5], 'b32')}]"
    result = b.temporary()
    b.line(f"{result} = {b.use(ScaledMultiply(plain, *scales), 'mma')}.apply({', '.join(lists)}, {factors})")
    for index, item in enumerate(b.items(target)):
        b.write(item, "b32", f"{result}[{index}]")


def _scale(b: BlockBuilder, selector: Operand, kind: str, per_row: int, threads: int) -> Scale:
    """The selector {byte, thread}, of which only constants are known here."""
    values = [item.value for item in b.items(selector) if isinstance(item, Immediate) and item.value is not None]
    if len(values) != 2:
        raise b.refuse("a selector of scale factors that is no pair of constants")
    byte, thread = values
    if byte % per_row or byte + per_row > 4 or not 0 <= thread < threads or byte < 0:
        raise b.refuse(f"the selector {{{byte}, {thread}}} of {per_row} scale factors")
    return Scale(kind, per_row, byte, thread)


def run_from(program: Program, block: int, start: int) -> range:
    """The instructions from `start` on that are the same unguarded `mma.sync`; empty if it is none."""
    first = program.instructions[start]
    if not first.opcode.startswith("mma.sync.") or first.guard is not None or "block_scale" in first.parts:
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


def multiply_of(b: BlockBuilder, instruction: Instruction, types: tuple[str, ...] = ()) -> MatrixMultiply:
    """The multiplication that an `mma.sync` asks for; refuses shapes, types and modifiers that are not known.

    types: of D, A, B and C, where they are not the last parts of the opcode.
    """
    parts = instruction.parts
    shape = next((m for p in parts if (m := _SHAPE.match(p))), None)
    if shape is None or parts[1] != "sync" or "sp" in parts:
        raise b.refuse("this matrix multiplication")
    rows, columns, depth = (int(x) for x in shape.groups())
    d, a, right, c = types or parts[-4:]

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
