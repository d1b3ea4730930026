"""The blocks of a sliced program: each light, or telling the observer of every access, as a plan decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from backends.emulator.fronts import Front
from backends.emulator.translate import warps
from backends.emulator.translate.block import Block
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.table import emitter_of
from backends.model.counts.slicing import Slice
from backends.ptx.syntax import Operand

if TYPE_CHECKING:
    from backends.emulator.batch import Batch


class Plan(Protocol):
    """Decides which executions of which blocks are watched."""

    def watches(self, batch: Batch, front: Front, block: int) -> bool:
        """Whether the accesses of `front` are followed in the execution of `block` that begins."""


@dataclass(frozen=True)
class SlicedBlocks:
    """The two forms of all blocks of a program."""

    light: tuple[Block, ...]
    watched: tuple[Block, ...]

    def under(self, plan: Plan) -> tuple[Block, ...]:
        """Blocks of which those executions are watched that the plan wants."""
        pairs = zip(self.light, self.watched, strict=True)
        blocks: Any = tuple(PlannedBlock(light.number, light, watched, plan) for light, watched in pairs)
        found: tuple[Block, ...] = blocks
        return found


@dataclass(frozen=True)
class PlannedBlock:
    """A block that is watched when the plan wants it: only then has the batch an observer."""

    number: int
    light: Block
    watched: Block
    plan: Plan

    @property
    def length(self) -> int:
        """Instructions of the block, those that do not run included."""
        return self.light.length

    @property
    def numpy(self) -> Block:
        """The light form."""
        return self.light

    def run(self, batch: Batch, front: Front) -> Any:
        """Execute for all threads of `front`."""
        if not self.plan.watches(batch, front, self.number):
            observer, batch.observer = batch.observer, None
            try:
                return self.light.run(batch, front)
            finally:
                batch.observer = observer
        return self.watched.run(batch, front)


def translate_slice(sliced: Slice, addresses: Mapping[str, int]) -> SlicedBlocks:
    """Both forms of all blocks; raises UserError for an instruction of the slice that is not implemented."""
    numbers = range(len(sliced.program.blocks))
    muted = sliced.accesses - sliced.kept
    light = tuple(_block(sliced, n, addresses, sliced.light[n], frozenset()) for n in numbers)
    # A batch keeps the views of registers that a block gets by the block's number: the two forms need two numbers.
    watched = tuple(replace(_block(sliced, n, addresses, sliced.kept, muted), number=~n) for n in numbers)
    return SlicedBlocks(light, watched)


@dataclass
class _Builder(BlockBuilder):
    """Leaves out the results of instructions of which only the access is wanted."""

    is_muted: bool = False

    def write(self, operand: Operand, ptx_type: str, expression: str) -> None:
        """Assign, unless the instruction is muted."""
        if not self.is_muted:
            super().write(operand, ptx_type, expression)


def _block(
    sliced: Slice, number: int, addresses: Mapping[str, int], run: frozenset[int], muted: frozenset[int]
) -> Block:
    program = sliced.program
    builder = _Builder(program, number, addresses)
    warps.begin_meeting(builder)
    for index in program.blocks[number]:
        if index not in run and index not in muted:
            continue
        instruction = builder.begin(index)
        builder.is_muted = index in muted
        if index in sliced.assumed:
            instruction = builder.instruction = replace(instruction, guard=None)
        emitter_of(instruction.opcode)(builder, instruction)
    return builder.finish(len(program.blocks[number]))
