"""Shifts, bit fields, permutations and counts of bits as LLVM IR."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.emulator.native.arithmetic import Emit, require, sources_of, width_of
from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import I1, I32, I64, LANES, NotNativeError, bits_of, element, splat

Value = Any


def _shift(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """Amounts beyond the width give 0, or the sign."""
    kind = parts[-1]
    scalar = element(kind)
    width = bits_of(scalar)
    value, amount = n.read(operands[1], kind), n.read(operands[2], "u32")
    beyond = n.ir.icmp_unsigned(">=", amount, splat(I32, width))
    clamped = n.ir.select(beyond, splat(I32, width - 1), amount)
    amount = resized(n, clamped, scalar)
    if parts[0] == "shr" and kind[0] == "s":
        n.write(operands[0], kind, n.ir.ashr(value, amount))
        return
    shifted = n.ir.shl(value, amount) if parts[0] == "shl" else n.ir.lshr(value, amount)
    n.write(operands[0], kind, n.ir.select(beyond, splat(scalar, 0), shifted))


def resized(n: NativeBlock, value: Value, scalar: ir.Type) -> Value:
    """Zero-extended or truncated to another integer width."""
    target = ir.VectorType(scalar, LANES)
    width = value.type.element.width
    if width == scalar.width:
        return value
    return n.ir.zext(value, target) if width < scalar.width else n.ir.trunc(value, target)


def _funnel(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    low, high, amount = sources_of(n, ("u32", "u32", "u32"), operands)
    wide = ir.VectorType(I64, LANES)
    both = n.ir.or_(n.ir.zext(low, wide), n.ir.shl(n.ir.zext(high, wide), splat(I64, 32)))
    if parts[2] == "wrap":
        count = n.ir.and_(amount, splat(I32, 31))
    else:
        count = n.ir.select(n.ir.icmp_unsigned(">", amount, splat(I32, 32)), splat(I32, 32), amount)
    count = n.ir.zext(count, wide)
    shifted = n.ir.lshr(n.ir.shl(both, count), splat(I64, 32)) if parts[1] == "l" else n.ir.lshr(both, count)
    n.write(operands[0], "b32", n.ir.trunc(shifted, low.type))


def _lop3(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    require(parts, "b32")
    lut = getattr(operands[4], "value", None)
    if lut is None:
        raise NotNativeError("lut")
    a, b, c = (n.read(o, "b32") for o in operands[1:4])
    total: Value = splat(I32, 0)
    for k in range(8):
        if lut >> k & 1:
            terms = [x if k >> shift & 1 else n.inverse(x) for x, shift in ((a, 2), (b, 1), (c, 0))]
            total = n.ir.or_(total, n.ir.and_(n.ir.and_(terms[0], terms[1]), terms[2]))
    n.write(operands[0], "b32", total)


def _prmt(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    require(parts, "b32")
    selector = getattr(operands[3], "value", None)
    if selector is None:
        raise NotNativeError("selector")
    a, b = n.read(operands[1], "b32"), n.read(operands[2], "b32")
    total: Value = splat(I32, 0)
    for i in range(4):
        pick = selector >> 4 * i & 15
        source = b if pick & 4 else a
        byte = n.ir.lshr(source, splat(I32, 8 * (pick & 3)))
        if pick & 8:
            byte = n.ir.ashr(n.ir.shl(byte, splat(I32, 24)), splat(I32, 31))
        total = n.ir.or_(total, n.ir.shl(n.ir.and_(byte, splat(I32, 0xFF)), splat(I32, 8 * i)))
    n.write(operands[0], "b32", total)


def _bfe(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """Constant position and length, which is what compilers emit."""
    kind, (position, length) = parts[-1], (getattr(o, "value", None) for o in operands[2:4])
    width = width_of(kind)
    if position is None or length is None or not 0 < length <= width - position:
        raise NotNativeError("bit field")
    scalar = element(kind)
    left = n.ir.shl(n.read(operands[1], kind), splat(scalar, width - position - length))
    shift = n.ir.ashr if kind[0] == "s" else n.ir.lshr
    n.write(operands[0], kind, shift(left, splat(scalar, width - length)))


def _bfi(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind, (position, length) = parts[-1], (getattr(o, "value", None) for o in operands[3:5])
    if position is None or length is None or not 0 < length <= width_of(kind) - position:
        raise NotNativeError("bit field")
    scalar = element(kind)
    mask = ((1 << length) - 1) << position
    a, b = n.read(operands[1], kind), n.read(operands[2], kind)
    inserted = n.ir.and_(n.ir.shl(a, splat(scalar, position)), splat(scalar, mask))
    n.write(operands[0], kind, n.ir.or_(inserted, n.ir.and_(b, splat(scalar, ~mask & ((1 << scalar.width) - 1)))))


def _count(name: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        a = n.read(operands[1], parts[-1])
        if name == "ctlz":
            function = n.intrinsic(f"llvm.ctlz.v{LANES}i{a.type.element.width}", a.type, [a.type, I1])
            result = n.ir.call(function, [a, I1(0)])
        else:
            result = n.call(name, a)
        kind = parts[-1] if name == "bitreverse" else "u32"
        n.write(operands[0], kind, result if name == "bitreverse" else resized(n, result, I32))

    return emit


EMITTERS: dict[str, Emit] = {
    "shl": _shift, "shr": _shift, "shf": _funnel, "lop3": _lop3, "prmt": _prmt, "bfe": _bfe, "bfi": _bfi,
    "popc": _count("ctpop"), "clz": _count("ctlz"), "brev": _count("bitreverse"),
}  # fmt: skip
