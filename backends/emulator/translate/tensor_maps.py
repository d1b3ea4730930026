"""`tensormap` instructions."""

from __future__ import annotations

from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.loads import space_of
from backends.ptx.syntax import Immediate, Instruction, Operand


def emit_tensormap(b: BlockBuilder, instruction: Instruction) -> None:
    """`tensormap.replace` and `tensormap.cp_fenceproxy`."""
    action = instruction.parts[1]
    if action == "replace":
        _replace(b, instruction)
    elif action == "cp_fenceproxy":
        target, source = (_pair(b, operand) for operand in instruction.operands[:2])
        b.effect(f"S.tensor_maps.publish(F, {target}, {source}, {b.guard})")
    else:
        raise b.refuse("this tensormap operation")


def _replace(b: BlockBuilder, instruction: Instruction) -> None:
    """`tensormap.replace.tile.field{.space}.b1024.type [a], {ordinal,} value`."""
    parts = instruction.parts
    if parts[2] != "tile":
        raise b.refuse("this mode")
    place, *rest = instruction.operands
    ordinal = 0
    if len(rest) == 2:
        first = rest.pop(0)
        if not isinstance(first, Immediate) or first.value is None:
            raise b.refuse("an ordinal that is no literal")
        ordinal = first.value
    value = b.read(rest[0], parts[-1])
    b.effect(
        f"S.tensor_maps.replace(F, {space_of(b, instruction)!r}, {_pair(b, place)}, {parts[3]!r}, {ordinal}, {value},"
        f" {b.guard})"
    )


def _pair(b: BlockBuilder, operand: Operand) -> str:
    address, offset = b.address(operand)
    return f"({address}, {offset})"
