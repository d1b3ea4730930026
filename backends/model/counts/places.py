"""Where accesses to shared memory go that always go to the same place: state that the warps of a CTA share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.emulator.program import Program, bits_of
from backends.ptx.syntax import Address, Immediate, Instruction, Operand, Register, Symbol

_COPIES = frozenset(["mov", "cvta"])
# Chains of moves and additions that are followed to a variable.
_DEPTH = 8


def static_place(program: Program, definitions: Mapping[str, Sequence[int]], index: int) -> range | None:
    """Bytes of shared memory that an access always goes to; None where that is not known."""
    instruction = program.instructions[index]
    address = next((o for o in instruction.operands if isinstance(o, Address)), None)
    base = None if address is None else _value(program, definitions, address.base, _DEPTH)
    if address is None or base is None:
        return None
    start = base + address.offset
    return range(start, start + _nbytes(instruction))


def are_apart(one: range, other: range) -> bool:
    """Whether two ranges of bytes have none in common."""
    return one.stop <= other.start or other.stop <= one.start


def _nbytes(instruction: Instruction) -> int:
    count = next((int(p[1:]) for p in instruction.parts if p in ("v2", "v4", "v8")), 1)
    return max(bits_of(instruction.parts[-1]) // 8, 1) * count


def _value(program: Program, definitions: Mapping[str, Sequence[int]], operand: Operand, depth: int) -> int | None:
    match operand:
        case Immediate(value=value):
            return value
        case Symbol(name=name, offset=offset):
            return program.shared[name] + offset if name in program.shared else None
        case Register(name=name):
            return _defined(program, definitions, name, depth)
    return None


def _defined(program: Program, definitions: Mapping[str, Sequence[int]], name: str, depth: int) -> int | None:
    """The value of a register with one definition that adds constants up."""
    found = definitions.get(name, ())
    if len(found) != 1 or not depth:
        return None
    instruction = program.instructions[found[0]]
    if instruction.guard is not None:
        return None
    sources = instruction.operands[1:]
    if instruction.base in _COPIES or (instruction.base == "add" and len(sources) == 2):
        values = [_value(program, definitions, source, depth - 1) for source in sources]
        return None if None in values else sum(v for v in values if v is not None)
    return None
