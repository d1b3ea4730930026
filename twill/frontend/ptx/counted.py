"""Counted loops: the one exit compares a register that changes by a constant step with a bound that does not change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backends.ptx.syntax import Immediate, Instruction, Register
from twill.frontend.ptx.flow import Flow, NaturalLoop
from twill.frontend.ptx.opcodes import effects
from twill.frontend.ptx.ssa import Body, Definition, Incoming, Reference, Step

_COMPARES: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lo": lambda a, b: a < b,
    "ls": lambda a, b: a <= b,
    "hi": lambda a, b: a > b,
    "hs": lambda a, b: a >= b,
}
_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "lo": "hi", "ls": "hs", "hi": "lo", "hs": "ls"}
_NEGATED = {"eq": "ne", "lt": "ge", "gt": "le", "lo": "hs", "hi": "ls"}
_NEGATED |= {negated: relation for relation, negated in _NEGATED.items()}
_FLOAT = re.compile(r"f16|f32|f64")


@dataclass(frozen=True)
class Count:
    """The loop's `induction` register goes on by `step` until the test against `bound` ends it."""

    induction: Register
    bound: Register | int
    step: Register | int
    trip_count: int | None


@dataclass(frozen=True)
class _Term:
    """`register` as an iteration finds it, plus a constant."""

    register: Register
    offset: int


def initial_constants(flow: Flow, loop: NaturalLoop, parent: NaturalLoop | None) -> dict[Register, int]:
    """Registers that hold a known integer whenever the loop is entered.

    Their one write outside the loop is a `mov` that every way into the loop passes.
    """
    writes: dict[Register, list[tuple[int, Instruction]]] = {}
    for index, block in flow.blocks.items():
        for instruction in block.instructions:
            for register in effects(instruction).defines:
                writes.setdefault(register, []).append((index, instruction))
    single = {r: found[0][1] for r, found in writes.items() if len(found) == 1}
    outside = {r: [w for w in found if w[0] not in loop.blocks] for r, found in writes.items()}
    usable = {r: w[0][1] for r, w in outside.items() if len(w) == 1 and _always_before(flow, w[0][0], loop, parent)}
    return {r: value for r, i in usable.items() if (value := _moved(i, single)) is not None}


def _always_before(flow: Flow, block: int, loop: NaturalLoop, parent: NaturalLoop | None) -> bool:
    inner = parent is None or block in parent.blocks
    siblings = parent.children if parent else flow.loops
    return inner and flow.dominates(block, loop.header) and not any(block in s.blocks for s in siblings)


def _moved(instruction: Instruction, single: Mapping[Register, Instruction]) -> int | None:
    """The integer that a `mov` copies, through registers that are written only once."""
    for _ in range(len(single) + 1):
        if instruction.base != "mov" or instruction.guard is not None:
            return None
        match instruction.operands:
            case (Register(), Immediate(_, value)):
                return value
            case (Register(), Register() as copied) if copied in single:
                instruction = single[copied]
            case _:
                return None
    return None


def count(body: Body, constants: Mapping[Register, int]) -> Count | None:
    """How the loop counts, None where it has another exit or another kind of test.

    `constants`: initial values known before the loop; with constant step and bound they give the trip count.
    """
    if len(body.exits) != 1:
        return None
    (position,) = body.exits
    exit_step = body.steps[position]
    if len(exit_step.predicates) != 1:
        return None
    ((test, expected),) = exit_step.predicates
    compare = body.steps[test.step] if isinstance(test, Definition) else None
    if compare is None or compare.instruction.base != "setp" or compare.predicates:
        return None
    return _counted(body, compare, position, _continues(body, position, expected), constants)


def _continues(body: Body, position: int, expected: bool) -> bool:
    """The outcome of the test that starts another iteration: a last branch that is taken goes back."""
    return expected if position == len(body.steps) - 1 else not expected


def _counted(
    body: Body, compare: Step, exit_position: int, continues: bool, constants: Mapping[Register, int]
) -> Count | None:
    relation = next((p for p in compare.instruction.parts if p in _COMPARES), "")
    sides = _sides(body, compare)
    if sides is None or not relation:
        return None
    (term, bound), swapped = sides
    step = _step(body, term.register)
    if step is None or step == 0:
        return None
    relation = _MIRRORED.get(relation, relation) if swapped else relation
    start = constants.get(term.register)
    if not isinstance(step, int) or not isinstance(bound, int) or start is None:
        return Count(term.register, bound, step, None)
    relation = relation if continues else _NEGATED[relation]
    succeeded = _succeeded(start + term.offset, step, bound, relation)
    # A test at the end has let one iteration pass before it ran first.
    at_end = exit_position == len(body.steps) - 1
    return Count(term.register, bound, step, None if succeeded is None else succeeded + at_end)


def _sides(body: Body, compare: Step) -> tuple[tuple[_Term, Register | int], bool] | None:
    operands = compare.instruction.operands[1:]
    if len(operands) != 2:
        return None
    references = iter(compare.operands)
    values = [next(references) if isinstance(o, Register) else o for o in operands]
    for (first, second), swapped in (((values[0], values[1]), False), ((values[1], values[0]), True)):
        term, bound = _term(body, first), _invariant(body, second)
        if term is not None and bound is not None:
            return (term, bound), swapped
    return None


def _invariant(body: Body, value: object) -> Register | int | None:
    if isinstance(value, Immediate):
        return value.value
    return value.register if isinstance(value, Incoming) and value.register not in body.carried else None


def _term(body: Body, value: object) -> _Term | None:
    """Follow additions of constants back to a carried register."""
    offset = 0
    while isinstance(value, Definition):
        added = _addition(body.steps[value.step])
        if added is None or not isinstance(added[1], int):
            return None
        value, offset = added[0], offset + added[1]
    return _Term(value.register, offset) if isinstance(value, Incoming) and value.register in body.carried else None


def _addition(step: Step) -> tuple[Reference, int | Reference] | None:
    """`x + c` as (x, c) for an unpredicated integer add of a constant or a register; a copy of x is x + 0."""
    instruction = step.instruction
    if step.predicates or _FLOAT.search(instruction.opcode):
        return None
    match instruction.base, instruction.operands[1:]:
        case ("add", (Register(), Immediate(_, int(constant))) | (Immediate(_, int(constant)), Register())):
            return step.operands[0], constant
        case "add", (Register(), Register()):
            return step.operands[0], step.operands[1]
        # A conversion between widths is a copy too: a loop whose counter overflows is none that was written.
        case "mov" | "cvt", (Register(),):
            return step.operands[0], 0
    return None


def _step(body: Body, register: Register) -> Register | int | None:
    """The change of a carried register in one iteration, None where it is not constant."""
    term = _term(body, body.carried[register])
    if term is not None:
        return term.offset if term.register == register else None
    last = body.carried[register]
    added = _addition(body.steps[last.step]) if isinstance(last, Definition) else None
    if added is None or added[0] != Incoming(register) or not isinstance(added[1], Incoming):
        return None
    return None if added[1].register in body.carried else added[1].register


def _succeeded(first: int, step: int, bound: int, relation: str) -> int | None:
    """How often the test succeeds on first, first + step, ...; None where the register would wrap around.

    >>> [_succeeded(64, 64, 256, r) for r in ("lt", "le", "ne", "gt")], _succeeded(8, -1, 0, "gt")
    ([3, 4, 3, 0], 8)
    """
    if not _COMPARES[relation](first, bound):
        return 0
    distance = bound - first
    if relation == "ne":
        return distance // step if distance % step == 0 and distance // step > 0 else None
    ascending = relation in ("lt", "le", "lo", "ls")
    if relation == "eq":
        return 1
    if ascending != (step > 0):
        return None
    inclusive = relation in ("le", "ls", "ge", "hs")
    return abs(distance) // abs(step) + 1 if inclusive else -(-abs(distance) // abs(step))
