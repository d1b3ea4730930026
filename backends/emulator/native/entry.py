"""`run`: the native function that Python calls, which runs the warps of a front one after the other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.emulator.native.types import BROADCAST, I1, I8, I32, I64, LANES, POINTER

Value = Any
NOTHING_YET, APART, FAULT = -3, -1, -2
_LONG = ir.VectorType(I32, LANES)


def define(module: ir.Module, one: ir.Function) -> None:
    """`run(state*, instances*, count, block, masks*, places*)`: `one` for every instance.

    Its result is the block where all lanes of all instances stand, or APART, or FAULT.
    """
    kind = ir.FunctionType(I32, [POINTER, POINTER, I64, I32, POINTER, POINTER])
    function = ir.Function(module, kind, "run")
    state, instances, count, start, masks, places = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    loop, body, after = (function.append_basic_block(x) for x in ("loop", "body", "after"))
    before = builder.block
    builder.branch(loop)
    builder.position_at_end(loop)
    index, common = builder.phi(I64), builder.phi(I32)
    index.add_incoming(I64(0), before)
    common.add_incoming(I32(NOTHING_YET), before)
    builder.cbranch(builder.icmp_unsigned("<", index, count), body, after)

    builder.position_at_end(body)
    instance, mask = _entry(builder, instances, index, I64), _entry(builder, masks, index, I32)
    mine = builder.gep(places, [builder.mul(index, I64(4 * LANES))], source_etype=I8)
    builder.store(_every(builder, start), mine, align=4)
    status = builder.call(one, [state, instance, start, mask, mine])
    merged = _merged(builder, common, status, mask, builder.load(mine, typ=_LONG, align=4))
    index.add_incoming(builder.add(index, I64(1)), builder.block)
    common.add_incoming(merged, builder.block)
    builder.branch(loop)
    builder.position_at_end(after)
    builder.ret(common)


def _merged(builder: ir.IRBuilder, common: Value, status: Value, mask: Value, places: Value) -> Value:
    """`common` after one more instance, whose lanes in `mask` have stopped at `places`."""
    lane = builder.and_(builder.call(_count_zeros(builder.module), [mask, I1(0)]), I32(31))
    where = builder.extract_element(places, lane)
    differs = builder.icmp_unsigned("!=", places, _every(builder, where))
    together = builder.icmp_unsigned("==", builder.and_(builder.bitcast(differs, I32), mask), I32(0))
    is_first = builder.icmp_signed("==", common, I32(NOTHING_YET))
    same = builder.or_(is_first, builder.icmp_signed("==", common, where))
    merged = builder.select(builder.and_(together, same), where, I32(APART))
    failed = builder.icmp_unsigned("!=", status, I32(0))
    faulted = builder.or_(failed, builder.icmp_signed("==", common, I32(FAULT)))
    return builder.select(faulted, I32(FAULT), merged)


def _entry(builder: ir.IRBuilder, base: Value, index: Value, kind: ir.IntType) -> Value:
    nbytes = kind.width // 8
    return builder.load(builder.gep(base, [builder.mul(index, I64(nbytes))], source_etype=I8), typ=kind, align=nbytes)


def _every(builder: ir.IRBuilder, value: Value) -> Value:
    nothing = ir.Constant(_LONG, ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(nothing, value, I32(0)), nothing, BROADCAST)


def _count_zeros(module: ir.Module) -> ir.Function:
    name = "llvm.cttz.i32"
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(I32, [I32, I1]), name)
