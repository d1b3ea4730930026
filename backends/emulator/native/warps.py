"""Exchanges between the lanes of a warp as LLVM IR."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.emulator.native.arithmetic import Emit
from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import I1, I8, I32, LANES, NotNativeError, iota, splat

Value = Any


def _all_members(n: NativeBlock, operand: Any) -> None:
    """Only the common case: every lane is named, and every lane is there; else NumPy does the block."""
    if getattr(operand, "value", None) not in (-1, 0xFFFFFFFF):
        raise NotNativeError("member mask")
    onward = n.ir.append_basic_block("whole")
    n.ir.cbranch(n.ir.icmp_unsigned("==", n.to_word(n.active), I32(0xFFFFFFFF)), onward, n.fault)
    n.ir.position_at_end(onward)


def _shuffle(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    target, value, lane, clamp, members = operands
    _all_members(n, members)
    mode = parts[2]
    a, b = n.read(value, "b32"), n.ir.and_(n.read(lane, "b32"), splat(I32, 31))
    control = n.read(clamp, "b32")
    segment = n.ir.and_(n.ir.lshr(control, splat(I32, 8)), splat(I32, 31))
    own = iota(I32)
    low = n.ir.and_(own, segment)
    outside = n.ir.xor(segment, splat(I32, 31))
    last = n.ir.or_(low, n.ir.and_(n.ir.and_(control, splat(I32, 31)), outside))
    sources = {
        "up": lambda: n.ir.sub(own, b),
        "down": lambda: n.ir.add(own, b),
        "bfly": lambda: n.ir.xor(own, b),
        "idx": lambda: n.ir.or_(low, n.ir.and_(b, outside)),
    }
    source = sources[mode]()
    in_range = n.ir.icmp_signed(">=" if mode == "up" else "<=", source, last)
    source = n.ir.select(in_range, source, own)
    taking = n.ir.select(_taken(n, n.active, source), source, own)
    results = ((taking_value(n, a, taking), "b32"), (in_range, "pred"))
    for item, (result, kind) in zip(n.items(target), results, strict=False):
        n.write(item, kind, result)


def _taken(n: NativeBlock, active: Value, source: Value) -> Value:
    """Whether each lane's source takes part."""
    word = n.splat(n.to_word(active))
    bit = n.ir.and_(n.ir.lshr(word, source), splat(I32, 1))
    return n.ir.icmp_unsigned("!=", bit, splat(I32, 0))


def taking_value(n: NativeBlock, value: Value, source: Value) -> Value:
    """Each lane's value of another lane: through memory, unless LLVM sees that the lanes are constants."""
    with n.ir.goto_entry_block():
        place = n.ir.alloca(value.type)
    n.ir.store(value, place, align=4)
    total: Value = ir.Constant(value.type, ir.Undefined)
    for lane in range(LANES):
        index = n.ir.extract_element(source, I32(lane))
        element = n.ir.gep(place, [n.ir.mul(index, I32(value.type.element.width // 8))], source_etype=I8)
        total = n.ir.insert_element(total, n.ir.load(element, typ=value.type.element, align=4), I32(lane))
    return total


def _vote(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    target, value, members = operands
    _all_members(n, members)
    mode = parts[2]
    active = n.to_word(n.active)
    holds = n.ir.and_(n.to_word(n.read(value, "pred")), active)
    if mode == "ballot":
        n.write(target, "b32", n.splat(holds))
        return
    is_any = n.ir.icmp_unsigned("!=", holds, I32(0))
    is_all = n.ir.icmp_unsigned("==", holds, active)
    flags = {"any": is_any, "all": is_all, "uni": n.ir.or_(is_all, n.ir.xor(is_any, I1(1)))}
    n.write(target, "pred", n.splat(flags[mode]))


def _active_mask(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    del parts
    n.write(operands[0], "b32", n.splat(n.to_word(n.active)))


def _elect(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    del parts
    target, members = operands
    _all_members(n, members)
    count = n.intrinsic("llvm.cttz.i32", I32, [I32, ir.IntType(1)])
    leader = n.splat(n.ir.call(count, [n.to_word(n.active), ir.IntType(1)(0)]))
    results = ((leader, "b32"), (n.ir.and_(n.ir.icmp_unsigned("==", leader, iota(I32)), n.active), "pred"))
    for item, (result, kind) in zip(n.items(target), results, strict=False):
        n.write(item, kind, result)


EMITTERS: dict[str, Emit] = {"shfl": _shuffle, "vote": _vote, "activemask": _active_mask, "elect": _elect}
