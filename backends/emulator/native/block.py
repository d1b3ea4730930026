"""One basic block as LLVM IR: registers are loaded at its first use and stored at its end, temporaries never."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir

from backends.emulator.clocks import CLOCKS
from backends.emulator.native.state import State
from backends.emulator.native.types import (
    BROADCAST,
    DOUBLE,
    FLOAT,
    HALF,
    I1,
    I8,
    I32,
    I64,
    LANES,
    MASK,
    POINTER,
    WIDTH_TYPES,
    NotNativeError,
    bits_of,
    element,
    splat,
)  # fmt: skip
from backends.emulator.program import Program, Row
from backends.ptx.syntax import Address, Immediate, Instruction, Negated, Operand, Pair, Register, Symbol, Vector

Value = Any
_ROW_BYTES = {"p": 32, "h": 64, "w": 128, "d": 256}


@dataclass
class NativeBlock:
    """A block under construction for one warp.

    mask: the lanes that run, as <32 x i1>. values: registers as integers of their width, as far as the block has read
    or written them. index: the instruction's number in the program. fault: where to go when an access
    fails its check; nothing is stored to registers then.
    """

    program: Program
    state: State
    ir: ir.IRBuilder
    mask: Value
    mask_bits: Value
    instance: Value
    fault: ir.Block
    symbols: Mapping[str, int]
    values: dict[Row, Value] = field(default_factory=dict)
    written: dict[Row, None] = field(default_factory=dict)
    instruction: Instruction = field(init=False)
    index: int = 0

    # Operands

    def read(self, operand: Operand, kind: str) -> Value:
        """A source operand as a vector of `kind`."""
        scalar = element(kind)
        match operand:
            case Register(name=name):
                return self.cast(self._narrowed(self.row_value(self.program.rows[name]), scalar), scalar)
            case Immediate():
                return _literal(self.ir, operand, scalar)
            case Negated(inner):
                return self.inverse(self.read(inner, kind))
            case Symbol():
                return self._symbol(operand, scalar)
        raise NotNativeError("operand")

    def items(self, operand: Operand) -> tuple[Operand, ...]:
        """The items of a vector or pair; a single operand is one item."""
        match operand:
            case Vector(items):
                return items
            case Pair(first, second):
                return (first, second)
        return (operand,)

    def write(self, operand: Operand, kind: str, value: Value, signed: bool = False) -> None:
        """Assign a vector of `kind` to a register, extended to its width, in the lanes that the guard lets through."""
        if isinstance(operand, Symbol) and operand.is_sink:
            return
        if not isinstance(operand, Register):
            raise NotNativeError("destination")
        row = self.program.rows[operand.name]
        wide = self._widened(value, row, signed or kind.startswith("s"))
        guard = self.guard
        if guard is not None:
            wide = self.ir.select(guard, wide, self.row_value(row))
        self.values[row] = wide
        self.written[row] = None

    @property
    def guard(self) -> Value | None:
        """The guard as <32 x i1>, or None."""
        guard = self.instruction.guard
        if guard is None:
            return None
        value = self.row_value(self.program.rows[guard.register.name])
        return value if guard.expected else self.inverse(value)

    @property
    def active(self) -> Value:
        """The lanes that execute the instruction."""
        guard = self.guard
        return self.mask if guard is None else self.ir.and_(guard, self.mask)

    def address(self, operand: Operand) -> tuple[Value, int]:
        """(address of each lane as i64 or i32, constant offset)."""
        if not isinstance(operand, Address):
            raise NotNativeError("address")
        base = operand.base
        if isinstance(base, Register):
            return self.row_value(self.program.rows[base.name]), operand.offset
        if isinstance(base, Symbol):
            return self._symbol(base, I64 if base.name in self.symbols else I32), operand.offset
        raise NotNativeError("address")

    # Registers

    def row_value(self, row: Row) -> Value:
        """The current value of a register, as integers of its width."""
        if row not in self.values:
            self.values[row] = self._load(row)
        return self.values[row]

    def store_registers(self, live: frozenset[Row]) -> None:
        """Write what later blocks read to the register file, in the lanes that run."""
        for row in self.written:
            if row in live:
                self._store(row, self.values[row])

    def _place(self, row: Row) -> Value:
        base = self.state.pointer(self.ir, f"registers_{row.width}")
        index = self.ir.add(self.ir.mul(I64(row.index), self.state.load(self.ir, "row_instances")), self.instance)
        return self.ir.gep(base, [self.ir.mul(index, I64(_ROW_BYTES[row.width]))], source_etype=I8)

    def _load(self, row: Row) -> Value:
        if row.width not in WIDTH_TYPES:
            raise NotNativeError("128-bit register")
        if row.width == "p":
            raw = self.ir.load(self._place(row), typ=ir.VectorType(I8, LANES), align=1)
            return self.ir.icmp_unsigned("!=", raw, splat(I8, 0))
        return self.ir.load(self._place(row), typ=ir.VectorType(WIDTH_TYPES[row.width], LANES), align=1)

    def _store(self, row: Row, value: Value) -> None:
        if row.width == "p":
            value = self.ir.zext(value, ir.VectorType(I8, LANES))
        self.masked_store(value, self._place(row), self.mask)

    # Memory primitives

    def masked_store(self, value: Value, place: Value, mask: Value) -> None:
        """`llvm.masked.store` of 32 elements side by side."""
        name = f"llvm.masked.store.v{LANES}{_suffix(value.type.element)}.p0"
        function = self.intrinsic(name, ir.VoidType(), [value.type, POINTER, I32, MASK])
        self.ir.call(function, [value, place, I32(1), mask])

    def intrinsic(self, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
        """Declare an LLVM intrinsic once."""
        module = self.ir.module
        found = module.globals.get(name)
        return found if found is not None else ir.Function(module, ir.FunctionType(result, arguments), name)

    def call(self, name: str, *arguments: Value) -> Value:
        """Call an overloaded intrinsic on vectors of the first argument's type, e.g. `fma`."""
        kind = arguments[0].type
        function = self.intrinsic(f"llvm.{name}.v{LANES}{_suffix(kind.element)}", kind, [a.type for a in arguments])
        return self.ir.call(function, list(arguments))

    # Conversions between the views of a register

    def cast(self, value: Value, scalar: ir.Type) -> Value:
        """The same bits as another element type of that width."""
        return value if value.type.element == scalar else self.ir.bitcast(value, ir.VectorType(scalar, LANES))

    def bits(self, value: Value) -> Value:
        """The bits of a vector as integers."""
        return self.cast(value, ir.IntType(bits_of(value.type.element)))

    def inverse(self, value: Value) -> Value:
        """All bits the other way round."""
        return self.ir.xor(value, splat(value.type.element, -1 if value.type.element != I1 else 1))

    def to_word(self, flags: Value) -> Value:
        """<32 x i1> as one i32."""
        return self.ir.bitcast(flags, I32)

    def to_flags(self, word: Value) -> Value:
        """An i32 as <32 x i1>."""
        return self.ir.bitcast(word, MASK)

    def splat(self, scalar: Value) -> Value:
        """A scalar in every lane."""
        kind = ir.VectorType(scalar.type, LANES)
        one = self.ir.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
        return self.ir.shuffle_vector(one, ir.Constant(kind, ir.Undefined), BROADCAST)

    def _narrowed(self, value: Value, scalar: ir.Type) -> Value:
        width, wanted = value.type.element.width, bits_of(scalar)
        if width == wanted:
            return value
        if width < wanted or 1 in (width, wanted):
            raise NotNativeError("width")
        return self.ir.trunc(value, ir.VectorType(ir.IntType(wanted), LANES))

    def _widened(self, value: Value, row: Row, signed: bool) -> Value:
        bits, target = self.bits(value), WIDTH_TYPES.get(row.width)
        if target is None or bits.type.element.width > target.width:
            raise NotNativeError("width")
        if bits.type.element == target:
            return bits
        if I1 in (bits.type.element, target):
            raise NotNativeError("predicate")
        extend = self.ir.sext if signed else self.ir.zext
        return extend(bits, ir.VectorType(target, LANES))

    def _symbol(self, symbol: Symbol, scalar: ir.Type) -> Value:
        name = symbol.name
        if name in CLOCKS:
            raise NotNativeError("clock")
        if name in self.program.rows:
            return self.cast(self._narrowed(self.row_value(self.program.rows[name]), scalar), scalar)
        if name == "WARP_SZ":
            return splat(scalar, LANES)
        for table in (self.program.shared, self.program.local):
            if name in table and name not in self.symbols:
                return splat(scalar, table[name] + symbol.offset)
        if name in self.symbols:
            address = self.ir.add(self.state.entry(self.ir, "symbols", self.symbols[name]), I64(symbol.offset))
            return self.splat(address if scalar == I64 else self.ir.trunc(address, scalar))
        raise NotNativeError("symbol")


def _suffix(scalar: ir.Type) -> str:
    return {HALF: "f16", FLOAT: "f32", DOUBLE: "f64"}.get(scalar) or f"i{scalar.width}"


def _literal(builder: ir.IRBuilder, literal: Immediate, scalar: ir.Type) -> Value:
    if scalar == I1:
        return splat(I1, int(bool(literal.value)))
    bits = ir.IntType(bits_of(scalar))
    if literal.value is not None:
        word = literal.value & ((1 << bits.width) - 1)
    elif literal.bits is not None and (literal.kind, bits.width) in (("f32", 32), ("f64", 64)):
        word = literal.bits
    elif literal.real is not None and scalar in (FLOAT, DOUBLE):
        return splat(scalar, literal.real)
    else:
        raise NotNativeError("literal")
    if scalar == bits:
        return splat(scalar, word)
    return builder.bitcast(splat(bits, word), ir.VectorType(scalar, LANES))
