"""What cvt computes, exactly in Fractions and rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

from backends.emulator.semantics.forms import Opcode
from tests.backends.emulator.semantics.model import FORMATS, fit, flushed, read, to_integer, width, write


def _limits(element_type: str) -> tuple[int, int]:
    bits = width(element_type)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if element_type[0] == "s" else (0, (1 << bits) - 1)


def _clamp(x: int, element_type: str) -> int:
    low, high = _limits(element_type)
    return min(max(x, low), high)


def _float_to_integer(op: Opcode, value: float, to: str, of: str) -> int:
    if math.isnan(value):
        return 0 if of != "f64" and width(to) < 64 else write(1 << width(to) - 1, to)
    if math.isinf(value):
        return write(_limits(to)[value > 0], to)
    return write(_clamp(to_integer(Fraction(value), op.rounding[:2]), to), to)


def _number(op: Opcode, bits: int, of: str) -> int | float:
    value = read(bits, of)
    value = flushed(value, of) if op.has("ftz") and of == "f32" else value
    return 0.0 if op.has("relu") and value <= 0 else value


def to_float(op: Opcode, value: int | float, to: str, of: str) -> float:
    """One value rounded to the format `to`, with the modifiers of `op`."""
    exact = value if isinstance(value, float) else (Fraction(value) if value else 0.0)
    if to == of and op.rounding and isinstance(value, float) and math.isfinite(value):
        whole = to_integer(Fraction(value), op.rounding[:2])
        result = math.copysign(float(whole), value)
    else:
        result = fit(exact, to, op.rounding or "rn", op.has("satfinite"))
    if op.has("ftz") and to == "f32":
        result = flushed(result, to)
    if op.has("sat"):
        return 0.0 if math.isnan(result) else min(max(result, 0.0), 1.0) + 0.0
    return result


def _scale(op: Opcode, value: float) -> int:
    """ue8m0: the exponent of the magnitude, rounded to zero or up."""
    if math.isnan(value):
        return 0xFF
    size = abs(value)
    exponent = 128 if math.isinf(size) else math.frexp(size)[1] - 1 if size else -127
    if math.isfinite(size) and op.has("rp") and size > 2.0 ** max(exponent, -127):
        exponent += 1
    return min(max(exponent + 127, 0), 254 if op.has("satfinite") else 255)


def _narrow(op: Opcode, bits: int, to: str, of: str) -> int:
    value = float(_number(op, bits, of))
    return _scale(op, value) if to == "ue8m0" else write(to_float(op, value, to, of), to)


def _field(to: str) -> int:
    """Distance of the elements of a packed result."""
    return 4 if to == "e2m1" else 8 if to not in FORMATS else max(8, width(to))


def _packed(op: Opcode, *bits: int) -> tuple[int, ...]:
    to, of = (t.removesuffix("x2") for t in op.parts[-2:])
    if op.type.endswith("x2"):
        step = _field(of)
        bits = (bits[0] >> step, bits[0] & (1 << step) - 1)
    if of == "ue8m0":
        high, low = (0x7FFF if x == 255 else write(2.0 ** (x - 127), to) for x in bits)
    else:
        mask = (1 << (width(of) if of in FORMATS else 8)) - 1
        high, low = (_narrow(op, x & mask, to, of) for x in bits)
    return (high << _field(to) | low,)


def _pack(op: Opcode, a: int, b: int, c: int = 0) -> tuple[int, ...]:
    narrow = op.parts[3]
    bits = int(narrow[1:])
    fields = [_clamp(read(x, "s32"), narrow) & (1 << bits) - 1 for x in (a, b)]
    return ((c << 2 * bits | fields[0] << bits | fields[1]) & 0xFFFFFFFF,)


def cvt(op: Opcode, *bits: int) -> tuple[int, ...]:
    if op.has("pack"):
        return _pack(op, *bits)
    to, of = op.parts[-2:]
    if to.endswith("x2"):
        return _packed(op, *bits)
    value = _number(op, bits[0], of)
    if to not in FORMATS:
        if of in FORMATS:
            return (_float_to_integer(op, value, to, of),)
        return (write(_clamp(value, to) if op.has("sat") else value, to),)
    return (write(to_float(op, value, to, of), to),)
