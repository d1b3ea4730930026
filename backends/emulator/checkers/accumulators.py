"""Registers of `wgmma` that are used while it is in flight: a forward data flow over the basic blocks.

The state is, for each register of a product in flight, how many groups have been committed since it was issued, at
least: 0 means not even its own. `wgmma.wait_group N` completes what is older than the N newest groups, so what has more
than N commits after it. States of several predecessors join by the smaller number.
"""

from __future__ import annotations

from backends.emulator.checkers.registers import defined, registers_in, used
from backends.emulator.liveness import successors
from backends.emulator.program import Program
from backends.ptx.syntax import Immediate, Instruction

_MAX_AGE = 16
State = dict[str, tuple[int, int]]
"""Register -> (commits since, the instruction that issued it)."""
Use = tuple[int, str, int]
"""(instruction, register, instruction that issued the product)."""


def _accumulator(instruction: Instruction) -> list[str]:
    return [r.name for r in registers_in(instruction.operands[0])]


def premature_uses(program: Program) -> dict[int, list[Use]]:
    """By block: instructions that read or write a register which a `wgmma` in flight writes."""
    if not any(i.base == "wgmma" for i in program.instructions):
        return {}
    count = len(program.blocks)
    into: list[State | None] = [None] * (count + 1)
    into[0] = {}
    todo = [0]
    while todo:
        number = todo.pop()
        state = _through(program, number, dict(into[number] or {}), None)
        todo += [target for target in successors(program, number) if target < count and _join(into, target, state)]
    found: dict[int, list[Use]] = {}
    for number in range(count):
        if into[number] is not None:
            _through(program, number, dict(into[number] or {}), found.setdefault(number, []))
    return {number: uses for number, uses in found.items() if uses}


def _join(into: list[State | None], target: int, state: State) -> bool:
    """Merge a state into that of a block; True if it grew."""
    known = into[target]
    if known is None:
        into[target] = dict(state)
        return True
    grew = False
    for name, (age, site) in state.items():
        if name not in known or age < known[name][0]:
            known[name] = (age, site)
            grew = True
    return grew


def _through(program: Program, number: int, state: State, found: list[Use] | None) -> State:
    for index in program.blocks[number]:
        instruction = program.instructions[index]
        if instruction.opcode.startswith("wgmma.mma_async"):
            state |= dict.fromkeys(_accumulator(instruction), (0, index))
        elif instruction.opcode.startswith("wgmma.commit_group"):
            state = {name: (min(age + 1, _MAX_AGE), site) for name, (age, site) in state.items()}
        elif instruction.opcode.startswith("wgmma.wait_group"):
            state = _waited(state, instruction)
        elif found is not None:
            touched = sorted((used(instruction) | defined(instruction)) & state.keys())
            found += [(index, name, state[name][1]) for name in touched]
    return state


def _waited(state: State, instruction: Instruction) -> State:
    operand = instruction.operands[0]
    newest = operand.value if isinstance(operand, Immediate) and operand.value is not None else 0
    return {name: (age, site) for name, (age, site) in state.items() if age <= newest}
