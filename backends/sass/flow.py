"""Basic blocks and the edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.sass.instruction import Instruction
from backends.sass.words import words

_ENDS = words("BRA BRX BRXU JMP JMX JMXU RET EXIT CALL KILL BSYNC BREAK WARPSYNC ENDCOLLECTIVE")
_LEAVES = words("RET EXIT KILL")
_JUMPS = words("BRA JMP")
_CONDITIONS = ("P", "!P", "UP", "!UP", "UR")


@dataclass(frozen=True)
class Block:
    """Instructions first to last (exclusive) that run one after another. successors: numbers of blocks.

    A call falls through to the block where it returns to; `callee` is then the block where the called function starts.
    """

    number: int
    first: int
    last: int
    successors: tuple[int, ...]
    callee: int | None = None


def blocks_of(
    instructions: Sequence[Instruction],
    functions: frozenset[int] = frozenset(),
    indirect: dict[int, tuple[int, ...]] | None = None,
) -> tuple[Block, ...]:
    """Blocks in the order of the code. functions: addresses where called functions start.

    indirect: instruction -> addresses that it may jump to.
    """
    return _Splitter(instructions, functions, indirect or {}).blocks()


class _Splitter:
    def __init__(
        self, instructions: Sequence[Instruction], functions: frozenset[int], indirect: dict[int, tuple[int, ...]]
    ) -> None:
        self._code = instructions
        self._functions = functions
        self._indirect = indirect
        self._at = {i.address: i.index for i in instructions}
        self._starts = self._leaders()
        self._number = {first: number for number, first in enumerate(self._starts)}

    def blocks(self) -> tuple[Block, ...]:
        ends = [*self._starts[1:], len(self._code)]
        return tuple(self._block(number, *span) for number, span in enumerate(zip(self._starts, ends, strict=True)))

    def _leaders(self) -> list[int]:
        starts = {0} if self._code else set()
        for instruction in self._code:
            if instruction.opcode in _ENDS:
                starts.add(instruction.index + 1)
            targets = self._indirect.get(instruction.index, ())
            named = () if instruction.target is None else (instruction.target,)
            starts.update(self._at[a] for a in (*targets, *named) if a in self._at)
        starts.update(self._at[a] for a in self._functions if a in self._at)
        return sorted(starts - {len(self._code)})

    def _block(self, number: int, first: int, last: int) -> Block:
        end = self._code[last - 1]
        targets = [self._number[self._at[a]] for a in self._targets(end)]
        if _falls_through(end) or self._is_call(end):
            targets.append(number + 1)
        inside = dict.fromkeys(target for target in targets if target < len(self._starts))
        callee = self._number[self._at[end.target]] if self._is_call(end) and end.target is not None else None
        return Block(number, first, last, tuple(inside), callee)

    def _targets(self, end: Instruction) -> tuple[int, ...]:
        """Addresses that the last instruction of a block may jump to."""
        if end.index in self._indirect:
            return self._indirect[end.index]
        is_jump = end.opcode in _JUMPS or (end.opcode == "CALL" and not self._is_call(end))
        return (end.target,) if is_jump and end.target is not None else ()

    def _is_call(self, end: Instruction) -> bool:
        """A call of a function returns; one to a label inside this function is a jump that the compiler wrote so."""
        return end.opcode == "CALL" and (end.target is None or end.target in self._functions)


def _falls_through(end: Instruction) -> bool:
    """Whether some thread may go on after the instruction."""
    if end.opcode not in _LEAVES | _JUMPS | {"CALL", "BRX", "BRXU", "JMX", "JMXU"}:
        return True
    return end.guard is not None or is_conditional(end)


def is_conditional(branch: Instruction) -> bool:
    """Whether a branch has a condition apart from its guard: a predicate or, for divergence, a mask."""
    return branch.opcode in _JUMPS and len(branch.operands) > 1 and branch.operands[0].startswith(_CONDITIONS)
