"""Registers that an instruction defines and uses, and what each basic block reads before it writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from backends.emulator.program import Program, Row
from backends.ptx.syntax import Address, Instruction, Negated, Operand, Pair, Register, Vector

_NO_RESULT = frozenset(
    [
        "st",
        "red",
        "bar",
        "barrier",
        "membar",
        "fence",
        "bra",
        "brx",
        "ret",
        "exit",
        "trap",
        "brkpt",
        "cp",
        "prefetch",
        "prefetchu",
        "nanosleep",
        "setmaxnreg",
        "griddepcontrol",
        "stmatrix",
        "discard",
        "applypriority",
        "pragma",
        "wgmma",
        "tcgen05",
        "tensormap",
        "call",
        "pmevent",
        "wmma_store",
    ]
)
_RESULTS = ("tcgen05.ld", "barrier.red", "bar.red", "barrier.cta.red")


def registers_in(operand: Operand) -> Iterator[Register]:
    """The registers of an operand, those of an address included."""
    match operand:
        case Register():
            yield operand
        case Vector(items):
            inner: tuple[Operand, ...] = items
        case Pair(first, second):
            inner = (first, second)
        case Negated(item):
            inner = (item,)
        case Address(base, _, extra):
            inner = (base, *extra)
        case _:
            return
    if not isinstance(operand, Register):
        for item in inner:
            yield from registers_in(item)


def has_result(instruction: Instruction) -> bool:
    """Whether the first operand is written."""
    if not instruction.operands or isinstance(instruction.operands[0], Address):
        return False
    if instruction.opcode.startswith(_RESULTS):
        return True
    return instruction.base not in _NO_RESULT and not instruction.opcode.startswith("wmma.store")


def defined(instruction: Instruction) -> set[str]:
    """Names of the registers that an instruction writes when it runs; asynchronous results are none of its."""
    return {r.name for r in registers_in(instruction.operands[0])} if has_result(instruction) else set()


def used(instruction: Instruction) -> set[str]:
    """Names of the registers that it reads, its guard included."""
    is_product = instruction.opcode.startswith("wgmma.mma_async")
    operands = instruction.operands[1:] if has_result(instruction) or is_product else instruction.operands
    names = {r.name for o in operands for r in registers_in(o)}
    return names | {instruction.guard.register.name} if instruction.guard else names


@dataclass(frozen=True)
class BlockRegisters:
    """`exposed`: register -> the first instruction of the block that reads it before the block writes it."""

    exposed: dict[Row, int]
    written: frozenset[Row]


@lru_cache(maxsize=8)
def registers_of_blocks(program: Program) -> tuple[BlockRegisters, ...]:
    """What each block reads before it writes, of a program that many batches run."""
    return tuple(block_registers(program, block) for block in program.blocks)


def block_registers(program: Program, block: range) -> BlockRegisters:
    """What a block reads before it writes. Copies (`mov`) are no uses: compilers copy values that nobody needs."""
    exposed: dict[Row, int] = {}
    written: set[Row] = set()
    for index in block:
        instruction = program.instructions[index]
        if instruction.base != "mov":
            for name in sorted(used(instruction)):
                row = program.rows[name]
                if row not in written:
                    exposed.setdefault(row, index)
        written |= {program.rows[name] for name in defined(instruction)}
        written |= _asynchronous_results(program, instruction)
    return BlockRegisters(exposed, frozenset(written))


def _asynchronous_results(program: Program, instruction: Instruction) -> set[Row]:
    """The accumulator of a `wgmma`: its first product may ignore what was there."""
    if not instruction.opcode.startswith("wgmma.mma_async"):
        return set()
    return {program.rows[r.name] for r in registers_in(instruction.operands[0])}
