"""Uses of mbarriers and matrix shapes, carried over from PTX to the machine instructions made of it.

The assembler rotates the loop around a `try_wait`: it asks once before the loop, in an instruction that it counts to a
line above the wait, and again and again in a block of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backends.model.asynchronous.observe import observe
from backends.model.asynchronous.observed import ARRIVE, COMMIT, COPY, WAIT
from backends.model.asynchronous.uses import Uses, uses
from backends.model.counts.launch import Launch
from backends.model.sm.costs import BarrierUse, TensorShape
from backends.sass.function import Function
from backends.sass.instruction import Instruction
from ir.diagnostics import Diagnostic

_COPIES = ("UTMALDG", "UBLKCP")
_MATRICES = ("UTCHMMA", "UTCIMMA", "UTCQMMA", "UTCOMMA", "UTCMXQMMA")


# Of an instruction that no warp executes.
_IDLE = BarrierUse("idle", jump=0, offsets={})


@dataclass(frozen=True)
class Asynchronous:
    """What the simulation has to be told of a launch, by index of the machine instruction; notes say what is missing.

    late: blocks of machine code that warps pass by in the first turns of a loop, where `build_trace` would take any.
    """

    barriers: Mapping[int, BarrierUse]
    shapes: Mapping[int, TensorShape]
    late: frozenset[int] = frozenset()
    notes: tuple[Diagnostic, ...] = ()


def asynchronous(function: Function, launch: Launch, cta: int = 0) -> Asynchronous:
    """Barriers and shapes of a launch, by running its CTA `cta`. Raises UserError as `observe` does."""
    if not any(_kind(i) or i.opcode in _MATRICES for i in function.instructions):
        return Asynchronous({}, {})
    return match_uses(function, uses(observe(launch, cta)))


def match_uses(function: Function, found: Uses) -> Asynchronous:
    """Uses by machine instruction. A barrier of which some arrival is in no machine instruction is left out."""
    matcher = _Matcher(function, found)
    barriers = matcher.barriers()
    shapes = {
        i.index: shape
        for i in function.instructions
        if i.opcode in _MATRICES and (shape := found.shapes.get(i.ptx_line or 0)) is not None
    }
    matched = {(_kind(i), matcher.line(i)) for i in function.instructions if i.index in barriers}
    lost = {u.name: key for key, u in found.barriers.items() if key[0] != WAIT and key not in matched}
    notes = [
        Diagnostic("barrier-unmatched", f"{name}: no machine instruction for the {kind} of line {line} of the PTX")
        for name, (kind, line) in lost.items()
    ]
    kept = {index: use for index, use in barriers.items() if use.name not in lost} | _named(function, found)
    late = frozenset(b.number for b in function.blocks if _is_late(function.instructions[b.first : b.last], found.late))
    return Asynchronous(kept, shapes, late, (*found.notes, *notes))


def _is_late(block: Sequence[Instruction], lines: frozenset[int]) -> bool:
    """Whether most of a block comes from these lines: the assembler moves some instructions over its ends."""
    known = [i.ptx_line in lines for i in block if i.ptx_line is not None]
    return 2 * sum(known) > len(known)


def _named(function: Function, found: Uses) -> dict[int, BarrierUse]:
    """Named barriers that the assembler guards, in place of a branch around them: who comes there."""
    guarded = [i for i in function.instructions if i.opcode == "BAR" and i.guard and i.ptx_line in found.joined]
    return {
        i.index: BarrierUse("named", jump=0, offsets=dict.fromkeys(sorted(found.joined[i.ptx_line]), 0))
        for i in guarded
        if i.ptx_line is not None
    }


class _Matcher:
    def __init__(self, function: Function, found: Uses) -> None:
        self.function = function
        self.found = found
        self.block_of = {i: b.number for b in function.blocks for i in range(b.first, b.last)}
        self.lines = {i.index: self._line(i) for i in function.instructions if _kind(i)}

    def line(self, instruction: Instruction) -> int | None:
        """The line of PTX that an instruction which may touch a barrier stands for."""
        return self.lines.get(instruction.index)

    def barriers(self) -> dict[int, BarrierUse]:
        """By index."""
        known: dict[int, BarrierUse] = {}
        for instruction in self.function.instructions:
            kind, line = _kind(instruction), self.line(instruction)
            use = self.found.barriers.get((kind, line)) if kind and line is not None else None
            if line in self.found.idle:
                known[instruction.index] = _IDLE
            elif use is not None:
                known[instruction.index] = replace(use, retries=True) if self._retries(instruction) else use
        return known

    def _line(self, instruction: Instruction) -> int | None:
        line, kind = instruction.ptx_line, _kind(instruction)
        if line is None or kind != WAIT or self._is_known(line):
            return line
        again = {i.ptx_line for i in self._following(instruction) if self._is_known(i.ptx_line)}
        return again.pop() if len(again) == 1 else line

    def _is_known(self, line: int | None) -> bool:
        return line in self.found.idle or (WAIT, line) in self.found.barriers

    def _following(self, instruction: Instruction) -> Iterator[Instruction]:
        """The same question in the blocks that may come next."""
        for successor in self.function.blocks[self.block_of[instruction.index]].successors:
            yield from (i for i in self._waits(successor) if i.operands == instruction.operands)

    def _waits(self, block: int) -> list[Instruction]:
        it = self.function.blocks[block]
        return [i for i in self.function.instructions[it.first : it.last] if _kind(i) == WAIT]

    def _retries(self, instruction: Instruction) -> bool:
        """Whether it is in a loop of one block, which is entered after the same question was asked before."""
        block = self.function.blocks[self.block_of[instruction.index]]
        if _kind(instruction) != WAIT or block.number not in block.successors:
            return False
        before = [b.number for b in self.function.blocks if block.number in b.successors and b is not block]
        asked = (i for number in before for i in self._waits(number))
        return any(self.line(i) == self.line(instruction) for i in asked)


def _kind(instruction: Instruction) -> str:
    """What it does to an mbarrier, "" for nothing."""
    if instruction.opcode in _COPIES:
        return COPY
    if instruction.opcode == "UTCBAR":
        return COMMIT
    if instruction.opcode not in ("SYNCS", "ARRIVES"):
        return ""
    if "PHASECHK" in instruction.modifiers:
        return WAIT
    return ARRIVE if instruction.opcode == "ARRIVES" or "ARRIVE" in instruction.modifiers else ""
