"""Lane-wise instructions: one call of the function that the semantics tables give."""

from __future__ import annotations

from backends.emulator.program import CARRY
from backends.emulator.semantics.table import LaneFunction, lookup, lookup_pair, lookup_three
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction, Operand, Pair


def emit_lane_function(b: BlockBuilder, instruction: Instruction) -> None:
    """Any instruction that works on each lane alone; refuses one that the tables do not have."""
    function = _function_of(instruction)
    if function is None:
        raise b.refuse(f"`{instruction.opcode}`")
    targets = (*b.items(instruction.operands[0]), *(CARRY,) * function.writes_carry)
    sources = (*instruction.operands[1:], *(CARRY,) * function.reads_carry)
    if len(sources) != len(function.operands):
        raise b.refuse(f"`{instruction.opcode}` with {len(sources)} sources ({len(function.operands)} expected)")
    arguments = [b.read(operand, kind) for operand, kind in zip(sources, function.operands, strict=True)]
    call = f"{b.use(function.apply, 'f')}({', '.join(arguments)}"
    if len(targets) == 1:
        _assign(b, targets[0], function, call)
        return
    results = b.temporary()
    b.line(f"{results} = {call})")
    for index, (target, kind) in enumerate(zip(targets, function.results, strict=True)):
        b.write(target, kind, f"{results}[{index}]")


def _function_of(instruction: Instruction) -> LaneFunction | None:
    """By the form of the operands: two results, three sources of a minimum or maximum, or neither."""
    operands = instruction.operands
    if operands and isinstance(operands[0], Pair):
        return lookup_pair(instruction.opcode)
    three = lookup_three(instruction.opcode) if len(operands) == 4 else None
    return three or lookup(instruction.opcode)


def _assign(b: BlockBuilder, target: Operand, function: LaneFunction, call: str) -> None:
    out = b.destination(target, function.results[0]) if function.is_ufunc_like else None
    if out is not None:
        b.line(f"{call}, out={out})")
        return
    b.write(target, function.results[0], f"{call})")
