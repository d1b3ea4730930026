"""Reads of the two register-file banks by each instruction, less what the reuse cache already holds.

Each bank has one port of a register (of 32 lanes) a cycle, and an instruction has three cycles to read its operands
(Huerta et al., MICRO 2025). The reuse cache holds, for each operand slot and bank, the register that the warp's last
instruction read there, if its reuse flag was set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backends.sass.instruction import Instruction

BANKS = 2
# Operands that are no source slot: predicates, and barrier registers.
_NO_SLOT = re.compile(r"!?U?P[\dT]|B\d")
_REGISTER = re.compile(r"[-~|!]*R(\d+)")
_Held = dict[tuple[int, int], int]


def bank_reads(instructions: Sequence[Instruction]) -> list[tuple[int, int]]:
    """(reads of the even bank, of the odd bank) of each instruction, in program order from an empty cache.

    A wide operand is read from both banks. What follows a branch finds the cache as the code before it left it.
    """
    held: _Held = {}
    return [_reads(instruction, held) for instruction in instructions]


def _reads(instruction: Instruction, held: _Held) -> tuple[int, int]:
    counts = [0] * BANKS
    for slot, register in _sources(instruction):
        bank = register % BANKS
        counts[bank] += held.get((slot, bank)) != register
        if instruction.control.reuse >> slot & 1:
            held[slot, bank] = register
        else:
            held.pop((slot, bank), None)
    return counts[0], counts[1]


def _sources(instruction: Instruction) -> list[tuple[int, int]]:
    """(slot, register) of the sources that are vector registers; the first operand that is none is the result."""
    slots = [operand for operand in instruction.operands if not _NO_SLOT.match(operand)]
    has_result = any(register.file == "R" for register in instruction.writes) or slots[:1] == ["RZ"]
    matches = [_REGISTER.match(operand) for operand in slots[has_result:]]
    return [(slot, int(match[1])) for slot, match in enumerate(matches) if match]
