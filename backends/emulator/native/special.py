"""Division, roots, reciprocals and powers of two as LLVM IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from backends.emulator.native.arithmetic import FLOATS, Emit, flushed, modified, require, sources_of
from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import DOUBLE, I32, I64, LANES, NotNativeError, element, splat

Value = Any


def _divide(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = parts[-1]
    if kind == "f64" or (kind == "f32" and "approx" not in parts):
        require(parts[:-1], "rn full ftz")
        n.write(operands[0], kind, modified(n, parts, sources_of(n, (kind, kind), operands), n.ir.fdiv))
        return
    if kind in FLOATS or len(parts) != 2:
        raise NotNativeError("div")
    # Division by zero has to give all ones, and the one overflow its dividend, without a trap of the CPU.
    scalar = element(kind)
    a, b = sources_of(n, (kind, kind), operands)
    is_zero = n.ir.icmp_unsigned("==", b, splat(scalar, 0))
    safe = n.ir.select(is_zero, splat(scalar, 1), b)
    signed = kind[0] == "s"
    ones = splat(scalar, (1 << scalar.width) - 1)
    if signed:
        lowest = splat(scalar, 1 << (scalar.width - 1))
        overflow = n.ir.and_(n.ir.icmp_unsigned("==", a, lowest), n.ir.icmp_unsigned("==", b, ones))
        safe = n.ir.select(overflow, splat(scalar, 1), safe)
    if parts[0] == "div":
        quotient = (n.ir.sdiv if signed else n.ir.udiv)(a, safe)
        n.write(operands[0], kind, n.ir.select(is_zero, ones, quotient))
        return
    rest = (n.ir.srem if signed else n.ir.urem)(a, safe)
    n.write(operands[0], kind, n.ir.select(is_zero, ones, rest))


def _in_double(compute: Callable[[NativeBlock, Value], Value]) -> Emit:
    """A special function, evaluated in float64 and rounded once."""

    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        require(parts[:-1], "approx ftz")
        if parts[-1] != "f32" or "approx" not in parts:
            raise NotNativeError("special function")
        (a,) = sources_of(n, ("f32",), operands)
        if "ftz" in parts:
            a = flushed(n, a)
        wide = n.ir.fpext(a, ir.VectorType(DOUBLE, LANES))
        result = n.ir.fptrunc(compute(n, wide), a.type)
        n.write(operands[0], "f32", flushed(n, result) if "ftz" in parts else result)

    return emit


def _exp2(n: NativeBlock, x: Value) -> Value:
    """2^x: 2^r by its Taylor series for |r| <= 1/2, to 1e-17, scaled in two steps so that subnormals come out right."""
    low, high = splat(DOUBLE, -1100.0), splat(DOUBLE, 1100.0)
    limited = n.ir.select(n.ir.fcmp_ordered("<", x, low), low, x)
    limited = n.ir.select(n.ir.fcmp_ordered(">", limited, high), high, limited)
    whole = n.call("rint", limited)
    rest = n.ir.fsub(limited, whole)
    coefficient, series = 1.0, []
    for k in range(15):
        series.append(coefficient)
        coefficient *= 0.6931471805599453094 / (k + 1)
    total: Value = splat(DOUBLE, series[-1])
    for c in reversed(series[:-1]):
        total = n.call("fma", total, rest, splat(DOUBLE, c))
    power = n.ir.fptosi(
        n.ir.select(n.ir.fcmp_unordered("uno", x, x), splat(DOUBLE, 0.0), whole), ir.VectorType(I32, LANES)
    )
    half = n.ir.ashr(power, splat(I32, 1))
    scaled = n.ir.fmul(n.ir.fmul(total, _power_of_two(n, half)), _power_of_two(n, n.ir.sub(power, half)))
    return n.ir.select(n.ir.fcmp_unordered("uno", x, x), x, scaled)


def _power_of_two(n: NativeBlock, exponent: Value) -> Value:
    wide = n.ir.sext(exponent, ir.VectorType(I64, LANES))
    bits = n.ir.shl(n.ir.add(wide, splat(I64, 1023)), splat(I64, 52))
    return n.ir.bitcast(bits, ir.VectorType(DOUBLE, LANES))


def _reciprocal(n: NativeBlock, x: Value) -> Value:
    return n.ir.fdiv(splat(DOUBLE, 1.0), x)


def _square_root(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if parts[-1] == "f64" or (parts[-1] == "f32" and "rn" in parts):
        require(parts[:-1], "rn ftz")
        n.write(
            operands[0],
            parts[-1],
            modified(n, parts, sources_of(n, (parts[-1],), operands), lambda a: n.call("sqrt", a)),
        )
        return
    _in_double(lambda m, x: m.call("sqrt", x))(n, parts, operands)


def _reciprocal_of(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if "rn" in parts and parts[-1] in ("f32", "f64"):
        require(parts[:-1], "rn ftz")
        one = splat(element(parts[-1]), 1.0)
        n.write(
            operands[0],
            parts[-1],
            modified(n, parts, sources_of(n, (parts[-1],), operands), lambda a: n.ir.fdiv(one, a)),
        )
        return
    _in_double(_reciprocal)(n, parts, operands)


EMITTERS: dict[str, Emit] = {
    "div": _divide, "rem": _divide, "rcp": _reciprocal_of, "sqrt": _square_root,
    "rsqrt": _in_double(lambda n, x: n.ir.fdiv(splat(DOUBLE, 1.0), n.call("sqrt", x))), "ex2": _in_double(_exp2),
}  # fmt: skip
