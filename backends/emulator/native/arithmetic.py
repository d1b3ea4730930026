"""Lane-wise instructions as LLVM IR, by their base opcode; each gives the same bits as its function in `semantics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from backends.emulator.native.block import NativeBlock
from backends.emulator.native.types import FLOAT, LANES, NotNativeError, bits_of, element, splat

Value = Any
Emit = Callable[[NativeBlock, tuple[str, ...], list[Any]], None]
FLOATS = ("f16", "f32", "f64")


def sources_of(n: NativeBlock, kinds: tuple[str, ...], operands: list[Any]) -> list[Value]:
    """The sources, one of each kind."""
    if len(operands) != len(kinds) + 1:
        raise NotNativeError("operands")
    return [n.read(o, k) for o, k in zip(operands[1:], kinds, strict=True)]


def require(parts: tuple[str, ...], allowed: str) -> None:
    """Refuse a modifier that is not among `allowed`."""
    for part in parts[1:]:
        if part not in allowed.split():
            raise NotNativeError(part)


def width_of(kind: str) -> int:
    """Bits of an element of a PTX type."""
    return bits_of(element(kind))


def _integer(operation: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        kind = parts[-1]
        if kind in FLOATS:
            _float_arithmetic(n, operation, parts, operands)
            return
        require(parts[:-1], "")
        if "x" in kind or kind.startswith("bf"):
            raise NotNativeError(kind)
        a, b = sources_of(n, (kind, kind), operands)
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


def modified(n: NativeBlock, parts: tuple[str, ...], sources: list[Value], compute: Callable[..., Value]) -> Value:
    """`compute` with what `.ftz` and `.sat` do before and after it."""
    ftz = "ftz" in parts
    if ftz and parts[-1] == "f32":
        sources = [flushed(n, x) for x in sources]
    result = compute(*sources)
    if ftz and parts[-1] == "f32":
        result = flushed(n, result)
    return saturated(n, result) if "sat" in parts else result


def _float_arithmetic(n: NativeBlock, operation: str, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = parts[-1]
    require(parts[:-1], "rn ftz sat")
    if kind == "f16" and ("ftz" in parts or "sat" in parts):
        raise NotNativeError("f16 modifier")
    name = {"add": "fadd", "sub": "fsub", "mul": "fmul"}[operation]
    n.write(operands[0], kind, modified(n, parts, sources_of(n, (kind, kind), operands), getattr(n.ir, name)))


def _mul(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if parts[-1] in FLOATS:
        _float_arithmetic(n, "mul", parts, operands)
        return
    kind, result = _product(n, parts, operands[:3])
    n.write(operands[0], kind, result)


def _product(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> tuple[str, Value]:
    """(type, value) of `mul.lo`, `.hi` or `.wide`."""
    mode, kind = parts[1], parts[-1]
    if mode not in ("lo", "hi", "wide") or len(parts) != 3:
        raise NotNativeError("mul")
    a, b = sources_of(n, (kind, kind), operands)
    if mode == "lo":
        return kind, n.ir.mul(a, b)
    width = width_of(kind)
    double = ir.VectorType(ir.IntType(2 * width), LANES)
    extend = n.ir.sext if kind[0] == "s" else n.ir.zext
    full = n.ir.mul(extend(a, double), extend(b, double))
    if mode == "wide":
        return f"{kind[0]}{2 * width}", full
    high = n.ir.lshr(full, splat(double.element, width))
    return kind, n.ir.trunc(high, a.type)


def _mad(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    if parts[-1] in FLOATS:
        _fma(n, parts, operands)
        return
    kind, product = _product(n, parts, operands[:3])
    n.write(operands[0], kind, n.ir.add(product, n.read(operands[3], kind)))


def _fma(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = parts[-1]
    require(parts[:-1], "rn ftz sat")
    if kind not in ("f32", "f64"):
        raise NotNativeError(kind)
    sources = sources_of(n, (kind,) * 3, operands)
    n.write(operands[0], kind, modified(n, parts, sources, lambda a, b, c: n.call("fma", a, b, c)))


def _logic(operation: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        kind = parts[-1]
        a, b = sources_of(n, (kind, kind), operands)
        n.write(operands[0], kind, getattr(n.ir, operation)(a, b))

    return emit


def _not(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    n.write(operands[0], parts[-1], n.inverse(sources_of(n, (parts[-1],), operands)[0]))


_INTEGER_RELATIONS = {
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<", "ls": "<=", "hi": ">", "hs": ">=",
}  # fmt: skip
_ORDERED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "num": "ord"}
_UNORDERED = {"equ": "==", "neu": "!=", "ltu": "<", "leu": "<=", "gtu": ">", "geu": ">=", "nan": "uno"}


def comparison(n: NativeBlock, relation: str, kind: str, a: Value, b: Value, ftz: bool) -> Value:
    """<32 x i1> of a comparison of two vectors of `kind`."""
    if kind in FLOATS:
        if ftz and kind != "f32":
            raise NotNativeError("ftz")
        if ftz:
            a, b = flushed(n, a), flushed(n, b)
        if relation in _ORDERED:
            return n.ir.fcmp_ordered(_ORDERED[relation], a, b)
        return n.ir.fcmp_unordered(_UNORDERED[relation], a, b)
    if relation not in _INTEGER_RELATIONS or "f" in kind or "x" in kind:
        raise NotNativeError(relation)
    compare = n.ir.icmp_signed if kind[0] == "s" else n.ir.icmp_unsigned
    return compare(_INTEGER_RELATIONS[relation], a, b)


def _setp(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind, relation = parts[-1], parts[1]
    combine = next((p for p in parts[2:-1] if p in ("and", "or", "xor")), None)
    require(parts[1:-1], "and or xor ftz")
    a, b = n.read(operands[1], kind), n.read(operands[2], kind)
    holds = comparison(n, relation, kind, a, b, "ftz" in parts)
    results = [holds, n.inverse(holds)]
    if combine:
        other = n.read(operands[3], "pred")
        results = [getattr(n.ir, f"{combine}_" if combine != "xor" else "xor")(r, other) for r in results]
    for item, result in zip(n.items(operands[0]), results, strict=False):
        n.write(item, "pred", result)


def _selp(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind = f"b{width_of(parts[-1])}"
    n.write(
        operands[0],
        kind,
        n.ir.select(n.read(operands[3], "pred"), n.read(operands[1], kind), n.read(operands[2], kind)),
    )


def _extremum(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
    kind, name = parts[-1], parts[0]
    if kind in FLOATS:
        require(parts[:-1], "ftz NaN" if kind == "f32" else "NaN")
        function = f"{name}imum" if "NaN" in parts else f"{name}imumnum"
        sources = sources_of(n, (kind, kind), operands)
        n.write(operands[0], kind, modified(n, parts, sources, lambda a, b: n.call(function, a, b)))
        return
    require(parts[:-1], "")
    if "x" in kind or kind.startswith("b"):
        raise NotNativeError(kind)
    a, b = sources_of(n, (kind, kind), operands)
    n.write(operands[0], kind, n.call(f"{'s' if kind[0] == 's' else 'u'}{name}", a, b))


def _sign(name: str) -> Emit:
    def emit(n: NativeBlock, parts: tuple[str, ...], operands: list[Any]) -> None:
        kind = parts[-1]
        require(parts[:-1], "ftz")
        (a,) = sources_of(n, (kind,), operands)
        if kind in ("f32", "f64"):
            compute = (lambda x: n.call("fabs", x)) if name == "abs" else n.ir.fneg
            n.write(operands[0], kind, modified(n, parts, [a], compute))
            return
        if kind[0] != "s":
            raise NotNativeError(kind)
        negative = n.ir.sub(splat(a.type.element, 0), a)
        below = n.ir.icmp_signed("<", a, splat(a.type.element, 0))
        n.write(operands[0], kind, negative if name == "neg" else n.ir.select(below, negative, a))

    return emit


EMITTERS: dict[str, Emit] = {
    "add": _integer("add"), "sub": _integer("sub"), "mul": _mul, "mad": _mad, "fma": _fma, "and": _logic("and_"),
    "or": _logic("or_"), "xor": _logic("xor"), "not": _not, "setp": _setp, "selp": _selp, "min": _extremum,
    "max": _extremum, "abs": _sign("abs"), "neg": _sign("neg"),
}  # fmt: skip
