"""What a PTX file says: functions, instructions, operands; names of registers and labels are unique in a function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ir.diagnostics import Location


@dataclass(frozen=True)
class Register:
    """A register; `type` is as declared (`b32`, `pred`)."""

    name: str
    type: str


@dataclass(frozen=True)
class Immediate:
    """A literal; `value` is None for a floating-point one."""

    text: str
    value: int | None = None


@dataclass(frozen=True)
class Symbol:
    """A variable, parameter, label, function, or special register (`%tid.x`); `offset` is what is added to it."""

    name: str
    offset: int = 0


@dataclass(frozen=True)
class Vector:
    """`{a, b}`, `a|b`, or the argument list of a call."""

    items: tuple[Operand, ...]


@dataclass(frozen=True)
class Address:
    """`[base + offset, extra...]`; TMA addresses have coordinates as extra."""

    base: Register | Symbol | Immediate
    offset: int = 0
    extra: tuple[Operand, ...] = ()


Operand = Register | Immediate | Symbol | Vector | Address


@dataclass(frozen=True)
class Guard:
    """`@%p` or `@!%p`."""

    register: Register
    expected: bool = True


@dataclass(frozen=True)
class Label:
    """A place that branches name; unique in its function."""

    name: str


@dataclass(frozen=True)
class Instruction:
    """One instruction; `location` is the source line by `.loc` (else the PTX line), `place` the line of the PTX file.

    `spin`: a wait that the program repeats until it succeeds, with its loop folded away.
    """

    opcode: str
    operands: tuple[Operand, ...] = ()
    guard: Guard | None = None
    location: Location | None = None
    place: Location | None = None
    text: str = ""
    spin: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The opcode and its modifiers: `("ld", "global", "b32")`."""
        return tuple(self.opcode.split("."))

    @property
    def base(self) -> str:
        """The opcode without modifiers."""
        return self.opcode.partition(".")[0]


@dataclass(frozen=True)
class Function:
    """One `.entry` or `.func` with a body. `targets`: label of a `.branchtargets` list -> its labels."""

    name: str
    is_entry: bool
    parameters: tuple[Register, ...]
    statements: tuple[Instruction | Label, ...]
    targets: dict[str, tuple[str, ...]]
    threads: int | None
    place: Location

    @property
    def location(self) -> Location:
        """The source line of the first instruction that has one."""
        instructions = (s for s in self.statements if isinstance(s, Instruction))
        return next((i.location for i in instructions if i.location), self.place)


@dataclass(frozen=True)
class Module:
    """One PTX file; `target` is its architecture (`sm_90a`)."""

    file: str
    target: str
    functions: tuple[Function, ...]

    @property
    def entries(self) -> tuple[Function, ...]:
        """The kernels."""
        return tuple(f for f in self.functions if f.is_entry)


def registers(operand: Operand) -> Iterator[Register]:
    """Every register in an operand, in order."""
    match operand:
        case Register():
            yield operand
        case Vector(items):
            for item in items:
                yield from registers(item)
        case Address(base, _, extra):
            for item in (base, *extra):
                yield from registers(item)
