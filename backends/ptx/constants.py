"""Literals and constant expressions (PTX ISA 9, "Constants"): exact integers, and floating-point numbers as bits."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable

from backends.ptx.cursor import Cursor
from backends.ptx.syntax import Immediate
from backends.ptx.tokens import Kind
from ir.diagnostics import UserError

WARP_SIZE = 32
_MAX_DEPTH = 12
_BITS = 64
_NAMED = {"WARP_SZ": WARP_SIZE}


def _divided(a: int, b: int) -> int:
    """The quotient rounded towards zero, as in C."""
    return -(-a // b) if (a < 0) != (b < 0) else a // b


_Binary = Callable[[int, int], int]
# Operator -> how tightly it binds, and what it computes.
_BINARY: dict[str, tuple[int, _Binary]] = {
    "||": (1, lambda a, b: int(bool(a or b))),
    "&&": (2, lambda a, b: int(bool(a and b))),
    "|": (3, operator.or_),
    "^": (4, operator.xor),
    "&": (5, operator.and_),
    "==": (6, lambda a, b: int(a == b)),
    "!=": (6, lambda a, b: int(a != b)),
    "<": (7, lambda a, b: int(a < b)),
    "<=": (7, lambda a, b: int(a <= b)),
    ">": (7, lambda a, b: int(a > b)),
    ">=": (7, lambda a, b: int(a >= b)),
    "<<": (8, lambda a, b: a << (b % _BITS)),
    ">>": (8, lambda a, b: a >> (b % _BITS)),
    "+": (9, operator.add),
    "-": (9, operator.sub),
    "*": (10, operator.mul),
    "/": (10, _divided),
    "%": (10, lambda a, b: a - b * _divided(a, b)),
}
_UNARY: dict[str, Callable[[int], int]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.invert,
    "!": lambda a: int(not a),
}
_CASTS: dict[str, Callable[[int], int]] = {
    ".u64": lambda a: a % (1 << _BITS),
    ".s64": lambda a: (a + (1 << _BITS - 1)) % (1 << _BITS) - (1 << _BITS - 1),
}


def integer_of(text: str) -> int | None:
    """Value of an integer literal, None for a floating-point one or one that does not fit in 64 bits.

    >>> integer_of("0x10"), integer_of("12U"), integer_of("0f3F800000"), integer_of("1.5"), integer_of("010")
    (16, 12, None, None, 8)
    """
    digits = text.rstrip("U")
    if len(digits) > _BITS + 2 or not is_integer(text):
        return None
    octal = len(digits) > 1 and digits[0] == "0" and not set(digits) - set("01234567")
    prefixed = digits[:2].lower() in ("0x", "0b")
    value = int(digits, 0) if prefixed else int(digits, 8 if octal else 10)
    return value if value < 1 << _BITS else None


def is_integer(text: str) -> bool:
    """True for a number token that is an integer literal, however large."""
    prefix = text[:2].lower()
    return prefix in ("0x", "0b") or text.rstrip("U").isdigit()


def real_of(text: str, negative: bool = False) -> Immediate:
    """A floating-point literal: `0f` and 8 digits (f32), `0d` and 16 digits or a decimal number (f64).

    >>> real_of("0f3F800000").real, real_of("1.5e1", negative=True).real, real_of("0dFFF0000000000000").real
    (1.0, -15.0, -inf)
    """
    kind = "f32" if text[:2].lower() == "0f" else "f64"
    exact = text[:2].lower() in ("0f", "0d")
    bits: int = int(text[2:], 16) if exact else struct.unpack("<Q", struct.pack("<d", float(text)))[0]
    sign = 1 << (31 if kind == "f32" else 63)
    return Immediate(f"{'-' * negative}{text}", None, bits ^ sign if negative else bits, kind)


def literal(cursor: Cursor) -> Immediate:
    """Read a number: a floating-point literal with its sign, or an integer expression."""
    start = cursor.next
    negative = cursor.at("-") and cursor.after_next.kind is Kind.NUMBER
    token = cursor.after_next if negative else start
    if token.kind is Kind.NUMBER and not is_integer(token.text):
        cursor.index += 1 + negative
        return real_of(token.text, negative)
    value = expression(cursor)
    end = cursor.tokens[cursor.index - 1]
    return Immediate(cursor.source.text[start.offset : end.offset + len(end.text)], value)


def primary(cursor: Cursor, what: str = "a number", depth: int = 0) -> int:
    """Read an integer with its signs, or an expression in brackets; raises UserError where there is none."""
    signs = []
    while cursor.next.text in _UNARY:
        signs.append(_UNARY[cursor.take().text])
    value = _unsigned(cursor, what, depth)
    for sign in reversed(signs):
        value = sign(value)
    return value


def _unsigned(cursor: Cursor, what: str, depth: int) -> int:
    token = cursor.next
    if token.kind is Kind.NUMBER and is_integer(token.text):
        return _number(cursor)
    if token.text in _NAMED:
        return _NAMED[cursor.take().text]
    if token.text != "(":
        raise cursor.unexpected(what)
    cursor.take()
    if cursor.next.text in _CASTS:
        cast = _CASTS[cursor.take().text]
        cursor.expect(")")
        return cast(primary(cursor, what, _deeper(cursor, depth)))
    value = expression(cursor, what, _deeper(cursor, depth))
    cursor.expect(")")
    return value


def _number(cursor: Cursor) -> int:
    value = integer_of(cursor.next.text)
    if value is None:
        raise cursor.unexpected("a number that fits in 64 bits")
    cursor.index += 1
    return value


def _deeper(cursor: Cursor, depth: int) -> int:
    if depth >= _MAX_DEPTH:
        raise cursor.unexpected(f"at most {_MAX_DEPTH} nested brackets")
    return depth + 1


def expression(cursor: Cursor, what: str = "a number", depth: int = 0) -> int:
    """Read an integer expression with the operators and precedences of C."""
    value = _binary(cursor, what, depth, 1)
    if not cursor.accept("?"):
        return value
    yes = expression(cursor, what, _deeper(cursor, depth))
    cursor.expect(":")
    no = expression(cursor, what, _deeper(cursor, depth))
    return yes if value else no


def _binary(cursor: Cursor, what: str, depth: int, weakest: int) -> int:
    value = primary(cursor, what, depth)
    while (found := _BINARY.get(cursor.next.text)) and found[0] >= weakest:
        sign = cursor.take()
        other = _binary(cursor, what, depth, found[0] + 1)
        value = _computed(cursor, sign.offset, found[1], value, other)
    return value


def _computed(cursor: Cursor, offset: int, compute: _Binary, one: int, other: int) -> int:
    try:
        value = compute(one, other)
    except ZeroDivisionError:
        raise _error(cursor, offset, "division by zero in a constant expression") from None
    return value if -1 << _BITS - 1 <= value < 1 << _BITS else _CASTS[".s64"](value)


def _error(cursor: Cursor, offset: int, message: str) -> UserError:
    return cursor.source.error(offset, message, "ptx-constant")
