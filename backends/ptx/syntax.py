"""What a PTX file says: variables, functions, instructions, operands; names in a function are unique in it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ir.diagnostics import Location

Extent = tuple[int, int, int]
# `Variable` has a field called `bytes`, which hides the type.
Data = bytes

# Operands


@dataclass(frozen=True)
class Register:
    """A register; `type` is as declared (`b32`, `pred`)."""

    name: str
    type: str


@dataclass(frozen=True)
class Immediate:
    """A literal or constant expression: `value` of an integer, else the `bits` of an IEEE 754 number of type `kind`.

    >>> Immediate("0f3F800000", bits=0x3F800000, kind="f32").real, Immediate("-4", -4).value
    (1.0, -4)
    """

    text: str
    value: int | None = None
    bits: int | None = None
    kind: str = ""

    @property
    def real(self) -> float | None:
        """The number that a floating-point literal stands for, None for an integer."""
        if self.bits is None:
            return None
        layout = ("<I", "<f") if self.kind == "f32" else ("<Q", "<d")
        number: float = struct.unpack(layout[1], struct.pack(layout[0], self.bits))[0]
        return number


@dataclass(frozen=True)
class Symbol:
    """A variable, parameter, label, function, special register (`%tid.x`), or `_`; `offset` is what is added to it."""

    name: str
    offset: int = 0

    @property
    def is_sink(self) -> bool:
        """True for `_`, the result or source that is not wanted."""
        return self.name == "_"


@dataclass(frozen=True)
class Negated:
    """`!%p`: the complement of a predicate."""

    operand: Operand


@dataclass(frozen=True)
class Vector:
    """`{a, b}`, or the argument list `(a, b)` of a call."""

    items: tuple[Operand, ...]


@dataclass(frozen=True)
class Pair:
    """`a|b`: a result and a second one, mostly a predicate."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Address:
    """`[base + offset, extra...]`; TMA addresses have coordinates as extra."""

    base: Register | Symbol | Immediate
    offset: int = 0
    extra: tuple[Operand, ...] = ()


Operand = Register | Immediate | Symbol | Negated | Vector | Pair | Address


@dataclass(frozen=True)
class Guard:
    """`@%p` or `@!%p`."""

    register: Register
    expected: bool = True


# Statements


@dataclass(frozen=True)
class Label:
    """A place that branches name; unique in its function."""

    name: str
    place: Location | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Instruction:
    """One instruction, where the PTX file has it (`place`) and what source line it came from (`location`).

    `location` is the line that `.loc` names, else `place`; `inlined` the call site if the code was inlined from there.
    `spin`: a wait that the program repeats until it succeeds, with its loop folded away.
    """

    opcode: str
    operands: tuple[Operand, ...] = ()
    guard: Guard | None = None
    location: Location | None = None
    inlined: Location | None = None
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

    @property
    def origin(self) -> Location | None:
        """The line to show: the call, where the code was inlined from another file than the caller's."""
        elsewhere = self.inlined and self.location and self.inlined.file != self.location.file
        return self.inlined if elsewhere else self.location


# Declarations


@dataclass(frozen=True)
class Relocation:
    """An address in an initialiser: at byte `offset` stands `symbol + addend`, as a generic address or in its space.

    With a `mask` only those bits of the address, shifted down to bit 0. `bytes` is the size of the field.
    """

    offset: int
    bytes: int
    symbol: str
    addend: int = 0
    is_generic: bool = False
    mask: int | None = None


@dataclass(frozen=True)
class Variable:
    """A variable in `space`; `elements` of `type` (None: `x[]`, sized at launch or elsewhere), `bytes` in all.

    `initial` may be shorter than `bytes`: the rest is zero. Fields that hold addresses are zero there and listed in
    `relocations`.
    """

    name: str
    space: str
    type: str
    alignment: int
    elements: int | None
    bytes: int
    initial: Data | None = None
    relocations: tuple[Relocation, ...] = ()
    linkage: str = ""
    place: Location | None = field(default=None, compare=False)

    @property
    def is_extern(self) -> bool:
        """True where the storage is defined elsewhere; for `.shared x[]`, at the launch."""
        return self.linkage == "extern"


@dataclass(frozen=True)
class Parameter:
    """A parameter or result of a function; `bytes` of the whole array where it is one (`.b8 p[128]`)."""

    name: str
    type: str
    alignment: int
    bytes: int
    is_register: bool = False
    place: Location | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Attributes:
    """The performance directives of a function; extents are (x, y, z), None where nothing is said."""

    required_threads: Extent | None = None
    max_threads: Extent | None = None
    min_ctas: int | None = None
    max_registers: int | None = None
    cluster: Extent | None = None
    max_cluster_ctas: int | None = None
    is_explicit_cluster: bool = False
    noreturn: bool = False


@dataclass(frozen=True)
class Function:
    """One `.entry` or `.func`; a declaration without a body has no statements.

    `registers`: those that are used; `targets`: label of a `.branchtargets` or `.calltargets` list -> what it lists.
    """

    name: str
    is_entry: bool
    parameters: tuple[Parameter, ...]
    statements: tuple[Instruction | Label, ...]
    place: Location
    returns: tuple[Parameter, ...] = ()
    registers: tuple[Register, ...] = ()
    variables: tuple[Variable, ...] = ()
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: Attributes = Attributes()
    linkage: str = ""
    is_declaration: bool = False

    @property
    def location(self) -> Location:
        """The source line of the first instruction that has one."""
        instructions = (s for s in self.statements if isinstance(s, Instruction))
        return next((i.origin for i in instructions if i.origin), self.place)

    @property
    def threads(self) -> int | None:
        """Threads of a CTA: those required, else the most allowed, else None."""
        extent = self.attributes.required_threads or self.attributes.max_threads
        return math.prod(extent) if extent else None


@dataclass(frozen=True, eq=False)
class Module:
    """One PTX file; `target` is its architecture (`sm_90a`), `files` the table that `.loc` refers to.

    It is equal to itself alone, so that what is made of it can be kept.
    """

    file: str
    version: str
    target: str
    address_size: int
    functions: tuple[Function, ...]
    variables: tuple[Variable, ...] = ()
    files: Mapping[int, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> tuple[Function, ...]:
        """The kernels that have a body."""
        return tuple(f for f in self.functions if f.is_entry and not f.is_declaration)


def registers(operand: Operand) -> Iterator[Register]:
    """Every register in an operand, in order."""
    match operand:
        case Register():
            yield operand
        case Negated(inner):
            yield from registers(inner)
        case Vector(items):
            for item in items:
                yield from registers(item)
        case Pair(first, second):
            yield from registers(first)
            yield from registers(second)
        case Address(base, _, extra):
            for item in (base, *extra):
                yield from registers(item)
