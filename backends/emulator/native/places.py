"""Where the lanes of an access are: the address rules of each state space, and one bounds check for the warp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import I8, I32, I64, LANES, iota, splat
from backends.emulator.spaces import GLOBAL_BASE, LOCAL_BASE, SHARED_BASE

Value = Any
_LONG = ir.VectorType(I64, LANES)


@dataclass(frozen=True)
class Places:
    """Where the lanes of an access are: `offset` of each lane from `base`, lanes that take part, bytes of a lane."""

    base: Value
    offset: Value
    active: Value
    active_bits: Value
    nbytes: int


def checked(n: NativeBlock, space: str, operand: Any, nbytes: int) -> Places:
    """The places of an access; leaves the block by its fault exit where one is out of bounds or misaligned."""
    address, offset = n.address(operand)
    wide = address if address.type.element == I64 else n.ir.zext(address, _LONG)
    wide = n.ir.add(wide, splat(I64, offset))
    active = n.active
    bits = n.to_word(active)
    base, relative, low, high = _SPACE_RULES[space](n, wide)
    places = Places(base, relative, active, bits, nbytes)
    inside = _none(n, _outside(n, relative, low, high, nbytes), bits)
    if space in ("global", "generic"):
        inside = _or_found(n, places, inside)
    if nbytes > 1:
        wrong = n.ir.icmp_unsigned("!=", n.ir.and_(relative, splat(I64, nbytes - 1)), splat(I64, 0))
        inside = n.ir.and_(inside, _none(n, wrong, bits))
    onward = n.ir.append_basic_block("inside")
    n.ir.cbranch(inside, onward, n.fault).set_weights([1000, 1])
    n.ir.position_at_end(onward)
    return places


def _outside(n: NativeBlock, relative: Value, low: Value, high: Value, nbytes: int) -> Value:
    """Signed, and nothing added to an address, which may be any number: sums of it could wrap into the range."""
    before = n.ir.icmp_signed("<", relative, low)
    return n.ir.or_(before, n.ir.icmp_signed(">", relative, n.ir.sub(high, splat(I64, nbytes))))


def _none(n: NativeBlock, flags: Value, bits: Value) -> Value:
    """Whether no active lane is flagged."""
    return n.ir.icmp_unsigned("==", n.ir.and_(n.to_word(flags), bits), I32(0))


def _or_found(n: NativeBlock, places: Places, inside: Value) -> Value:
    """Where the site's last allocation does not hold all lanes: look all allocations through."""
    before = n.ir.block
    search, after = n.ir.append_basic_block("search"), n.ir.append_basic_block("found")
    n.ir.cbranch(inside, after, search).set_weights([100, 1])
    n.ir.position_at_end(search)
    offsets = _spilled(n, places.offset)
    arguments = [n.state.base, offsets, places.active_bits, I64(places.nbytes), _cached_range(n)]
    found = n.ir.call(n.ir.module.globals["find_allocation"], arguments)
    is_found = n.ir.icmp_unsigned("!=", found, I32(0))
    n.ir.branch(after)
    n.ir.position_at_end(after)
    result = n.ir.phi(inside.type)
    result.add_incoming(inside, before)
    result.add_incoming(is_found, search)
    return result


def _cached_range(n: NativeBlock) -> Value:
    """Where the instruction keeps the range of the allocation that it used last: two words."""
    return n.ir.gep(n.state.pointer(n.ir, "cache"), [I64(16 * n.index)], source_etype=I8)


def _spilled(n: NativeBlock, value: Value) -> Value:
    with n.ir.goto_entry_block():
        place = n.ir.alloca(value.type)
    n.ir.store(value, place, align=8)
    return place


def _global(n: NativeBlock, address: Value) -> tuple[Value, Value, Value, Value]:
    relative = n.ir.sub(address, splat(I64, GLOBAL_BASE))
    low, high = (n.splat(n.state.entry(n.ir, "cache", 2 * n.index + k)) for k in (0, 1))
    return n.state.pointer(n.ir, "global_base"), relative, low, high


def _shared(n: NativeBlock, address: Value) -> tuple[Value, Value, Value, Value]:
    cta = n.ir.urem(n.instance, n.state.load(n.ir, "ctas"))
    start = n.ir.mul(cta, n.state.load(n.ir, "shared_stride"))
    base = n.ir.gep(n.state.pointer(n.ir, "shared_base"), [start], source_etype=I8)
    window = n.ir.icmp_unsigned(">=", address, splat(I64, SHARED_BASE))
    relative = n.ir.select(window, n.ir.sub(address, splat(I64, SHARED_BASE)), address)
    return base, relative, splat(I64, 0), n.splat(n.state.load(n.ir, "shared_bytes"))


def _local(n: NativeBlock, address: Value) -> tuple[Value, Value, Value, Value]:
    window = n.ir.icmp_unsigned(">=", address, splat(I64, LOCAL_BASE))
    relative = n.ir.select(window, n.ir.sub(address, splat(I64, LOCAL_BASE)), address)
    size = n.splat(n.state.load(n.ir, "local_bytes"))
    lane = n.ir.add(n.splat(n.ir.mul(n.instance, I64(LANES))), iota(I64))
    start = n.ir.mul(lane, size)
    # Each lane has its own bytes: the offset is from the start of all of them.
    return n.state.pointer(n.ir, "local_base"), n.ir.add(relative, start), start, n.ir.add(start, size)


def _generic(n: NativeBlock, address: Value) -> tuple[Value, Value, Value, Value]:
    """Only global memory and this CTA's shared memory; anything else takes the fault exit and is done by NumPy."""
    global_base, from_global, low, high = _global(n, address)
    shared_base, from_shared, _, end = _shared(n, address)
    is_global = n.ir.icmp_unsigned(">=", address, splat(I64, GLOBAL_BASE))
    distance = n.ir.sub(n.ir.ptrtoint(shared_base, I64), n.ir.ptrtoint(global_base, I64))
    shift = n.splat(distance)
    relative = n.ir.select(is_global, from_global, n.ir.add(from_shared, shift))
    return (
        global_base, relative, n.ir.select(is_global, low, shift), n.ir.select(is_global, high, n.ir.add(end, shift)),
    )  # fmt: skip


_SPACE_RULES = {"global": _global, "shared": _shared, "local": _local, "generic": _generic}
