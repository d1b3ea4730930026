"""What floating-point arithmetic computes, exactly in Fractions and rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from backends.emulator.semantics.forms import Opcode
from tests.backends.emulator.semantics.model import FORMATS, fit, flushed, read, rounded, write

Oracle = Callable[..., tuple[int, ...]]
# The last type is that of the result; mixed opcodes (add.f32.f16) name the type of the narrow sources last.
_EXACT: dict[str, Callable[..., Fraction]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "rcp": lambda a: 1 / a,
    "fma": lambda a, b, c: a * b + c,
    "mad": lambda a, b, c: a * b + c,
}


def _fma(a: float, b: float, c: float) -> float:
    """A product of finite factors is finite, however large: then an infinite addend is the sum."""
    return c if math.isinf(c) and math.isfinite(a) and math.isfinite(b) else a * b + c


# In float64: right for operands that are not finite, for division by zero, and for the sign of an exact zero.
_SPECIAL: dict[str, Callable[..., float]] = {
    **{name: _EXACT[name] for name in ("add", "sub", "mul")},
    **dict.fromkeys(("fma", "mad"), _fma),
    "div": lambda a, b: a / b,
    "rcp": lambda a: np.float64(1) / a,
}


def _types(op: Opcode) -> tuple[str, str]:
    """Result type, and the type of the sources but the last."""
    mixed = op.parts[-2] == "f32"
    return (op.parts[-2] if mixed else op.type), op.type


def _zero_when_rounding_down(op: Opcode, values: list[float], zero: float) -> float:
    """An exact zero sum is -0 when rounding down, unless both terms are +0."""
    if not op.has("rm") or op.base in ("mul", "div", "rcp"):
        return zero
    terms = (np.float64(values[0]) * values[1], values[2]) if len(values) == 3 else (values[0], values[1])
    signs = [math.copysign(1, t) for t in terms]
    if op.base == "sub":
        signs[1] = -signs[1]
    return 0.0 if signs == [1, 1] else -0.0


def evaluate(op: Opcode, values: list[float], result: str) -> float:
    """The operation of `op` on exact values, rounded once to the type `result`."""
    mode = op.rounding or "rn"
    plain = float(_SPECIAL[op.base](*map(np.float64, values)))
    divides_by_zero = op.base in ("div", "rcp") and values[-1] == 0
    if not all(map(math.isfinite, values)) or divides_by_zero:
        return plain
    exact = _EXACT[op.base](*map(Fraction, values))
    if exact:
        return rounded(exact, result, mode)
    return _zero_when_rounding_down(op, values, plain)


def modified(op: Opcode, value: float, element_type: str) -> float:
    """Flushed, saturated or clamped below, as the modifiers say."""
    if op.has("ftz"):
        value = flushed(value, element_type)
    if op.has("sat"):
        return 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0) + 0.0
    if op.has("relu") and value <= 0:
        return 0.0
    return value


def _arithmetic(op: Opcode, *bits: int) -> tuple[int, ...]:
    result, narrow = _types(op)
    types = [narrow] * (len(bits) - 1) + [result]
    values = [read(x, t) for x, t in zip(bits, types, strict=True)]
    if op.has("ftz"):
        values = [flushed(x, t) for x, t in zip(values, types, strict=True)]
    return (write(modified(op, evaluate(op, values, result), result), result),)


def _root(x: Fraction, element_type: str, mode: str) -> float:
    """Square root to 200 bits, sticky, and rounded once."""
    shift = 400 + 2 * max(0, x.denominator.bit_length())
    scaled = x.numerator * (1 << shift) // x.denominator
    root = math.isqrt(scaled)
    sticky = root * root != scaled or x.numerator * (1 << shift) % x.denominator
    return rounded(Fraction(2 * root + bool(sticky), 1 << shift // 2 + 1), element_type, mode)


def _sqrt(op: Opcode, bits: int) -> tuple[int, ...]:
    value = read(bits, op.type)
    if op.has("ftz"):
        value = flushed(value, op.type)
    if value > 0 and math.isfinite(value):
        value = _root(Fraction(value), op.type, op.rounding or "rn")
    elif value < 0:
        value = math.nan
    return (write(modified(op, value, op.type), op.type),)


def _neg(op: Opcode, bits: int) -> tuple[int, ...]:
    value = read(bits, op.type)
    if math.isnan(value) and op.type == "bf16":
        return (bits ^ 0x8000,)
    return (write(-flushed(value, op.type) if op.has("ftz") else -value, op.type),)


def _abs(op: Opcode, bits: int) -> tuple[int, ...]:
    value = read(bits, op.type)
    if math.isnan(value) and op.type == "bf16":
        return (bits & 0x7FFF,)
    return (write(abs(flushed(value, op.type) if op.has("ftz") else value), op.type),)


def _key(value: float) -> tuple[float, float]:
    return value, math.copysign(1, value)


def extreme(op: Opcode, *bits: int) -> tuple[int, ...]:
    """min and max of any number of sources."""
    values = [read(x, op.type) for x in bits]
    sign = (-1) ** sum(x >> FORMATS[op.type].width - 1 for x in bits)
    if op.has("ftz"):
        values = [flushed(x, op.type) for x in values]
    if op.has("abs"):
        values = [abs(x) for x in values]
    numbers = [x for x in values if not math.isnan(x)]
    if not numbers or (op.has("NaN") and len(numbers) < len(values)):
        return (write(math.nan, op.type),)
    best = min(numbers, key=_key) if op.base == "min" else max(numbers, key=_key)
    return (write(math.copysign(best, sign) if op.has("xorsign") else best, op.type),)


def _copysign(op: Opcode, a: int, b: int) -> tuple[int, ...]:
    top = 1 << FORMATS[op.type].width - 1
    return (a & top | b & (top - 1),)


def _testp(op: Opcode, bits: int) -> tuple[int, ...]:
    value = read(bits, op.type)
    least = 2.0 ** FORMATS[op.type].least_exponent
    facts = {
        "finite": math.isfinite(value),
        "infinite": math.isinf(value),
        "number": not math.isnan(value),
        "notanumber": math.isnan(value),
        "normal": math.isfinite(value) and abs(value) >= least,
        "subnormal": 0 < abs(value) < least,
    }
    return (int(facts[op.parts[1]]),)


# name: (reference in float64, absolute error allowed, relative error allowed), from the PTX ISA.
_APPROXIMATE: dict[str, tuple[Callable[..., float], float, float]] = {
    "div": (lambda a, b: a / b, 0, 2**-22),
    "rcp": (lambda a: np.float64(1) / a, 0, 2**-23),
    "sqrt": (np.sqrt, 0, 2**-23),
    "rsqrt": (lambda a: np.float64(1) / np.sqrt(a), 0, 2**-22.9),
    "ex2": (np.exp2, 0, 2**-22),
    "lg2": (np.log2, 2**-22, 2**-22),
    "sin": (np.sin, 2**-20.5, 2**-20.9),
    "cos": (np.cos, 2**-20.5, 2**-20.9),
    "tanh": (np.tanh, 0, 2**-11),
}
_COARSE = {"f16": 2**-9.9, "bf16": 2**-7}


def tolerance(op: Opcode) -> tuple[float, float]:
    """Absolute and relative error allowed; the float64 forms that keep 32 bits allow 2^-20."""
    _, absolute, relative = _APPROXIMATE[op.base]
    if op.type == "f64":
        return 0, 2**-20 if op.has("ftz") else 2**-52
    return absolute, max(relative, _COARSE.get(op.type, 0))


def approximate(op: Opcode, *bits: int) -> float:
    """The reference value of an approximate instruction, not rounded to its type but flushed as it would be."""
    if op.type == "f64" and op.has("ftz"):
        bits = tuple(x >> 32 << 32 for x in bits)
    values = [read(x, op.type) for x in bits]
    if op.has("ftz") and op.type != "bf16":
        values = [flushed(x, op.type) for x in values]
    if op.has("approx") and op.base == "div" and abs(values[1]) > 2.0**126:
        return values[0] * math.copysign(0.0, values[1])
    with np.errstate(all="ignore"):
        result = fit(float(_APPROXIMATE[op.base][0](*map(np.float64, values))), op.type)
    return flushed(result, op.type) if op.has("ftz") and op.type != "bf16" else result


ORACLES: dict[str, Oracle] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "rcp", "fma", "mad"), _arithmetic),
    "sqrt": _sqrt,
    "neg": _neg,
    "abs": _abs,
    "min": extreme,
    "max": extreme,
    "copysign": _copysign,
    "testp": _testp,
}
