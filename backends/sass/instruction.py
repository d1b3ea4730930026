"""One machine instruction: what it reads and writes, which pipe executes it, and the compiler's control bits."""

from __future__ import annotations

from dataclasses import dataclass

from ir.diagnostics import Location

# A scoreboard field with this value names none; the counters are 0 to 5.
_NO_SCOREBOARD = 7


@dataclass(frozen=True, slots=True)
class Control:
    """How the compiler schedules an instruction.

    stall: cycles until the warp may issue its next instruction. yields: the scheduler is asked to prefer another warp.
    write_scoreboard: counter that is held until the results are written. read_scoreboard: counter that is held until
    the operands are read. wait_mask: bit i is set if counter i must be zero before issue. reuse: bit i is set if the
    operand in slot i stays in the reuse cache.
    """

    stall: int
    yields: bool
    write_scoreboard: int | None
    read_scoreboard: int | None
    wait_mask: int
    reuse: int

    @property
    def waits(self) -> tuple[int, ...]:
        """Scoreboards that must be zero before issue, ascending."""
        return tuple(i for i in range(6) if self.wait_mask >> i & 1)


@dataclass(frozen=True, slots=True, order=True)
class Register:
    """A 32-bit register (files R, UR), a predicate (P, UP) or a convergence-barrier register (B)."""

    file: str
    index: int

    def __str__(self) -> str:
        return f"{self.file}{self.index}"


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """What a memory instruction moves.

    space: global, shared, local, constant, generic, distributed (shared memory of the cluster) or tensor. kind: load,
    store, atomic (returns a value), reduce (does not) or copy (between memories; `space` is then the far one).
    bytes_per_lane: bytes of one thread, 0 where registers do not tell (bulk copies). is_uniform_address: every thread
    has the same address, because no vector register is part of it.
    """

    space: str
    kind: str
    bytes_per_lane: int
    is_uniform_address: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a function.

    index: position in the function. address: bytes from the start of the function's section. `text` is the
    disassembly without control bits; guard is "P0", "!P0", "UP1", ... location: innermost source line; inlined_at:
    where that line's function was inlined, innermost first. ptx_line: line of the PTX that the assembler read.
    reads and writes: registers, with those of wide operands and the guard; RZ, PT, URZ and UPT are none.
    target: address that a direct branch, call, or BSSY names. pipe_cycles: for how long the pipe of the sub-core takes
    no other instruction, None where it is not known.
    """

    index: int
    address: int
    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str | None
    control: Control
    location: Location | None
    text: str
    reads: frozenset[Register]
    writes: frozenset[Register]
    pipe: str
    access: MemoryAccess | None
    ptx_line: int | None = None
    inlined_at: tuple[Location, ...] = ()
    target: int | None = None
    pipe_cycles: int | None = None


def decode_control(encoding: int) -> Control:
    """Control bits of a 128-bit encoding, the same for sm_70 to sm_121.

    Bits 105 to 108 are the stall count, 109 is clear to yield, 110 to 112 and 113 to 115 are the write and the read
    scoreboard, 116 to 121 the wait mask, 122 to 125 the reuse flags. Source: Jia et al., Dissecting the NVIDIA Volta
    GPU Architecture via Microbenchmarking (2018), section 2.1; the positions hold for every architecture here, since
    no register is used before the scoreboard of its producer has been waited for (tests/backends/sass).

    >>> decode_control(0x000E240000000800_0000000402007981)
    Control(stall=2, yields=False, write_scoreboard=0, read_scoreboard=None, wait_mask=0, reuse=0)
    """
    bits = encoding >> 105
    return Control(
        stall=bits & 15,
        yields=not bits >> 4 & 1,
        write_scoreboard=_scoreboard(bits >> 5 & 7),
        read_scoreboard=_scoreboard(bits >> 8 & 7),
        wait_mask=bits >> 11 & 63,
        reuse=bits >> 17 & 15,
    )


def _scoreboard(field: int) -> int | None:
    return None if field == _NO_SCOREBOARD else field
