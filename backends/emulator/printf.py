"""The text that `printf` makes of a format and the buffer of arguments that a compiler lays out for it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

# CUDA C++ Programming Guide, "Format specifiers": %[flags][width][.precision][size]type.
_SPECIFIER = re.compile(rb"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(hh|h|ll|l|z|j|t|L)?([diouxXcsfFeEgGaAp%])")
_WIDE = (b"l", b"ll", b"z", b"j", b"t")

Read = Callable[[int, int], bytes]
"""(offset, bytes) in the argument buffer -> its bytes."""


def formatted(text: bytes, read: Read, string: Callable[[int], bytes]) -> str:
    """What is printed. Arguments lie in the buffer in order, each at a multiple of its size (4 or 8 bytes).

    `string` gives the zero-terminated bytes at an address. Like CUDA, a specifier that is not known is copied.

    >>> buffer = struct.pack("<iidQ", 7, 0, 1.5, 64)
    >>> formatted(b"%d %5.2f|%s", lambda start, count: buffer[start : start + count], lambda address: b"x")
    '7  1.50|x'
    """
    return _Formatter(read, string).text(text)


class _Formatter:
    def __init__(self, read: Read, string: Callable[[int], bytes]) -> None:
        self._read = read
        self._string = string
        self._offset = 0

    def text(self, text: bytes) -> str:
        return _SPECIFIER.sub(self._one, text).decode("utf-8", "replace")

    def _one(self, match: re.Match[bytes]) -> bytes:
        flags, width, precision, size, kind = match.groups()
        if kind == b"%":
            return b"%"
        has_precision = b"." in match[0][: -len(kind)]
        wide = self._number(width, b"")
        exact = (b"." + self._number(precision, b"0")) if has_precision else b""
        return self._converted(b"%" + flags + wide + exact, kind.decode(), size)

    def _number(self, field: bytes | None, missing: bytes) -> bytes:
        """A width or precision; `*` takes it from the arguments."""
        return str(self._integer(4, True)).encode() if field == b"*" else field or missing

    def _converted(self, prefix: bytes, kind: str, size: bytes | None) -> bytes:
        if kind in "fFeEgG":
            return (prefix + kind.encode()) % self._real()
        if kind in "aA":
            text = self._real().hex()
            return (text.upper() if kind == "A" else text).encode()
        if kind == "s":
            return (prefix + b"s") % self._string(self._integer(8, False))
        if kind == "p":
            return f"0x{self._integer(8, False):x}".encode()
        if kind == "c":
            return (prefix + b"c") % (self._integer(4, False) & 0xFF)
        value = self._integer(8 if size in _WIDE else 4, kind in "di")
        if kind == "o" and b"#" in prefix:
            # Python writes 0o where C writes 0.
            return (prefix.replace(b"#", b"") + b"s") % (b"0%o" % _narrowed(value, size, False))
        return (prefix + (b"d" if kind in "diu" else kind.encode())) % _narrowed(value, size, kind in "di")

    def _integer(self, nbytes: int, is_signed: bool) -> int:
        return int.from_bytes(self._next(nbytes), "little", signed=is_signed)

    def _real(self) -> float:
        value: float = struct.unpack("<d", self._next(8))[0]
        return value

    def _next(self, nbytes: int) -> bytes:
        self._offset = -(-self._offset // nbytes) * nbytes
        start, self._offset = self._offset, self._offset + nbytes
        return self._read(start, nbytes)


def _narrowed(value: int, size: bytes | None, is_signed: bool) -> int:
    """`%hd` and `%hhd` print the low bits alone."""
    bits = {b"h": 16, b"hh": 8}.get(size or b"")
    if bits is None:
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if is_signed and value >> (bits - 1) else value
