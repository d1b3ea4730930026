"""Branches, exits and what else ends a basic block."""

from __future__ import annotations

from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction, Symbol


def emit_branch(b: BlockBuilder, instruction: Instruction) -> None:
    """`bra`: a jump of all lanes, or of those that the guard chooses."""
    target = instruction.operands[0]
    if not isinstance(target, Symbol) or target.name not in b.program.labels:
        raise b.refuse("this branch target")
    _go(b, b.program.labels[target.name])


def emit_indirect_branch(b: BlockBuilder, instruction: Instruction) -> None:
    """`brx.idx index, table`."""
    index, table = instruction.operands
    labels = b.program.entry.targets.get(getattr(table, "name", ""), ())
    if not labels:
        raise b.refuse("a branch table without `.branchtargets`")
    blocks = tuple(b.program.labels[name] for name in labels)
    b.effect(f"return S.branch_by_table(F, {b.read(index, 'u32')}, {blocks!r}, {b.guard})")


def emit_exit(b: BlockBuilder, instruction: Instruction) -> None:
    """`ret` and `exit` of an entry."""
    del instruction
    _go(b, len(b.program.blocks))


def emit_trap(b: BlockBuilder, instruction: Instruction) -> None:
    """`trap`, `brkpt`: the launch fails if any lane gets here."""
    b.effect(f"S.trap(F, {b.guard}, {instruction.base!r})")


def emit_nanosleep(b: BlockBuilder, instruction: Instruction) -> None:
    """`nanosleep`: others go on first."""
    del instruction
    b.line(f"return S.yield_to_others(F, {b.number + 1})")


def _go(b: BlockBuilder, block: int) -> None:
    b.line(f"return {block}" if b.guard == "None" else f"return ({b.guard}, {block})")
