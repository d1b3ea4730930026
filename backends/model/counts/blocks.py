"""The blocks of a sliced program: each light, or telling the observer of every access, as a plan decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
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
    """The forms of all blocks of a program: light; with every access; with those that may be to global memory."""

    sliced: Slice
    addresses: Mapping[str, int]

    @cached_property
    def light(self) -> tuple[Block, ...]:
        """What must run even where nobody watches."""
        return self._blocks(frozenset())

    @cached_property
    def watched(self) -> tuple[Block, ...]:
        """With every access."""
        return self._blocks(self.sliced.accesses - self.sliced.kept)

    @cached_property
    def streamed(self) -> tuple[Block, ...]:
        """With the accesses that may leave the SM."""
        muted = self.sliced.accesses - self.sliced.kept
        return self._blocks(frozenset(i for i in muted if _leaves_the_sm(self.sliced, i)))

    def under(self, plan: Plan, streamed: bool = False) -> tuple[Block, ...]:
        """Blocks of which those executions are watched that the plan wants."""
        pairs = zip(self.light, self.streamed if streamed else self.watched, strict=True)
        # A batch keeps the views of registers that a block gets by the block's number: the two forms need two numbers.
        blocks: Any = tuple(PlannedBlock(a.number, a, replace(b, number=~b.number), plan) for a, b in pairs)
        found: tuple[Block, ...] = blocks
        return found

    def _blocks(self, muted: frozenset[int]) -> tuple[Block, ...]:
        run = self.sliced.needed(muted)
        return tuple(_block(self.sliced, n, self.addresses, r, muted) for n, r in enumerate(run))


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


def _leaves_the_sm(sliced: Slice, index: int) -> bool:
    """Whether an access may be to global or local memory; a copy to shared memory reads it."""
    return sliced.roles[index].space != "shared" or sliced.program.instructions[index].base == "cp"


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
