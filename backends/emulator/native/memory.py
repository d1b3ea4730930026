"""Loads and stores as LLVM IR: one bounds check for the warp, then side by side, broadcast or lane by lane."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.emulator.native.block import NativeBlock
from backends.emulator.native.places import Places, checked
from backends.emulator.native.types import I8, I32, I64, LANES, MASK, POINTER, NotNativeError, iota, splat
from backends.emulator.program import bits_of
from backends.ptx.syntax import Address, Symbol

Value = Any
_SPACES = {"global": "global", "const": "global", "param": "param", "shared": "shared", "local": "local"}
# Accesses by which threads tell each other something stay with NumPy: between them the scheduler lets others go on.
_PLAIN = frozenset([
    "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "weak", "cta", "gpu",
    "sys", "v2", "v4",
])  # fmt: skip


def _form(parts: tuple[str, ...]) -> tuple[str, str, int]:
    """(space, element type, count); NotNativeError for a modifier with a meaning that is not handled."""
    space, count = "generic", 1
    for part in parts[1:-1]:
        base = part.partition("::")[0]
        if base in _SPACES and not part.endswith("cluster"):
            space = _SPACES[base]
        elif part in ("v2", "v4"):
            count = int(part[1:])
        elif part not in _PLAIN and not part.startswith(("L1::", "L2::")):
            raise NotNativeError(part)
    if bits_of(parts[-1]) not in (8, 16, 32, 64) or bits_of(parts[-1]) * count > 128:
        raise NotNativeError(parts[-1])
    return space, parts[-1], count


def emit_load(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """`ld`, scalar or vector."""
    space, kind, count = _form(parts)
    width = bits_of(kind)
    if space == "param":
        _load_parameter(n, kind, count, operands)
        return
    places = checked(n, space, operands[1], width // 8 * count)
    items = n.items(operands[0])
    for item, value in zip(items, _load(n, places, ir.IntType(width), count), strict=True):
        n.write(item, kind if kind[0] == "s" else f"b{width}", value, signed=kind[0] == "s")


def emit_store(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """`st`, scalar or vector."""
    space, kind, count = _form(parts)
    if space == "param":
        raise NotNativeError("param")
    width = bits_of(kind)
    values = [n.read(item, f"b{width}") for item in n.items(operands[1])]
    if len(values) != count:
        raise NotNativeError("vector")
    _store(n, checked(n, space, operands[0], width // 8 * count), values)


def _load_parameter(n: NativeBlock, kind: str, count: int, operands: list[Any]) -> None:
    """A parameter is the same for all lanes."""
    source = operands[1]
    if not isinstance(source, Address) or not isinstance(source.base, Symbol):
        raise NotNativeError("param")
    place = n.program.parameters.get(source.base.name)
    if place is None:
        raise NotNativeError("param")
    width = bits_of(kind)
    for index, item in enumerate(n.items(operands[0])):
        offset = place[0] + source.offset + index * width // 8
        pointer = n.ir.gep(n.state.pointer(n.ir, "parameters"), [I64(offset)], source_etype=I8)
        value = n.ir.load(pointer, typ=ir.IntType(width), align=1)
        n.write(item, kind if kind[0] == "s" else f"b{width}", n.splat(value), signed=kind[0] == "s")
    assert count == len(n.items(operands[0]))


def _first(n: NativeBlock, places: Places) -> tuple[Value, Value]:
    """(first active lane, its offset); lane 0 when there is none."""
    count = n.intrinsic("llvm.cttz.i32", I32, [I32, ir.IntType(1)])
    lane = n.ir.and_(n.ir.call(count, [places.active_bits, ir.IntType(1)(0)]), I32(31))
    return lane, n.ir.extract_element(places.offset, lane)


def _all_equal(n: NativeBlock, places: Places, expected: Value) -> Value:
    """Whether all active lanes have the expected offset."""
    differs = n.to_word(n.ir.icmp_unsigned("!=", places.offset, expected))
    return n.ir.icmp_unsigned("==", n.ir.and_(differs, places.active_bits), I32(0))


def _pointers(n: NativeBlock, places: Places, plus: int) -> Value:
    offset = n.ir.add(places.offset, splat(I64, plus)) if plus else places.offset
    host = n.ir.add(n.splat(n.ir.ptrtoint(places.base, I64)), offset)
    return n.ir.inttoptr(host, ir.VectorType(POINTER, LANES))


def _load(n: NativeBlock, places: Places, scalar: ir.IntType, count: int) -> list[Value]:
    """`count` vectors of elements: three ways, by how the lanes' places lie."""
    _, first = _first(n, places)
    same = n.ir.and_(_all_equal(n, places, n.splat(first)), n.ir.icmp_unsigned("!=", places.active_bits, I32(0)))
    names = ("row", "same", "choose", "each", "loaded")
    in_row, broadcast, choose, each, done = (n.ir.append_basic_block(x) for x in names)
    n.ir.cbranch(_side_by_side(n, places), in_row, choose)
    n.ir.position_at_end(choose)
    n.ir.cbranch(same, broadcast, each)
    ways = []
    for block, load in ((in_row, _row), (broadcast, _broadcast), (each, _gather)):
        n.ir.position_at_end(block)
        ways.append(load(n, places, scalar, count))
        n.ir.branch(done)
    n.ir.position_at_end(done)
    results = []
    for values in zip(*ways, strict=True):
        phi = n.ir.phi(ir.VectorType(scalar, LANES))
        for value, block in zip(values, (in_row, broadcast, each), strict=True):
            phi.add_incoming(value, block)
        results.append(phi)
    return results


def _side_by_side(n: NativeBlock, places: Places) -> Value:
    """Whether all 32 lanes take part, each right after the one before."""
    row = n.ir.add(n.splat(n.ir.extract_element(places.offset, I32(0))), iota(I64, places.nbytes))
    whole = n.ir.icmp_unsigned("==", places.active_bits, I32(0xFFFFFFFF))
    return n.ir.and_(whole, _all_equal(n, places, row))


def _row(n: NativeBlock, places: Places, scalar: ir.IntType, count: int) -> list[Value]:
    place = n.ir.gep(places.base, [n.ir.extract_element(places.offset, I32(0))], source_etype=I8)
    wide = n.ir.load(place, typ=ir.VectorType(scalar, LANES * count), align=1)
    return [_every(n, wide, count, k) for k in range(count)]


def _broadcast(n: NativeBlock, places: Places, scalar: ir.IntType, count: int) -> list[Value]:
    place = n.ir.gep(places.base, [_first(n, places)[1]], source_etype=I8)
    one = n.ir.load(place, typ=ir.VectorType(scalar, count), align=1)
    return [n.splat(n.ir.extract_element(one, I32(k))) for k in range(count)]


def _gather(n: NativeBlock, places: Places, scalar: ir.IntType, count: int) -> list[Value]:
    kind, nbytes = ir.VectorType(scalar, LANES), scalar.width // 8
    name = f"llvm.masked.gather.v{LANES}i{scalar.width}.v{LANES}p0"
    gather = n.intrinsic(name, kind, [ir.VectorType(POINTER, LANES), I32, MASK, kind])
    arguments = [I32(nbytes), places.active, splat(scalar, 0)]
    return [n.ir.call(gather, [_pointers(n, places, k * nbytes), *arguments]) for k in range(count)]


def _every(n: NativeBlock, wide: Value, count: int, start: int) -> Value:
    """Elements start, start + count, ... of a wide vector."""
    order = ir.Constant(ir.VectorType(I32, LANES), [I32(start + count * i) for i in range(LANES)])
    return n.ir.shuffle_vector(wide, ir.Constant(wide.type, ir.Undefined), order)


def _store(n: NativeBlock, places: Places, values: list[Value]) -> None:
    """Side by side, or lane by lane; where lanes collide the highest one's value stays."""
    scalar, count = values[0].type.element, len(values)
    in_row, each, done = (n.ir.append_basic_block(x) for x in ("row", "each", "stored"))
    n.ir.cbranch(_side_by_side(n, places), in_row, each)

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
