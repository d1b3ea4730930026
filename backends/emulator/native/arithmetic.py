"""Lane-wise instructions as LLVM IR, by their base opcode; each gives the same bits as its function in `semantics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import DOUBLE, FLOAT, I1, I32, I64, LANES, NotNative, bits_of, element, splat

Value = Any
Emit = Callable[[NativeBlock, tuple[str, ...], list[Any]], None]
_FLOATS = ("f16", "f32", "f64")


def _operands(n: NativeBlock, kinds: tuple[str, ...], operands: list[Any]) -> list[Value]:
    if len(operands) != len(kinds) + 1:
        raise NotNative("operands")
    return [n.read(o, k) for o, k in zip(operands[1:], kinds, strict=True)]


def _require(parts: tuple[str, ...], allowed: str) -> None:
    """Refuse a modifier that is not among `allowed`."""
    for part in parts[1:]:
        if part not in allowed.split():
            raise NotNative(part)


def _width(kind: str) -> int:
    return bits_of(element(kind))


def _integer(operation: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        kind = parts[-1]
        if kind in _FLOATS:
            _float_arithmetic(n, operation, parts, operands)
            return
        _require(parts[:-1], "")
        if "x" in kind or kind.startswith("bf"):
            raise NotNative(kind)
        a, b = _operands(n, (kind, kind), operands)
        n.write(operands[0], kind, getattr(n.ir, operation)(a, b))

    return emit


def flushed(n: NativeBlock, x: Value) -> Value:
    """Subnormal float32 replaced by zeros of their sign."""
    tiny = n.ir.fcmp_ordered("<", n.call("fabs", x), splat(FLOAT, 2.0**-126))
    return n.ir.select(tiny, n.call("copysign", splat(FLOAT, 0.0), x), x)


def saturated(n: NativeBlock, x: Value) -> Value:
    """Clamped to [0, 1]; NaN and -0 become +0."""
    scalar = x.type.element
    above = n.ir.select(n.ir.fcmp_ordered(">", x, splat(scalar, 0.0)), x, splat(scalar, 0.0))
    return n.ir.select(n.ir.fcmp_ordered("<", above, splat(scalar, 1.0)), above, splat(scalar, 1.0))


def _modified(n: NativeBlock, parts: tuple[str, ...], sources: list[Value], compute: Callable[..., Value]) -> Value:
    ftz = "ftz" in parts
    if ftz and parts[-1] == "f32":
        sources = [flushed(n, x) for x in sources]
    result = compute(*sources)
    if ftz and parts[-1] == "f32":
        result = flushed(n, result)
    return saturated(n, result) if "sat" in parts else result


def _float_arithmetic(n: NativeBlock, operation: str, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = parts[-1]
    _require(parts[:-1], "rn ftz sat")
    if kind == "f16" and ("ftz" in parts or "sat" in parts):
        raise NotNative("f16 modifier")
    name = {"add": "fadd", "sub": "fsub", "mul": "fmul"}[operation]
    n.write(operands[0], kind, _modified(n, parts, _operands(n, (kind, kind), operands), getattr(n.ir, name)))


def _mul(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if parts[-1] in _FLOATS:
        _float_arithmetic(n, "mul", parts, operands)
        return
    kind, result = _product(n, parts, operands[:3])
    n.write(operands[0], kind, result)


def _product(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> tuple[str, Value]:
    """(type, value) of `mul.lo`, `.hi` or `.wide`."""
    mode, kind = parts[1], parts[-1]
    if mode not in ("lo", "hi", "wide") or len(parts) != 3:
        raise NotNative("mul")
    a, b = _operands(n, (kind, kind), operands)
    if mode == "lo":
        return kind, n.ir.mul(a, b)
    width = _width(kind)
    double = ir.VectorType(ir.IntType(2 * width), LANES)
    extend = n.ir.sext if kind[0] == "s" else n.ir.zext
    full = n.ir.mul(extend(a, double), extend(b, double))
    if mode == "wide":
        return f"{kind[0]}{2 * width}", full
    high = n.ir.lshr(full, splat(double.element, width))
    return kind, n.ir.trunc(high, a.type)


def _mad(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if parts[-1] in _FLOATS:
        _fma(n, parts, operands)
        return
    kind, product = _product(n, parts, operands[:3])
    n.write(operands[0], kind, n.ir.add(product, n.read(operands[3], kind)))


def _fma(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = parts[-1]
    _require(parts[:-1], "rn ftz sat")
    if kind not in ("f32", "f64"):
        raise NotNative(kind)
    sources = _operands(n, (kind,) * 3, operands)
    n.write(operands[0], kind, _modified(n, parts, sources, lambda a, b, c: n.call("fma", a, b, c)))


def _logic(operation: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        kind = parts[-1]
        a, b = _operands(n, (kind, kind), operands)
        n.write(operands[0], kind, getattr(n.ir, operation)(a, b))

    return emit


def _not(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    n.write(operands[0], parts[-1], n.inverse(_operands(n, (parts[-1],), operands)[0]))


def _shift(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    """Amounts beyond the width give 0, or the sign."""
    kind = parts[-1]
    scalar = element(kind)
    width = bits_of(scalar)
    value, amount = n.read(operands[1], kind), n.read(operands[2], "u32")
    limit = width - 1 if kind[0] == "s" else width
    beyond = n.ir.icmp_unsigned(">=", amount, splat(I32, width))
    clamped = n.ir.select(beyond, splat(I32, width - 1), amount)
    amount = _resized(n, clamped, scalar)
    if parts[0] == "shr" and kind[0] == "s":
        n.write(operands[0], kind, n.ir.ashr(value, amount))
        return
    shifted = n.ir.shl(value, amount) if parts[0] == "shl" else n.ir.lshr(value, amount)
    assert limit >= width - 1
    n.write(operands[0], kind, n.ir.select(beyond, splat(scalar, 0), shifted))


def _resized(n: NativeBlock, value: Value, scalar: ir.Type) -> Value:
    """Zero-extended or truncated to another integer width."""
    target = ir.VectorType(scalar, LANES)
    width = value.type.element.width
    if width == scalar.width:
        return value
    return n.ir.zext(value, target) if width < scalar.width else n.ir.trunc(value, target)


def _funnel(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    low, high, amount = _operands(n, ("u32", "u32", "u32"), operands)
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
    _require(parts, "b32")
    lut = getattr(operands[4], "value", None)
    if lut is None:
        raise NotNative("lut")
    a, b, c = (n.read(o, "b32") for o in operands[1:4])
    total: Value = splat(I32, 0)
    for k in range(8):
        if lut >> k & 1:
            terms = [x if k >> shift & 1 else n.inverse(x) for x, shift in ((a, 2), (b, 1), (c, 0))]
            total = n.ir.or_(total, n.ir.and_(n.ir.and_(terms[0], terms[1]), terms[2]))
    n.write(operands[0], "b32", total)


def _prmt(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    _require(parts, "b32")
    selector = getattr(operands[3], "value", None)
    if selector is None:
        raise NotNative("selector")
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
    width = _width(kind)
    if position is None or length is None or not 0 < length <= width - position:
        raise NotNative("bit field")
    scalar = element(kind)
    left = n.ir.shl(n.read(operands[1], kind), splat(scalar, width - position - length))
    shift = n.ir.ashr if kind[0] == "s" else n.ir.lshr
    n.write(operands[0], kind, shift(left, splat(scalar, width - length)))


def _bfi(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind, (position, length) = parts[-1], (getattr(o, "value", None) for o in operands[3:5])
    if position is None or length is None or not 0 < length <= _width(kind) - position:
        raise NotNative("bit field")
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
        n.write(operands[0], kind, result if name == "bitreverse" else _resized(n, result, I32))

    return emit


_INTEGER_RELATIONS = {
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<", "ls": "<=", "hi": ">", "hs": ">=",
}  # fmt: skip
_ORDERED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "num": "ord"}
_UNORDERED = {"equ": "==", "neu": "!=", "ltu": "<", "leu": "<=", "gtu": ">", "geu": ">=", "nan": "uno"}


def comparison(n: NativeBlock, relation: str, kind: str, a: Value, b: Value, ftz: bool) -> Value:
    """<32 x i1> of a comparison of two vectors of `kind`."""
    if kind in _FLOATS:
        if ftz and kind == "f32":
            a, b = flushed(n, a), flushed(n, b)
        if relation in _ORDERED:
            return n.ir.fcmp_ordered(_ORDERED[relation], a, b)
        return n.ir.fcmp_unordered(_UNORDERED[relation], a, b)
    if relation not in _INTEGER_RELATIONS or kind == "bf16":
        raise NotNative(relation)
    compare = n.ir.icmp_signed if kind[0] == "s" else n.ir.icmp_unsigned
    return compare(_INTEGER_RELATIONS[relation], a, b)


def _setp(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind, relation = parts[-1], parts[1]
    combine = next((p for p in parts[2:-1] if p in ("and", "or", "xor")), None)
    _require(parts[1:-1], "and or xor ftz")
    a, b = n.read(operands[1], kind), n.read(operands[2], kind)
    holds = comparison(n, relation, kind, a, b, "ftz" in parts)
    results = [holds, n.inverse(holds)]
    if combine:
        other = n.read(operands[3], "pred")
        results = [getattr(n.ir, f"{combine}_" if combine != "xor" else "xor")(r, other) for r in results]
    for item, result in zip(n.items(operands[0]), results, strict=False):
        n.write(item, "pred", result)


def _selp(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = f"b{_width(parts[-1])}"
    n.write(
        operands[0],
        kind,
        n.ir.select(n.read(operands[3], "pred"), n.read(operands[1], kind), n.read(operands[2], kind)),
    )


def _extremum(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind, name = parts[-1], parts[0]
    if kind in _FLOATS:
        _require(parts[:-1], "ftz NaN")
        function = f"{name}imum" if "NaN" in parts else f"{name}imumnum"
        sources = _operands(n, (kind, kind), operands)
        n.write(operands[0], kind, _modified(n, parts, sources, lambda a, b: n.call(function, a, b)))
        return
    _require(parts[:-1], "")
    if "x" in kind or kind.startswith("b"):
        raise NotNative(kind)
    a, b = _operands(n, (kind, kind), operands)
    n.write(operands[0], kind, n.call(f"{'s' if kind[0] == 's' else 'u'}{name}", a, b))


def _sign(name: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        kind = parts[-1]
        _require(parts[:-1], "ftz")
        (a,) = _operands(n, (kind,), operands)
        if kind in ("f32", "f64"):
            compute = (lambda x: n.call("fabs", x)) if name == "abs" else n.ir.fneg
            n.write(operands[0], kind, _modified(n, parts, [a], compute))
            return
        if kind[0] != "s":
            raise NotNative(kind)
        negative = n.ir.sub(splat(a.type.element, 0), a)
        below = n.ir.icmp_signed("<", a, splat(a.type.element, 0))
        n.write(operands[0], kind, negative if name == "neg" else n.ir.select(below, negative, a))

    return emit


def _divide(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = parts[-1]
    if kind == "f64" or (kind == "f32" and "approx" not in parts):
        _require(parts[:-1], "rn full ftz")
        n.write(operands[0], kind, _modified(n, parts, _operands(n, (kind, kind), operands), n.ir.fdiv))
        return
    if kind in _FLOATS or len(parts) != 2:
        raise NotNative("div")
    # Division by zero has to give all ones, and the one overflow its dividend, without a trap of the CPU.
    scalar = element(kind)
    a, b = _operands(n, (kind, kind), operands)
    is_zero = n.ir.icmp_unsigned("==", b, splat(scalar, 0))
    safe = n.ir.select(is_zero, splat(scalar, 1), b)
    signed = kind[0] == "s"
    overflow = None
    if signed:
        lowest, ones = splat(scalar, 1 << (scalar.width - 1)), splat(scalar, (1 << scalar.width) - 1)
        overflow = n.ir.and_(n.ir.icmp_unsigned("==", a, lowest), n.ir.icmp_unsigned("==", b, ones))
        safe = n.ir.select(overflow, splat(scalar, 1), safe)
    if parts[0] == "div":
        quotient = (n.ir.sdiv if signed else n.ir.udiv)(a, safe)
        n.write(operands[0], kind, n.ir.select(is_zero, splat(scalar, (1 << scalar.width) - 1), quotient))
        return
    rest = (n.ir.srem if signed else n.ir.urem)(a, safe)
    n.write(operands[0], kind, n.ir.select(is_zero, a, rest))


def _in_double(compute: Callable[[NativeBlock, Value], Value]) -> Emit:
    """A special function, evaluated in float64 and rounded once."""

    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        _require(parts[:-1], "approx ftz")
        if parts[-1] != "f32" or "approx" not in parts:
            raise NotNative("special function")
        (a,) = _operands(n, ("f32",), operands)
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
        _require(parts[:-1], "rn ftz")
        n.write(
            operands[0],
            parts[-1],
            _modified(n, parts, _operands(n, (parts[-1],), operands), lambda a: n.call("sqrt", a)),
        )
        return
    _in_double(lambda m, x: m.call("sqrt", x))(n, parts, operands)


def _reciprocal_of(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if "rn" in parts and parts[-1] in ("f32", "f64"):
        _require(parts[:-1], "rn ftz")
        one = splat(element(parts[-1]), 1.0)
        n.write(
            operands[0],
            parts[-1],
            _modified(n, parts, _operands(n, (parts[-1],), operands), lambda a: n.ir.fdiv(one, a)),
        )
        return
    _in_double(_reciprocal)(n, parts, operands)


EMITTERS: dict[str, Emit] = {
    "add": _integer("add"),
    "sub": _integer("sub"),
    "mul": _mul,
    "mad": _mad,
    "fma": _fma,
    "and": _logic("and_"),
    "or": _logic("or_"),
    "xor": _logic("xor"),
    "not": _not,
    "shl": _shift,
    "shr": _shift,
    "shf": _funnel,
    "lop3": _lop3,
    "prmt": _prmt,
    "bfe": _bfe,
    "bfi": _bfi,
    "popc": _count("ctpop"),
    "clz": _count("ctlz"),
    "brev": _count("bitreverse"),
    "setp": _setp,
    "selp": _selp,
    "min": _extremum,
    "max": _extremum,
    "abs": _sign("abs"),
    "neg": _sign("neg"),
    "div": _divide,
    "rem": _divide,
    "rcp": _reciprocal_of,
    "sqrt": _square_root,
    "rsqrt": _in_double(lambda n, x: n.ir.fdiv(splat(DOUBLE, 1.0), n.call("sqrt", x))),
    "ex2": _in_double(_exp2),
}
