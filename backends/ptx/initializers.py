"""The value that a variable starts with: numbers to bytes, symbol addresses to relocations."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from backends.ptx.constants import literal, primary
from backends.ptx.cursor import Cursor
from backends.ptx.syntax import Immediate, Relocation
from backends.ptx.tokens import Kind, Token

MAX_INITIAL_BYTES = 1 << 26
_FLOAT_LAYOUTS = {"f16": "<e", "f32": "<f", "f64": "<d"}


@dataclass
class Initializer:
    """Reads what stands behind `=`; `data` ends with the last element given, `count` is the number of elements."""

    cursor: Cursor
    type: str
    element_bytes: int
    data: bytearray = field(default_factory=bytearray)
    relocations: list[Relocation] = field(default_factory=list)
    count: int = 0

    def read(self, sizes: list[int | None]) -> None:
        """Read a value, or nested braces as deep as `sizes`; raises UserError where they are deeper or too long."""
        if not sizes:
            self._element(0)
            return
        self._row(sizes, 0)

    def _row(self, sizes: list[int | None], start: int) -> None:
        """`{...}` from element `start` on; an inner row begins where the row of that number does."""
        self.cursor.expect("{")
        inner = sizes[1:]
        stride = math.prod(size or 0 for size in inner)
        limit = None if sizes[0] is None else start + sizes[0] * stride
        at = start
        while not self.cursor.at("}"):
            self._check_room(at, limit)
            if self.cursor.at("{") and inner:
                self._row(inner, at)
                at += stride
            else:
                self._element(at)
                at += 1
            if not self.cursor.at("}"):
                self.cursor.expect(",")
        self.cursor.expect("}")
        self.count = max(self.count, at)

    def _check_room(self, at: int, limit: int | None) -> None:
        if (limit is not None and at >= limit) or at * self.element_bytes >= MAX_INITIAL_BYTES:
            offset = self.cursor.next.offset
            raise self.cursor.source.error(offset, f"more initial values than the {at} elements", "ptx-initializer")

    def _element(self, at: int) -> None:
        """One value; an address leaves zeros and a relocation."""
        offset = at * self.element_bytes
        self.data.extend(bytes(offset - len(self.data)))
        self.count = max(self.count, at + 1)
        token = self.cursor.next
        if token.kind is Kind.WORD and token.text != "WARP_SZ":
            self._address(offset, None)
        elif token.kind is Kind.NUMBER and self.cursor.after_next.text == "(":
            mask = primary(self.cursor)
            self.cursor.expect("(")
            self._address(offset, mask)
            self.cursor.expect(")")
        else:
            self.data += self._encoded(literal(self.cursor), token)

    def _address(self, offset: int, mask: int | None) -> None:
        """`symbol + 4` or `generic(symbol) + 4`."""
        name = self.cursor.word("the name of a variable")
        is_generic = name.text == "generic" and self.cursor.accept("(")
        if is_generic:
            name = self.cursor.word("the name of a variable")
            self.cursor.expect(")")
        addend = 0
        while self.cursor.at("+") or self.cursor.at("-"):
            addend += primary(self.cursor)
        self.data += bytes(self.element_bytes)
        self.relocations.append(Relocation(offset, self.element_bytes, name.text, addend, is_generic, mask))

    def _encoded(self, number: Immediate, token: Token) -> bytes:
        if layout := _FLOAT_LAYOUTS.get(self.type):
            return self._float(number, layout)
        if number.value is None:
            message = f"a floating-point number for elements of type {self.type}"
            raise self.cursor.source.error(token.offset, message, "ptx-initializer")
        bits = 8 * self.element_bytes
        return (number.value % (1 << bits)).to_bytes(self.element_bytes, "little")

    def _float(self, number: Immediate, layout: str) -> bytes:
        if number.kind == self.type and number.bits is not None:
            return number.bits.to_bytes(self.element_bytes, "little")
        value = float(number.value) if number.value is not None else number.real or 0.0
        try:
            return struct.pack(layout, value)
        except OverflowError:
            return struct.pack(layout, math.copysign(math.inf, value))
