"""`wmma.load`, `wmma.store` and `wmma.mma`: matrices of a warp in a layout that is the device's own."""

from __future__ import annotations

import re

from backends.emulator.matrix import MatrixMultiply
from backends.emulator.tensor.fragments import Fragment
from backends.emulator.tensor.wmma_fragments import wmma
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.loads import space_of
from backends.ptx.syntax import Instruction, Operand

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)$")
_TYPES = ("f16", "bf16", "tf32", "f32", "f64", "s32", "s8", "u8", "s4", "u4", "b1")


def emit_wmma(b: BlockBuilder, instruction: Instruction) -> None:
    """Any `wmma` instruction."""
    emitters = {"load": _load, "store": _store, "mma": _multiply}
    emitter = emitters.get(instruction.parts[1])
    if emitter is None:
        raise b.refuse(f"`{instruction.opcode}`")
    emitter(b, instruction)


def _shape(b: BlockBuilder, instruction: Instruction) -> tuple[int, int, int]:
    found = next((m for p in instruction.parts if (m := _SHAPE.match(p))), None)
    if found is None:
        raise b.refuse("a shape")
    rows, columns, depth = (int(x) for x in found.groups())
    return rows, columns, depth


def _layout(b: BlockBuilder, instruction: Instruction, operand: str, element: str) -> Fragment:
    fragment = wmma(*_shape(b, instruction), operand, element)
    # Elements narrower than a byte have no address of their own.
    if fragment is None or (fragment.element_bits < 8 and instruction.parts[1] != "mma"):
        raise b.refuse(f"`{instruction.opcode}`")
    return fragment


def _stride(b: BlockBuilder, fragment: Fragment, by_rows: bool, rest: list[Operand]) -> str:
    return b.read(rest[0], "u32") if rest else str(fragment.shape[1] if by_rows else fragment.shape[0])


def _load(b: BlockBuilder, instruction: Instruction) -> None:
    target, source, *rest = instruction.operands
    operand, by_rows = instruction.parts[2], "row" in instruction.parts
    fragment = _layout(b, instruction, operand, instruction.parts[-1])
    address, offset = b.address(source)
    result = b.temporary()
    b.effect(
        f"{result} = S.warp_matrices.load(F, {space_of(b, instruction)!r}, {address}, {offset},"
        f" {_stride(b, fragment, by_rows, rest)}, {b.use(fragment, 'layout')}, {by_rows}, {b.guard})"
    )
    for index, item in enumerate(b.items(target)):
        b.write(item, f"b{fragment.register_bits}", f"{result}[{index}]")


def _store(b: BlockBuilder, instruction: Instruction) -> None:
    target, source, *rest = instruction.operands
    by_rows = "row" in instruction.parts
    fragment = _layout(b, instruction, "d", instruction.parts[-1])
    address, offset = b.address(target)
    values = ", ".join(b.read_all(source, f"b{fragment.register_bits}"))
    b.effect(
        f"S.warp_matrices.store(F, {space_of(b, instruction)!r}, {address}, {offset},"
        f" {_stride(b, fragment, by_rows, rest)}, {b.use(fragment, 'layout')}, {by_rows}, [{values}], {b.guard})"
    )


def _multiply(b: BlockBuilder, instruction: Instruction) -> None:
    """`.d.c` alone stands for factors of f16, else the types are those of D, A, B and C."""
    types = [p for p in instruction.parts if p in _TYPES]
    if len(types) == 2:
        types = [types[0], "f16", "f16", types[1]]
    d, left, right, c = types
    fragments = (
        _layout(b, instruction, "a", left), _layout(b, instruction, "b", right),
        _layout(b, instruction, "c", c), _layout(b, instruction, "d", d),
    )  # fmt: skip
    operation = next((p for p in instruction.parts if p in ("xor", "and")), "")
    multiply = MatrixMultiply(*fragments, (left, right, c, d), operation, "satfinite" in instruction.parts)
    target, *sources = instruction.operands
    lists = [
        f"[{', '.join(b.read_all(s, f'b{f.register_bits}'))}]" for s, f in zip(sources, fragments[:3], strict=True)
    ]
    result = b.temporary()
    b.line(f"{result} = {b.use(multiply, 'wmma')}.apply({', '.join(lists)})")
    for index, item in enumerate(b.items(target)):
        b.write(item, f"b{multiply.d.register_bits}", f"{result}[{index}]")
