"""Conversions, moves and address conversions as LLVM IR."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.emulator.native.arithmetic import Emit, flushed
from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import FLOAT, HALF, I16, I32, I64, LANES, NotNativeError, bits_of, element, splat
from backends.emulator.program import bits_of as type_bits
from backends.emulator.spaces import LOCAL_BASE, SHARED_BASE
from backends.ptx.syntax import Vector

Value = Any
_FLOATS = ("f16", "bf16", "f32", "f64")
_ROUNDINGS = {"rni": "roundeven", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}
_WINDOWS = {"global": 0, "const": 0, "param": 0, "shared": SHARED_BASE, "local": LOCAL_BASE}


def widened(n: NativeBlock, value: Value, kind: str) -> Value:
    """A float of 16 bits as float32; others as they are."""
    target = ir.VectorType(FLOAT, LANES)
    if kind == "f16":
        return n.ir.fpext(value, target)
    if kind == "bf16":
        word = n.ir.shl(n.ir.zext(value, ir.VectorType(I32, LANES)), splat(I32, 16))
        return n.ir.bitcast(word, target)
    return value


def narrowed_bf16(n: NativeBlock, value: Value) -> Value:
    """float32 to the bits of bf16, to nearest even; NaN becomes the canonical one."""
    word = n.bits(value)
    odd = n.ir.and_(n.ir.lshr(word, splat(I32, 16)), splat(I32, 1))
    rounded = n.ir.lshr(n.ir.add(word, n.ir.add(odd, splat(I32, 0x7FFF))), splat(I32, 16))
    is_nan = n.ir.fcmp_unordered("uno", value, value)
    return n.ir.trunc(n.ir.select(is_nan, splat(I32, 0x7FFF), rounded), ir.VectorType(I16, LANES))


def _cvt(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if len(operands) == 3:
        _pack_two(n, parts, operands)
        return
    to, of = parts[-2:]
    modifiers = parts[1:-2]
    source = n.read(operands[1], of)
    if of in _FLOATS and to in _FLOATS:
        n.write(operands[0], to, _float_to_float(n, modifiers, to, of, source))
    elif of in _FLOATS:
        n.write(operands[0], to, _float_to_integer(n, modifiers, to, of, source))
    elif to in _FLOATS:
        n.write(operands[0], to, _integer_to_float(n, modifiers, to, of, source))
    else:
        if modifiers:
            raise NotNativeError("saturating conversion")
        n.write(operands[0], to, _resized(n, source, element(to), of[0] == "s"), signed=to[0] == "s")


def _resized(n: NativeBlock, value: Value, scalar: ir.Type, signed: bool) -> Value:
    target = ir.VectorType(scalar, LANES)
    width = value.type.element.width
    if width == scalar.width:
        return value
    if width > scalar.width:
        return n.ir.trunc(value, target)
    return n.ir.sext(value, target) if signed else n.ir.zext(value, target)


def _float_to_float(n: NativeBlock, modifiers: tuple[str, ...], to: str, of: str, source: Value) -> Value:
    rounding = next((m for m in modifiers if m in _ROUNDINGS), None)
    if any(m not in ("rn", "ftz", *_ROUNDINGS) for m in modifiers) or ("f64" in (to, of) and "bf16" in (to, of)):
        raise NotNativeError("conversion")
    if of == "f64" and to == "f16":
        raise NotNativeError("rounds twice")
    value = widened(n, source, of)
    if "ftz" in modifiers and of == "f32":
        value = flushed(n, value)
    if rounding:
        value = n.call(_ROUNDINGS[rounding], value)
    if to == "bf16":
        return narrowed_bf16(n, value)
    target = ir.VectorType(element(to), LANES)
    if bits_of(value.type.element) < bits_of(target.element):
        value = n.ir.fpext(value, target)
    elif bits_of(value.type.element) > bits_of(target.element):
        value = n.ir.fptrunc(value, target)
    return flushed(n, value) if "ftz" in modifiers and to == "f32" else value


def _float_to_integer(n: NativeBlock, modifiers: tuple[str, ...], to: str, of: str, source: Value) -> Value:
    rounding = next((m for m in modifiers if m in _ROUNDINGS), None)
    if rounding is None or any(m not in ("ftz", rounding) for m in modifiers) or type_bits(to) != 32 or of == "f64":
        raise NotNativeError("conversion")
    value = widened(n, source, of)
    if "ftz" in modifiers:
        value = flushed(n, value)
    value = n.call(_ROUNDINGS[rounding], value)
    name = "fptosi" if to[0] == "s" else "fptoui"
    target = ir.VectorType(I32, LANES)
    function = n.intrinsic(f"llvm.{name}.sat.v{LANES}i32.v{LANES}f32", target, [value.type])
    return n.ir.call(function, [value])


def _integer_to_float(n: NativeBlock, modifiers: tuple[str, ...], to: str, of: str, source: Value) -> Value:
    if modifiers != ("rn",) or to not in ("f32", "f64"):
        raise NotNativeError("conversion")
    convert = n.ir.sitofp if of[0] == "s" else n.ir.uitofp
    return convert(source, ir.VectorType(element(to), LANES))


def _pack_two(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """`cvt.rn.f16x2.f32 d, a, b`: a in the upper half, b in the lower."""
    if parts[1:] not in (("rn", "f16x2", "f32"), ("rn", "bf16x2", "f32")):
        raise NotNativeError("packed conversion")
    halves = []
    for operand in operands[1:]:
        value = n.read(operand, "f32")
        if parts[2] == "bf16x2":
            halves.append(narrowed_bf16(n, value))
        else:
            halves.append(n.cast(n.ir.fptrunc(value, ir.VectorType(HALF, LANES)), I16))
    upper, lower = (n.ir.zext(h, ir.VectorType(I32, LANES)) for h in halves)
    n.write(operands[0], "b32", n.ir.or_(n.ir.shl(upper, splat(I32, 16)), lower))


def _mov(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    target, source = operands
    kind = parts[-1] if parts[-1] == "pred" else f"b{type_bits(parts[-1])}"
    if isinstance(source, Vector):
        n.write(target, kind, _joined(n, kind, source))
    elif isinstance(target, Vector):
        whole = n.read(source, kind)
        width = type_bits(kind) // len(target.items)
        for index, item in enumerate(target.items):
            shifted = n.ir.lshr(whole, splat(whole.type.element, index * width))
            n.write(item, f"b{width}", n.ir.trunc(shifted, ir.VectorType(ir.IntType(width), LANES)))
    else:
        n.write(target, kind, n.read(source, kind))


def _joined(n: NativeBlock, kind: str, source: Vector) -> Value:
    whole = ir.VectorType(element(kind), LANES)
    width = type_bits(kind) // len(source.items)
    total: Value = splat(whole.element, 0)
    for index, item in enumerate(source.items):
        part = n.ir.zext(n.read(item, f"b{width}"), whole)
        total = n.ir.or_(total, n.ir.shl(part, splat(whole.element, index * width)))
    return total


def _cvta(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    space = next((p.partition("::")[0] for p in parts if p.partition("::")[0] in _WINDOWS), None)
    if space in (None, "param") or not parts[-1].endswith("64"):
        raise NotNativeError("cvta")
    value = n.read(operands[1], "b64")
    base = splat(I64, _WINDOWS[space])
    n.write(operands[0], "b64", n.ir.sub(value, base) if "to" in parts else n.ir.add(value, base))


EMITTERS: dict[str, Emit] = {"cvt": _cvt, "mov": _mov, "cvta": _cvta}
