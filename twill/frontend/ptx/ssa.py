"""SSA form of an if-converted loop body: reaching definitions under predicates, loop-carried values, partial updates.

A definition under predicates updates its register only where they hold. It needs the register's old value only if
somebody can see it: a reader under predicates that do not imply the definition's, the next iteration, or code after
the loop. Readers under predicates that contradict it do not see it at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backends.ptx.syntax import Instruction, Register
from twill.frontend.ptx.opcodes import Effects, effects
from twill.frontend.ptx.region import Region

Literals = frozenset[tuple["Reference", bool]]
NO_LITERALS: Literals = frozenset()
_RETURNS = frozenset({"ret", "exit", "trap"})


@dataclass(frozen=True)
class Incoming:
    """The value that a register has when an iteration starts."""

    register: Register


@dataclass(frozen=True)
class Definition:
    """The value that instruction `step` of the body gives to a register."""

    register: Register
    step: int


Reference = Incoming | Definition


@dataclass
class Step:
    """One instruction of the body: what it reads, under which predicates, and the old values that it keeps."""

    instruction: Instruction
    effects: Effects
    literals: Literals
    predicates: tuple[tuple[Reference, bool], ...]
    operands: tuple[Reference, ...] = ()
    kept: dict[Register, Reference] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """Steps in order; `carried`: register -> its value at the end of an iteration; `exits`: steps that may leave."""

    steps: tuple[Step, ...]
    carried: Mapping[Register, Reference]
    exits: frozenset[int]


def to_ssa(region: Region, live_after: Mapping[int, frozenset[Register]]) -> Body:
    """SSA form; `live_after`: registers that are read after the loop, by the block that control leaves to."""
    return _Renamer(region, live_after).run()


class _Renamer:
    def __init__(self, region: Region, live_after: Mapping[int, frozenset[Register]]) -> None:
        self.region = region
        self.live_after = live_after
        self.steps: list[Step] = []
        self.definitions: dict[Register, list[Definition]] = {}
        self.branches: dict[int, Reference] = {}
        self.exit_steps: dict[int, int] = {}
        # For each partial definition, literals known to hold where its old value is seen; it shrinks to what all share.
        self.contexts: dict[Definition, Literals] = {}
        self.pending: list[Definition] = []
        self.incoming: set[Register] = set()

    def run(self) -> Body:
        for block in self.region.blocks:
            self._block(block.index, block.instructions)
        for block_index, edge in self.region.exits:
            step = self.exit_steps.get(block_index, len(self.steps))
            literals = self.steps[step].literals if step < len(self.steps) else NO_LITERALS
            for register in self.live_after.get(edge.target, ()):
                self._resolve(register, step, literals)
        carried = self._carried()
        for definition in list(self.contexts):
            self.steps[definition.step].kept[definition.register] = self._old(definition)
        return Body(tuple(self.steps), carried, frozenset(self.exit_steps.values()))

    def _block(self, index: int, instructions: tuple[Instruction, ...]) -> None:
        conditions = (self.region.conditions or {}).get(index, ())
        predicates: tuple[tuple[Reference, bool], ...] = ()
        literals = NO_LITERALS
        for condition in conditions:
            value = self.branches[condition.branch]
            predicates += ((value, condition.expected),)
            literals |= {(value, condition.expected)}
        for instruction in instructions:
            self._instruction(index, instruction, literals, predicates)

    def _instruction(
        self, block: int, instruction: Instruction, literals: Literals, predicates: tuple[tuple[Reference, bool], ...]
    ) -> None:
        position = len(self.steps)
        guard = instruction.guard
        leaves = self._leaves(block, instruction)
        if guard:
            value = self._resolve(guard.register, position, literals)
            if instruction.base == "bra":
                self.branches[block] = value
            predicates = (*predicates, (value, guard.expected))
        if instruction.base == "bra" and not leaves and not self._closes(block):
            return
        if leaves:
            self.exit_steps[block] = position
        own = literals if leaves else frozenset(predicates)
        what = effects(instruction)
        operands = tuple(self._resolve(r, position, own) for r in what.reads)
        self.steps.append(Step(instruction, what, own, predicates, operands))
        for register in dict.fromkeys(what.defines):
            self.definitions.setdefault(register, []).append(Definition(register, position))

    def _leaves(self, block: int, instruction: Instruction) -> bool:
        if instruction.base != "bra":
            return instruction.base in _RETURNS
        return any(b == block for b, _ in self.region.exits)

    def _closes(self, block: int) -> bool:
        """Whether the block is the last one: of the branches inside the body, its jump back alone remains."""
        return block == self.region.blocks[-1].index

    def _resolve(self, register: Register, position: int, known: Literals) -> Reference:
        """The definition that reaches `position`, seen by a reader that runs only where `known` holds."""
        for definition in reversed(self.definitions.get(register, ())):
            if definition.step >= position:
                continue
            literals = self.steps[definition.step].literals
            if any((value, not expected) in known for value, expected in literals):
                continue
            if not literals <= known:
                self._see_old(definition, known)
            return definition
        self.incoming.add(register)
        return Incoming(register)

    def _see_old(self, definition: Definition, known: Literals) -> None:
        seen = self.contexts.get(definition)
        shared = known if seen is None else seen & known
        if shared != seen:
            self.contexts[definition] = shared
            self.pending.append(definition)

    def _old(self, definition: Definition) -> Reference:
        """What the register held before a partial definition; it is seen where the predicates do not all hold."""
        literals = self.steps[definition.step].literals
        known = self.contexts[definition]
        unmet = literals - known
        if len(unmet) == 1:
            ((value, expected),) = unmet
            known |= {(value, not expected)}
        return self._resolve(definition.register, definition.step, known)

    def _settle(self) -> None:
        """Look up the old values that were asked for; that may ask for more."""
        while self.pending:
            self._old(self.pending.pop())

    def _carried(self) -> dict[Register, Reference]:
        """Values at the end of an iteration of the registers that the next one reads; finding them may add more."""
        carried: dict[Register, Reference] = {}
        self._settle()
        while pending := [r for r in self._ordered(self.incoming) if r in self.definitions and r not in carried]:
            for register in pending:
                carried[register] = self._resolve(register, len(self.steps), NO_LITERALS)
            self._settle()
        return carried

    @staticmethod
    def _ordered(registers: Iterable[Register]) -> list[Register]:
        return sorted(registers, key=lambda r: r.name)
