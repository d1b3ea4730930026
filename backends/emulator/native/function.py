"""The native function of a program: runs one warp from block to block until it must stop.

Lanes of a warp that part ways wait for each other: each has its own block, and the lowest goes first. A warp stops
where all its lanes stand at blocks that are not native, after a number of backward steps (others may have to go
first), or at the start of a block in which an access failed its check, which NumPy then does again and words the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from backends.emulator.native import arithmetic, bits, convert, entry, memory, search, special, warps
from backends.emulator.native.block import NativeBlock
from backends.emulator.native.state import State
from backends.emulator.native.types import BROADCAST, I8, I32, I64, LANES, MASK, POINTER, NotNativeError, splat
from backends.emulator.program import Program, Row
from backends.ptx.syntax import Instruction, Symbol

Value = Any
# So many steps back to the same or an earlier block before others have their turn.
BACKWARD_STEPS = 4096
FAULT = 1
_LONG_PC = ir.VectorType(I32, LANES)
_CONTROL = frozenset({"bra", "ret", "exit"})
_MEMORY: dict[str, Callable[..., None]] = {"ld": memory.emit_load, "ldu": memory.emit_load, "st": memory.emit_store}
EMITTERS = {**arithmetic.EMITTERS, **bits.EMITTERS, **special.EMITTERS, **convert.EMITTERS, **warps.EMITTERS, **_MEMORY}


@dataclass(frozen=True)
class _Frame:
    """What all blocks of the function share."""

    builder: ir.IRBuilder
    state: State
    instance: Value
    everyone: Value
    mask: Value
    places: Value
    budget: Value
    status: Value
    reschedule: ir.Block
    leave: ir.Block


def emit(n: NativeBlock, instruction: Instruction, index: int) -> None:
    """Append one instruction that is no branch; NotNativeError if there is no native form of it."""
    n.instruction, n.index = instruction, index
    parts = instruction.parts
    emitter = EMITTERS.get(parts[0])
    if emitter is None:
        raise NotNativeError(parts[0])
    emitter(n, parts, list(instruction.operands))


class Probe:
    """Tells which instructions have a native form, by trying."""

    def __init__(self, program: Program, symbols: Mapping[str, int]) -> None:
        self.program = program
        self.symbols = symbols

    def accepts(self, instruction: Instruction) -> bool:
        """Whether `emit` can do it."""
        if instruction.base in _CONTROL:
            return True
        if instruction.base not in EMITTERS:
            return False
        module = ir.Module("probe")
        search.declare(module)
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, MASK, I64]), "probe")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        fault = function.append_basic_block("fault")
        state = State(function.args[0])
        mask = function.args[1]
        n = NativeBlock(
            self.program, state, builder, mask, builder.bitcast(mask, I32), function.args[2], fault, self.symbols
        )
        try:
            emit(n, instruction, 0)
        except NotNativeError:
            return False
        return True


def build_module(
    program: Program, native: Sequence[bool], live_out: Sequence[frozenset[Row]], symbols: Mapping[str, int]
) -> ir.Module:
    """The module with `run`, which `entry` describes."""
    module = ir.Module(program.entry.name)
    search.define(search.declare(module))
    one = ir.Function(module, ir.FunctionType(I32, [POINTER, I64, I32, I32, POINTER]), "run_warp")
    _define_warp(one, program, native, live_out, symbols)
    entry.define(module, one)
    return module


def _define_warp(
    function: ir.Function, program: Program, native: Sequence[bool], live_out: Sequence[frozenset[Row]],
    symbols: Mapping[str, int],
) -> None:  # fmt: skip
    state_pointer, instance, start, everyone, places = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    mask, budget, status, block = (builder.alloca(I32) for _ in range(4))
    builder.store(everyone, mask)
    builder.store(I32(BACKWARD_STEPS), budget)
    builder.store(I32(0), status)
    builder.store(start, block)
    names = ("dispatch", "reschedule", "leave")
    dispatch, reschedule, leave = (function.append_basic_block(x) for x in names)
    heads = {k: function.append_basic_block(f"block{k}") for k, is_native in enumerate(native) if is_native}
    builder.branch(dispatch)
    frame = _Frame(builder, State(state_pointer), instance, everyone, mask, places, budget, status, reschedule, leave)

    builder.position_at_end(dispatch)
    current = builder.load(block, typ=I32)
    switch = builder.switch(current, leave)
    for number, head in heads.items():
        switch.add_case(I32(number), head)

    builder.position_at_end(reschedule)
    _choose_lowest(frame, block)
    builder.branch(dispatch)

    builder.position_at_end(leave)
    builder.ret(builder.load(status, typ=I32))
    for number, head in heads.items():
        _define_block(frame, program, number, head, heads, live_out[number], symbols)


def _choose_lowest(frame: _Frame, block: Value) -> None:
    """Next are the lanes at the lowest block of all lanes that the warp runs for."""
    builder = frame.builder
    places = builder.load(frame.places, typ=_LONG_PC, align=4)
    lanes = builder.bitcast(frame.everyone, MASK)
    candidates = builder.select(lanes, places, splat(I32, 0x7FFFFFFF))
    name = f"llvm.vector.reduce.umin.v{LANES}i32"
    reduce = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(I32, [_LONG_PC]), name)
    lowest = builder.call(reduce, [candidates])
    kind = ir.VectorType(I32, LANES)
    every = builder.shuffle_vector(
        builder.insert_element(ir.Constant(kind, ir.Undefined), lowest, I32(0)),
        ir.Constant(kind, ir.Undefined),
        BROADCAST,
    )
    builder.store(builder.bitcast(builder.icmp_unsigned("==", candidates, every), I32), frame.mask)
    builder.store(lowest, block)


def _define_block(
    frame: _Frame, program: Program, number: int, head: ir.Block, heads: Mapping[int, ir.Block],
    live: frozenset[Row], symbols: Mapping[str, int],
) -> None:  # fmt: skip
    builder = frame.builder
    builder.position_at_end(head)
    fault = head.function.append_basic_block(f"fault{number}")
    bits = builder.load(frame.mask, typ=I32)
    mask = builder.bitcast(bits, MASK)
    n = NativeBlock(program, frame.state, builder, mask, bits, frame.instance, fault, symbols)
    numbers = program.blocks[number]
    last = program.instructions[numbers[-1]]
    for index in numbers[:-1] if last.base in _CONTROL else numbers:
        emit(n, program.instructions[index], index)
    taken, target = _branch(n, program, number, last)
    n.store_registers(live)
    _count(frame, number, bits)
    _go_on(frame, number, bits, taken, target, heads)

    builder.position_at_end(fault)
    builder.store(I32(FAULT), frame.status)
    _set_places(frame, mask, splat(I32, number))
    builder.branch(frame.leave)


def _branch(n: NativeBlock, program: Program, number: int, last: Instruction) -> tuple[Value | None, int]:
    """(lanes that branch, where to); None for all of them, and then `number + 1` if the block just ends."""
    if last.base not in _CONTROL:
        return None, number + 1
    n.instruction = last
    target = len(program.blocks)
    if last.base == "bra":
        label = last.operands[0]
        assert isinstance(label, Symbol)
        target = program.labels[label.name]
    guard = n.guard
    return (None, target) if guard is None else (n.to_word(guard), target)


def _count(frame: _Frame, number: int, bits: Value) -> None:
    """Add to how often the block ran, and with how many lanes."""
    builder = frame.builder
    population = builder.module.globals.get("llvm.ctpop.i32")
    if population is None:
        population = ir.Function(builder.module, ir.FunctionType(I32, [I32]), "llvm.ctpop.i32")
    lanes = builder.zext(builder.call(population, [bits]), I64)
    for name, amount in (("executed", I64(1)), ("lanes", lanes)):
        place = builder.gep(frame.state.pointer(builder, name), [I64(8 * number)], source_etype=I8)
        builder.store(builder.add(builder.load(place, typ=I64, align=8), amount), place, align=8)


def _go_on(
    frame: _Frame, number: int, bits: Value, taken: Value | None, target: int, heads: Mapping[int, ir.Block]
) -> None:
    builder = frame.builder
    if taken is None:
        _jump(frame, number, target, bits, heads)
        return
    taken = builder.and_(taken, bits)
    some, all_, none, mixed = (builder.append_basic_block(x) for x in ("some", "all", "none", "mixed"))
    builder.cbranch(builder.icmp_unsigned("==", taken, I32(0)), none, some)
    builder.position_at_end(some)
    builder.cbranch(builder.icmp_unsigned("==", taken, bits), all_, mixed)
    builder.position_at_end(all_)
    _jump(frame, number, target, bits, heads)
    builder.position_at_end(none)
    _jump(frame, number, number + 1, bits, heads)
    builder.position_at_end(mixed)
    chosen = builder.select(builder.bitcast(taken, MASK), splat(I32, target), splat(I32, number + 1))
    _set_places(frame, builder.bitcast(bits, MASK), chosen)
    _spend(frame, number, target)
    builder.branch(frame.reschedule)


def _jump(frame: _Frame, number: int, target: int, bits: Value, heads: Mapping[int, ir.Block]) -> None:
    """All running lanes go to `target`: directly while the warp is together, else by the lowest block."""
    builder = frame.builder
    if target <= number:
        _spend(frame, number, target, builder.bitcast(bits, MASK))
    together = builder.icmp_unsigned("==", bits, frame.everyone)
    if target in heads:
        apart = builder.append_basic_block("apart")
        builder.cbranch(together, heads[target], apart)
        builder.position_at_end(apart)
    _set_places(frame, builder.bitcast(bits, MASK), splat(I32, target))
    builder.branch(frame.reschedule)


def _spend(frame: _Frame, number: int, target: int, mask: Value | None = None) -> None:
    """One backward step less; at zero the warp stops at the target."""
    if target > number:
        return
    builder = frame.builder
    left = builder.sub(builder.load(frame.budget, typ=I32), I32(1))
    builder.store(left, frame.budget)
    spent, onward = builder.append_basic_block("spent"), builder.append_basic_block("onward")
    builder.cbranch(builder.icmp_signed("<=", left, I32(0)), spent, onward).set_weights([1, 1000])
    builder.position_at_end(spent)
    if mask is not None:
        _set_places(frame, mask, splat(I32, target))
    builder.branch(frame.leave)
    builder.position_at_end(onward)


def _set_places(frame: _Frame, mask: Value, blocks: Value) -> None:
    name = f"llvm.masked.store.v{LANES}i32.p0"
    builder = frame.builder
    store = builder.module.globals.get(name)
    if store is None:
        store = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [_LONG_PC, POINTER, I32, MASK]), name)
    builder.call(store, [blocks, frame.places, I32(4), mask])
