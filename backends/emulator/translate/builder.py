"""Writes the Python of one basic block: names of registers, constants, operands read and results written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.emulator.clocks import CLOCKS
from backends.emulator.clocks import expression as clock
from backends.emulator.geometry import is_known
from backends.emulator.program import Program, Row, bits_of, unsupported
from backends.emulator.semantics.table import storage
from backends.emulator.translate.block import Block, View
from backends.ptx.syntax import Address, Immediate, Instruction, Negated, Operand, Pair, Register, Symbol, Vector

_CLASS_DTYPE = {"p": "bool", "h": "uint16", "w": "uint32", "d": "uint64", "q": "complex128"}
_FIXED_SYMBOLS = {"WARP_SZ": 32}


@dataclass
class BlockBuilder:
    """The block under construction.

    addresses: of module variables and of the parameter block's variables in the generic space, by name.
    """

    program: Program
    number: int
    addresses: Mapping[str, int]
    lines: list[str] = field(default_factory=list)
    namespace: dict[str, Any] = field(default_factory=dict)
    views: dict[View, str] = field(default_factory=dict)
    written: set[Row] = field(default_factory=set)
    live_in: set[Row] = field(default_factory=set)
    killed: set[Row] = field(default_factory=set)
    instruction: Instruction = field(init=False)
    index: int = 0
    _constants: dict[tuple[str, bytes], str] = field(default_factory=dict)
    _temporaries: int = 0

    def begin(self, index: int) -> Instruction:
        """Start on instruction `index`."""
        self.instruction = self.program.instructions[index]
        self.index = index
        return self.instruction

    def line(self, text: str) -> None:
        """Append a statement."""
        self.lines.append(text)

    def effect(self, text: str) -> None:
        """Append a statement that may fault or that the checkers follow: the site is noted first."""
        self.lines.append(f"S.site = {self.index}")
        self.lines.append(text)

    def temporary(self) -> str:
        """A fresh name."""
        self._temporaries += 1
        return f"t{self._temporaries}"

    def use(self, value: Any, hint: str = "k") -> str:
        """A name for any Python object in the function's namespace."""
        name = f"{hint}{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def constant(self, value: int | float, dtype: np.dtype[Any]) -> str:
        """A name for a NumPy scalar; integers wrap to the width, and give the bits of a float."""
        scalar = _scalar(value, dtype)
        key = (dtype.str, scalar.tobytes())
        if key not in self._constants:
            self._constants[key] = self.use(scalar)
        return self._constants[key]

    def refuse(self, what: str) -> Exception:
        """The error for what the device does not implement."""
        return unsupported(self.instruction, what)

    @property
    def guard(self) -> str:
        """The guard's predicate array, or `None`."""
        guard = self.instruction.guard
        if guard is None:
            return "None"
        self._use(self.program.rows[guard.register.name])
        name = self._view(guard.register.name, np.dtype(np.bool_))
        return name if guard.expected else f"~{name}"

    def read(self, operand: Operand, ptx_type: str) -> str:
        """An expression for a source operand in the storage type of `ptx_type`: an array (n, 32) or a scalar."""
        dtype = storage(ptx_type)
        match operand:
            case Register():
                return self._read_register(operand.name, dtype)
            case Immediate(value=value) if value is not None:
                return self.constant(value, dtype)
            case Immediate(real=real) if real is not None:
                return self.constant(real, dtype)
            case Negated(inner):
                return f"(~{self.read(inner, ptx_type)})"
            case Symbol():
                return self._read_symbol(operand, dtype)
        raise self.refuse(f"this operand of `{self.instruction.opcode}`")

    def read_all(self, operand: Operand, ptx_type: str) -> list[str]:
        """`read` for each item of a vector, or for the one operand."""
        return [self.read(item, ptx_type) for item in self.items(operand)]

    def items(self, operand: Operand) -> tuple[Operand, ...]:
        """The items of a vector or pair; a single operand is one item."""
        match operand:
            case Vector(items):
                return items
            case Pair(first, second):
                return (first, second)
        return (operand,)

    def address(self, operand: Operand) -> tuple[str, int]:
        """(expression, constant offset) of a memory operand; the expression is 32 or 64 bits wide."""
        if not isinstance(operand, Address):
            raise self.refuse("an operand that is no address")
        base = operand.base
        if isinstance(base, Register):
            return self._read_register(base.name, storage("b64" if bits_of(base.type) == 64 else "b32")), operand.offset
        if isinstance(base, Immediate):
            return self.constant(base.value or 0, np.dtype(np.uint64)), operand.offset
        wide = base.name in self.addresses
        return self._read_symbol(base, storage("b64" if wide else "b32")), operand.offset

    def destination(self, operand: Operand, ptx_type: str) -> str | None:
        """The register itself for use as `out=`, or None when a result has to be written by `write`."""
        if not isinstance(operand, Register) or self.instruction.guard is not None:
            return None
        dtype = storage(ptx_type)
        row = self.program.rows[operand.name]
        if np.dtype(_CLASS_DTYPE[row.width]).itemsize != dtype.itemsize or (row.width == "p") != (dtype.kind == "b"):
            return None
        self._define(row)
        return self._view(operand.name, dtype)

    def write(self, operand: Operand, ptx_type: str, expression: str) -> None:
        """Assign an expression in the storage type of `ptx_type` to a register, extended to the register's width."""
        if isinstance(operand, Symbol) and operand.is_sink:
            return
        if not isinstance(operand, Register):
            raise self.refuse("a destination that is no register")
        row = self.program.rows[operand.name]
        dtype, register = storage(ptx_type), np.dtype(_CLASS_DTYPE[row.width])
        if dtype.itemsize > register.itemsize:
            raise self.refuse(f"a {ptx_type} result in a register of type {operand.type}")
        if dtype.itemsize == register.itemsize or dtype.kind == "b":
            target, value = self._view(operand.name, dtype), expression
        else:
            kind = "i" if dtype.kind == "i" else "u"
            target = self._view(operand.name, np.dtype(f"{kind}{register.itemsize}"))
            value = expression if dtype.kind in "iu" else f"np.asarray({expression}).view(np.uint{8 * dtype.itemsize})"
        self._define(row)
        self.line(f"np.copyto({target}, {value}, casting='unsafe'{self._where()})")

    def row(self, operand: Operand) -> Row:
        """The row of a register operand, for what the device writes later."""
        if not isinstance(operand, Register):
            raise self.refuse("an operand that is no register")
        row = self.program.rows[operand.name]
        self._use(row)
        return row

    def finish(self, length: int) -> Block:
        """Compile what was written."""
        names = "".join(f", {name}" for name in self.views.values())
        body = "".join(f"    {line}\n" for line in self.lines) or "    pass\n"
        source = f"def block_{self.number}(S, F{names}):\n{body}"
        namespace: dict[str, Any] = {"np": np, **self.namespace}
        exec(compile(source, f"<block {self.number} of {self.program.entry.name}>", "exec"), namespace)
        function = namespace[f"block_{self.number}"]
        return Block(
            self.number, function, source, tuple(self.views), frozenset(self.written), length,
            frozenset(self.live_in), frozenset(self.killed),
        )  # fmt: skip

    def _where(self) -> str:
        return "" if self.instruction.guard is None else f", where={self.guard}"

    def _view(self, register: str, dtype: np.dtype[Any]) -> str:
        row = self.program.rows[register]
        view = View(row, dtype.name)
        if view not in self.views:
            self.views[view] = f"{row.width}{row.index}_{dtype.name}"
        return self.views[view]

    def _use(self, row: Row) -> None:
        if row not in self.killed:
            self.live_in.add(row)

    def _define(self, row: Row) -> None:
        """A guarded write leaves the old value in some lanes, so it is a use as well."""
        self.written.add(row)
        if self.instruction.guard is None:
            self.killed.add(row)
        else:
            self._use(row)

    def _read_register(self, name: str, dtype: np.dtype[Any]) -> str:
        row = self.program.rows[name]
        self._use(row)
        register = np.dtype(_CLASS_DTYPE[row.width])
        if row.width == "p" or dtype.kind == "b":
            if row.width == "p" and dtype.kind == "b":
                return self._view(name, dtype)
            raise self.refuse(f"register {name} as a {dtype.name}")
        if register.itemsize == dtype.itemsize:
            return self._view(name, dtype)
        if register.itemsize < dtype.itemsize:
            raise self.refuse(f"register {name} of {8 * register.itemsize} bits read as {8 * dtype.itemsize}")
        narrow = f"{self._view(name, register)}.astype(np.uint{8 * dtype.itemsize})"
        return narrow if dtype.kind == "u" else f"{narrow}.view(np.{dtype.name})"

    def _read_symbol(self, symbol: Symbol, dtype: np.dtype[Any]) -> str:
        name = symbol.name
        if name in CLOCKS:
            return clock(name, f"uint{8 * dtype.itemsize}", self.index - self.program.blocks[self.number].start)
        if name in self.program.specials and not is_known(name):
            raise self.refuse(f"the special register `{name}`")
        if name in self.program.rows:
            return self._read_register(name, dtype)
        if name in self.program.shared and self.program.uses_clusters:
            wide = "" if dtype.itemsize == 4 else f".astype(np.uint{8 * dtype.itemsize})"
            return f"(S.clusters.window(F){wide} + {self.constant(self.program.shared[name] + symbol.offset, dtype)})"
        for table in (_FIXED_SYMBOLS, self.addresses, self.program.shared, self.program.local):
            if name in table:
                return self.constant(table[name] + symbol.offset, dtype)
        raise self.refuse(f"the symbol `{name}`")


def _scalar(value: int | float, dtype: np.dtype[Any]) -> np.generic:
    if dtype.kind == "b":
        return np.bool_(bool(value))
    if isinstance(value, float):
        if dtype.kind == "f":
            return dtype.type(value)  # type: ignore[no-any-return]
        # A floating-point literal moved as bits: `mov.b32 %r1, 0f3F800000`.
        value = int.from_bytes(np.array(value, f"f{dtype.itemsize}").tobytes(), "little")
    bits = value & ((1 << 8 * dtype.itemsize) - 1)
    return np.frombuffer(bits.to_bytes(dtype.itemsize, "little"), dtype)[0]  # type: ignore[no-any-return]
