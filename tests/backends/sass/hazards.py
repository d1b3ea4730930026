"""What the control bits must guarantee: no register is used before the result or the read it waits for is over.

A scoreboard that an instruction holds covers its own registers, and the results of earlier instructions of the same
in-order unit that hold none: the compiler lets the last one of a group speak for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backends.sass import Function, Instruction, Register

_IN_ORDER = {**dict.fromkeys(["LDS", "LDSM", "SHFL"], "shared"), "LDCU": "constants"}
_VARIABLE_PIPES = ("xu", "lsu", "adu", "tex", "tmem")
_NONE = -1


@dataclass(frozen=True)
class Pending:
    """A register that is not ready: its producer's scoreboard (-1: none yet), and whether it is still to be written."""

    scoreboard: int
    is_result: bool
    register: Register
    producer: int


State = frozenset[Pending]


def hazards(function: Function) -> Iterator[str]:
    """Every use of a register that is not ready on some path, described."""
    states = _fixpoint(function)
    for block in function.blocks:
        state = states.get(block.number)
        for instruction in function.instructions[block.first : block.last] if state is not None else ():
            state = _after_waits(state, instruction)
            for pending in state:
                producer = function.instructions[pending.producer]
                if _conflicts(pending, producer, instruction):
                    yield f"{instruction.address:#x} {instruction.text} uses {pending.register} of {producer.text}"
            state = _issued(function, state, instruction)


def _fixpoint(function: Function) -> dict[int, State]:
    roots = [0, *(block.callee for block in function.blocks if block.callee is not None)]
    states: dict[int, State] = dict.fromkeys(roots, frozenset())
    waiting = list(states)
    while waiting:
        number = waiting.pop()
        state, block = states[number], function.blocks[number]
        for instruction in function.instructions[block.first : block.last]:
            state = _issued(function, _after_waits(state, instruction), instruction)
        for successor in block.successors:
            joined = states.get(successor, frozenset()) | state
            if joined != states.get(successor):
                states[successor] = joined
                waiting.append(successor)
    return states


def waited_for(instruction: Instruction) -> tuple[int, ...]:
    """Scoreboards that are clear once the instruction issues; after DEPBAR.LE with a count, the oldest uses are."""
    if instruction.opcode == "DEPBAR" and instruction.operands:
        return (*instruction.control.waits, int(instruction.operands[0].removeprefix("SB")))
    return instruction.control.waits


def _after_waits(state: State, instruction: Instruction) -> State:
    """What is still pending; who has written its result has also read its operands."""
    clear = waited_for(instruction)
    done = {p.producer for p in state if p.is_result and p.scoreboard in clear}
    return frozenset(p for p in state if p.scoreboard not in clear and (p.is_result or p.producer not in done))


def _conflicts(pending: Pending, producer: Instruction, instruction: Instruction) -> bool:
    if _are_exclusive(producer.guard, instruction.guard):
        return False
    is_written = pending.register in instruction.writes
    if not pending.is_result:
        # A pipe reads its operands in order.
        return is_written and producer.pipe != instruction.pipe
    is_in_order = unit(producer) == unit(instruction) and pending.scoreboard == _NONE
    return pending.register in instruction.reads or (is_written and not is_in_order)


def _are_exclusive(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other and one.lstrip("!") == other.lstrip("!")


def unit(instruction: Instruction) -> str:
    """Instructions of one unit finish in order."""
    return "xu" if instruction.pipe == "xu" else _IN_ORDER.get(instruction.opcode, instruction.opcode)


def is_variable(instruction: Instruction) -> bool:
    """Whether only a scoreboard tells when the result is there."""
    return instruction.pipe in _VARIABLE_PIPES or instruction.opcode in ("LDCU", "S2UR")


def _issued(function: Function, state: State, instruction: Instruction) -> State:
    control, number = instruction.control, instruction.index
    # The predicate of a generic atomic tells whether the address was a shared one: it is there once that is read.
    results = {r for r in instruction.writes if not (instruction.opcode == "ATOM" and r.file == "P")}
    added: set[Pending] = set()
    if control.write_scoreboard is not None:
        state = frozenset(_covered(function, p, instruction, control.write_scoreboard) for p in state)
        added |= {Pending(control.write_scoreboard, True, r, number) for r in results}
    elif is_variable(instruction):
        added |= {Pending(_NONE, True, r, number) for r in results}
    if control.read_scoreboard is not None:
        # Predicates and uniform registers are read at issue.
        added |= {Pending(control.read_scoreboard, False, r, number) for r in instruction.reads if r.file == "R"}
    return state | added


def _covered(function: Function, pending: Pending, instruction: Instruction, scoreboard: int) -> Pending:
    is_older = pending.scoreboard == _NONE and unit(function.instructions[pending.producer]) == unit(instruction)
    return Pending(scoreboard, True, pending.register, pending.producer) if is_older else pending
