"""Instructions in which the lanes of a warp exchange values: shuffles, votes, matches, reductions, elections."""

from __future__ import annotations

from backends.emulator.convergence import meeting, members_of
from backends.emulator.program import bits_of
from backends.emulator.translate.builder import BlockBuilder
from backends.ptx.syntax import Instruction


def begin_meeting(b: BlockBuilder) -> None:
    """Lanes that an instruction of the block names and that are not in the front are waited for here."""
    index = meeting(b.program, b.number)
    if index is None:
        return
    members = members_of(b.begin(index))
    assert members is not None
    b.line("if F.mask is not None:")
    b.line(f"    met = S.convergence.gather(F, {b.read(members, 'b32')}, {index})")
    b.line("    if met is not None: return met")


def emit_shuffle(b: BlockBuilder, instruction: Instruction) -> None:
    """`shfl.sync.mode.b32 d{|p}, a, b, c, members`."""
    mode = _one_of(b, instruction, ("up", "down", "bfly", "idx"))
    target, value, lane, clamp, members = instruction.operands
    result = b.temporary()
    arguments = ", ".join(b.read(o, "b32") for o in (value, lane, clamp, members))
    b.effect(f"{result} = S.warps.shuffle(F, {mode!r}, {arguments}, {b.guard})")
    for index, (item, kind) in enumerate(zip(b.items(target), ("b32", "pred"), strict=False)):
        b.write(item, kind, f"{result}[{index}]")


def emit_vote(b: BlockBuilder, instruction: Instruction) -> None:
    """`vote.sync.mode.type d, {!}a, members`."""
    mode = _one_of(b, instruction, ("all", "any", "uni", "ballot"))
    target, value, members = instruction.operands
    result = b.temporary()
    b.effect(f"{result} = S.warps.vote(F, {mode!r}, {b.read(value, 'pred')}, {b.read(members, 'b32')}, {b.guard})")
    b.write(target, "b32" if mode == "ballot" else "pred", result)


def emit_match(b: BlockBuilder, instruction: Instruction) -> None:
    """`match.any.sync.type d, a, members`; `match.all.sync.type d{|p}, a, members`."""
    mode = _one_of(b, instruction, ("any", "all"))
    target, value, members = instruction.operands
    kind = f"b{bits_of(instruction.parts[-1])}"
    result = b.temporary()
    b.effect(f"{result} = S.warps.match(F, {mode!r}, {b.read(value, kind)}, {b.read(members, 'b32')}, {b.guard})")
    for index, (item, type_) in enumerate(zip(b.items(target), ("b32", "pred"), strict=False)):
        b.write(item, type_, f"{result}[{index}]")


def emit_redux(b: BlockBuilder, instruction: Instruction) -> None:
    """`redux.sync.op{.abs}{.NaN}.type d, a, members`."""
    target, value, members = instruction.operands
    kind = instruction.parts[-1]
    result = b.temporary()
    b.effect(
        f"{result} = S.warps.reduce(F, {instruction.opcode!r}, {b.read(value, kind)}, {b.read(members, 'b32')},"
        f" {b.guard})"
    )
    b.write(target, kind, result)


def emit_elect(b: BlockBuilder, instruction: Instruction) -> None:
    """`elect.sync d|p, members`: the lowest lane that executes it."""
    target, members = instruction.operands
    result = b.temporary()
    b.effect(f"{result} = S.warps.elect(F, {b.read(members, 'b32')}, {b.guard})")
    for index, (item, kind) in enumerate(zip(b.items(target), ("b32", "pred"), strict=False)):
        b.write(item, kind, f"{result}[{index}]")


def emit_activemask(b: BlockBuilder, instruction: Instruction) -> None:
    """`activemask.b32 d`."""
    b.write(instruction.operands[0], "b32", f"S.warps.active_mask(F, {b.guard})")


def _one_of(b: BlockBuilder, instruction: Instruction, names: tuple[str, ...]) -> str:
    found = next((p for p in instruction.parts if p in names), None)
    if found is None or "sync" not in instruction.parts:
        raise b.refuse(f"`{instruction.opcode}`")
    return found
