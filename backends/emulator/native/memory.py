"""Loads and stores as LLVM IR: one bounds check for the warp, then side by side, broadcast or lane by lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import I8, I32, I64, LANES, MASK, POINTER, NotNative, iota, splat
from backends.emulator.program import bits_of
from backends.emulator.spaces import GLOBAL_BASE, LOCAL_BASE, SHARED_BASE
from backends.ptx.syntax import Address, Symbol

Value = Any
_SPACES = {"global": "global", "const": "global", "param": "param", "shared": "shared", "local": "local"}
_PLAIN = frozenset(
    [
        "ca",
        "cg",
        "cs",
        "lu",
        "cv",
        "wb",
        "wt",
        "nc",
        "volatile",
        "weak",
        "relaxed",
        "acquire",
        "release",
        "cta",
        "gpu",
        "sys",
        "v2",
        "v4",
    ]
)
_LONG = ir.VectorType(I64, LANES)


@dataclass(frozen=True)
class _Places:
    """Where the lanes of an access are: `offset` of each lane from `base`, lanes that take part, bytes of a lane."""

    base: Value
    offset: Value
    active: Value
    active_bits: Value
    nbytes: int


def _form(n: NativeBlock, parts: tuple[str, ...]) -> tuple[str, str, int]:
    """(space, element type, count); NotNative for a modifier with a meaning that is not handled."""
    space, count = "generic", 1
    for part in parts[1:-1]:
        base = part.partition("::")[0]
        if base in _SPACES and not part.endswith("cluster"):
            space = _SPACES[base]
        elif part in ("v2", "v4"):
            count = int(part[1:])
        elif part not in _PLAIN and not part.startswith(("L1::", "L2::")):
            raise NotNative(part)
    if bits_of(parts[-1]) not in (8, 16, 32, 64) or bits_of(parts[-1]) * count > 128:
        raise NotNative(parts[-1])
    return space, parts[-1], count


def emit_load(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """`ld`, scalar or vector."""
    space, kind, count = _form(n, parts)
    width = bits_of(kind)
    if space == "param":
        _load_parameter(n, kind, count, operands)
        return
    places = _checked(n, space, operands[1], width // 8 * count)
    items = n.items(operands[0])
    for item, value in zip(items, _load(n, places, ir.IntType(width), count), strict=True):
        n.write(item, kind if kind[0] == "s" else f"b{width}", value, signed=kind[0] == "s")


def emit_store(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """`st`, scalar or vector."""
    space, kind, count = _form(n, parts)
    if space == "param":
        raise NotNative("param")
    width = bits_of(kind)
    values = [n.read(item, f"b{width}") for item in n.items(operands[1])]
    if len(values) != count:
        raise NotNative("vector")
    _store(n, _checked(n, space, operands[0], width // 8 * count), values)


def _load_parameter(n: NativeBlock, kind: str, count: int, operands: list[Any]) -> None:
    """A parameter is the same for all lanes."""
    source = operands[1]
    if not isinstance(source, Address) or not isinstance(source.base, Symbol):
        raise NotNative("param")
    place = n.program.parameters.get(source.base.name)
    if place is None:
        raise NotNative("param")
    width = bits_of(kind)
    for index, item in enumerate(n.items(operands[0])):
        offset = place[0] + source.offset + index * width // 8
        pointer = n.ir.gep(n.state.pointer(n.ir, "parameters"), [I64(offset)], source_etype=I8)
        value = n.ir.load(pointer, typ=ir.IntType(width), align=1)
        n.write(item, kind if kind[0] == "s" else f"b{width}", n.splat(value), signed=kind[0] == "s")
    assert count == len(n.items(operands[0]))


# Addresses


def _checked(n: NativeBlock, space: str, operand: Any, nbytes: int) -> _Places:
    """The places of an access; leaves the block by its fault exit where one is out of bounds or misaligned."""
    address, offset = n.address(operand)
    wide = address if address.type.element == I64 else n.ir.zext(address, _LONG)
    wide = n.ir.add(wide, splat(I64, offset))
    active = n.active
    bits = n.to_word(active)
    base, relative, low, high = _SPACE_RULES[space](n, wide, active)
    places = _Places(base, relative, active, bits, nbytes)
    outside = n.ir.or_(
        n.ir.icmp_unsigned("<", relative, low),
        n.ir.icmp_unsigned(">", n.ir.add(relative, splat(I64, nbytes)), high),
    )
    inside = n.ir.icmp_unsigned("==", n.ir.and_(n.to_word(outside), bits), I32(0))
    if space in ("global", "generic"):
        inside = _or_found(n, space, places, inside)
    if nbytes > 1:
        wrong = n.ir.icmp_unsigned("!=", n.ir.and_(relative, splat(I64, nbytes - 1)), splat(I64, 0))
        aligned = n.ir.icmp_unsigned("==", n.ir.and_(n.to_word(wrong), bits), I32(0))
        inside = n.ir.and_(inside, aligned)
    onward = n.ir.append_basic_block("inside")
    branch = n.ir.cbranch(inside, onward, n.fault)
    branch.set_weights([1000, 1])
    n.ir.position_at_end(onward)
    return places


def _or_found(n: NativeBlock, space: str, places: _Places, inside: Value) -> Value:
    """Where the site's last allocation does not hold all lanes: look all allocations through."""
    before = n.ir.block
    search, after = n.ir.append_basic_block("search"), n.ir.append_basic_block("found")
    n.ir.cbranch(inside, after, search).set_weights([100, 1])
    n.ir.position_at_end(search)
    spill = places.offset
    found = n.ir.call(
        n.ir.module.globals["find_allocation"],
        [n.state.base, _spilled(n, spill), places.active_bits, I64(places.nbytes), _cached_range(n)],
    )
    is_found = n.ir.icmp_unsigned("!=", found, I32(0))
    n.ir.branch(after)
    n.ir.position_at_end(after)
    result = n.ir.phi(inside.type)
    result.add_incoming(inside, before)
    result.add_incoming(is_found, search)
    assert space
    return result


def _cached_range(n: NativeBlock) -> Value:
    """Where the instruction keeps the range of the allocation that it used last: two words."""
    return n.ir.gep(n.state.pointer(n.ir, "cache"), [I64(16 * n.index)], source_etype=I8)


def _spilled(n: NativeBlock, value: Value) -> Value:
    with n.ir.goto_entry_block():
        place = n.ir.alloca(value.type)
    n.ir.store(value, place, align=8)
    return place


def _global(n: NativeBlock, address: Value, active: Value) -> tuple[Value, Value, Value, Value]:
    relative = n.ir.sub(address, splat(I64, GLOBAL_BASE))
    low, high = (n.splat(n.state.entry(n.ir, "cache", 2 * n.index + k)) for k in (0, 1))
    return n.state.pointer(n.ir, "global_base"), relative, low, high


def _shared(n: NativeBlock, address: Value, active: Value) -> tuple[Value, Value, Value, Value]:
    cta = n.ir.urem(n.instance, n.state.load(n.ir, "ctas"))
    start = n.ir.mul(cta, n.state.load(n.ir, "shared_stride"))
    base = n.ir.gep(n.state.pointer(n.ir, "shared_base"), [start], source_etype=I8)
    window = n.ir.icmp_unsigned(">=", address, splat(I64, SHARED_BASE))
    relative = n.ir.select(window, n.ir.sub(address, splat(I64, SHARED_BASE)), address)
    return base, relative, splat(I64, 0), n.splat(n.state.load(n.ir, "shared_bytes"))


def _local(n: NativeBlock, address: Value, active: Value) -> tuple[Value, Value, Value, Value]:
    window = n.ir.icmp_unsigned(">=", address, splat(I64, LOCAL_BASE))
    relative = n.ir.select(window, n.ir.sub(address, splat(I64, LOCAL_BASE)), address)
    size = n.splat(n.state.load(n.ir, "local_bytes"))
    lane = n.ir.add(n.splat(n.ir.mul(n.instance, I64(LANES))), iota(I64))
    start = n.ir.mul(lane, size)
    # Each lane has its own bytes: the offset is from the start of all of them.
    return n.state.pointer(n.ir, "local_base"), n.ir.add(relative, start), start, n.ir.add(start, size)


def _generic(n: NativeBlock, address: Value, active: Value) -> tuple[Value, Value, Value, Value]:
    """Only global memory and this CTA's shared memory; anything else takes the fault exit and is done by NumPy."""
    global_base, from_global, low, high = _global(n, address, active)
    shared_base, from_shared, _, end = _shared(n, address, active)
    is_global = n.ir.icmp_unsigned(">=", address, splat(I64, GLOBAL_BASE))
    distance = n.ir.sub(n.ir.ptrtoint(shared_base, I64), n.ir.ptrtoint(global_base, I64))
    shift = n.splat(distance)
    relative = n.ir.select(is_global, from_global, n.ir.add(from_shared, shift))
    return (
        global_base, relative, n.ir.select(is_global, low, shift), n.ir.select(is_global, high, n.ir.add(end, shift)),
    )  # fmt: skip


_SPACE_RULES = {"global": _global, "shared": _shared, "local": _local, "generic": _generic}


# Data


def _first(n: NativeBlock, places: _Places) -> tuple[Value, Value]:
    """(first active lane, its offset); lane 0 when there is none."""
    count = n.intrinsic("llvm.cttz.i32", I32, [I32, ir.IntType(1)])
    lane = n.ir.and_(n.ir.call(count, [places.active_bits, ir.IntType(1)(0)]), I32(31))
    return lane, n.ir.extract_element(places.offset, lane)


def _all_equal(n: NativeBlock, places: _Places, expected: Value) -> Value:
    """Whether all active lanes have the expected offset."""
    differs = n.to_word(n.ir.icmp_unsigned("!=", places.offset, expected))
    return n.ir.icmp_unsigned("==", n.ir.and_(differs, places.active_bits), I32(0))


def _pointers(n: NativeBlock, places: _Places, plus: int) -> Value:
    offset = n.ir.add(places.offset, splat(I64, plus)) if plus else places.offset
    host = n.ir.add(n.splat(n.ir.ptrtoint(places.base, I64)), offset)
    return n.ir.inttoptr(host, ir.VectorType(POINTER, LANES))


def _load(n: NativeBlock, places: _Places, scalar: ir.IntType, count: int) -> list[Value]:
    """`count` vectors of elements: three ways, by how the lanes' places lie."""
    kind = ir.VectorType(scalar, LANES)
    lane, first = _first(n, places)
    whole = n.ir.icmp_unsigned("==", places.active_bits, I32(0xFFFFFFFF))
    row = n.ir.add(n.splat(n.ir.extract_element(places.offset, I32(0))), iota(I64, places.nbytes))
    side_by_side = n.ir.and_(whole, _all_equal(n, places, row))
    same = n.ir.and_(_all_equal(n, places, n.splat(first)), n.ir.icmp_unsigned("!=", places.active_bits, I32(0)))
    assert lane is not None
    names = ("row", "same", "choose", "each", "loaded")
    in_row, broadcast, choose, each, done = (n.ir.append_basic_block(x) for x in names)
    n.ir.cbranch(side_by_side, in_row, choose)
    n.ir.position_at_end(choose)
    n.ir.cbranch(same, broadcast, each)

    n.ir.position_at_end(in_row)
    place = n.ir.gep(places.base, [first], source_etype=I8)
    wide = n.ir.load(place, typ=ir.VectorType(scalar, LANES * count), align=1)
    rows = [_every(n, wide, count, k) for k in range(count)]
    n.ir.branch(done)

    n.ir.position_at_end(broadcast)
    single = n.ir.gep(places.base, [first], source_etype=I8)
    one = n.ir.load(single, typ=ir.VectorType(scalar, count), align=1)
    copies = [n.splat(n.ir.extract_element(one, I32(k))) for k in range(count)]
    n.ir.branch(done)

    n.ir.position_at_end(each)
    name = f"llvm.masked.gather.v{LANES}i{scalar.width}.v{LANES}p0"
    gather = n.intrinsic(name, kind, [ir.VectorType(POINTER, LANES), I32, MASK, kind])
    zero = splat(scalar, 0)
    scattered = [
        n.ir.call(gather, [_pointers(n, places, k * scalar.width // 8), I32(scalar.width // 8), places.active, zero])
        for k in range(count)
    ]
    n.ir.branch(done)

    n.ir.position_at_end(done)
    results = []
    for ways in zip(rows, copies, scattered, strict=True):
        phi = n.ir.phi(kind)
        for value, block in zip(ways, (in_row, broadcast, each), strict=True):
            phi.add_incoming(value, block)
        results.append(phi)
    return results


def _every(n: NativeBlock, wide: Value, count: int, start: int) -> Value:
    """Elements start, start + count, ... of a wide vector."""
    order = ir.Constant(ir.VectorType(I32, LANES), [I32(start + count * i) for i in range(LANES)])
    return n.ir.shuffle_vector(wide, ir.Constant(wide.type, ir.Undefined), order)


def _store(n: NativeBlock, places: _Places, values: list[Value]) -> None:
    """Side by side, or lane by lane; where lanes collide the highest one's value stays."""
    scalar, count = values[0].type.element, len(values)
    row = n.ir.add(n.splat(n.ir.extract_element(places.offset, I32(0))), iota(I64, places.nbytes))
    whole = n.ir.icmp_unsigned("==", places.active_bits, I32(0xFFFFFFFF))
    side_by_side = n.ir.and_(whole, _all_equal(n, places, row))
    in_row, each, done = (n.ir.append_basic_block(x) for x in ("row", "each", "stored"))
    n.ir.cbranch(side_by_side, in_row, each)

    n.ir.position_at_end(in_row)
    place = n.ir.gep(places.base, [n.ir.extract_element(places.offset, I32(0))], source_etype=I8)
    n.ir.store(_interleaved(n, values), place, align=1)
    n.ir.branch(done)

    n.ir.position_at_end(each)
    name = f"llvm.masked.scatter.v{LANES}i{scalar.width}.v{LANES}p0"
    scatter = n.intrinsic(name, ir.VoidType(), [values[0].type, ir.VectorType(POINTER, LANES), I32, MASK])
    for k in range(count):
        pointers = _pointers(n, places, k * scalar.width // 8)
        n.ir.call(scatter, [values[k], pointers, I32(scalar.width // 8), places.active])
    n.ir.branch(done)
    n.ir.position_at_end(done)


def _interleaved(n: NativeBlock, values: list[Value]) -> Value:
    """Element k of each lane next to element k + 1."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    even, odd = _interleaved(n, values[::2]), _interleaved(n, values[1::2])
    size = LANES * half
    order = [I32(i // 2 + (i % 2) * size) for i in range(2 * size)]
    return n.ir.shuffle_vector(even, odd, ir.Constant(ir.VectorType(I32, 2 * size), order))
