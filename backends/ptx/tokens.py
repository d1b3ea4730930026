"""PTX text to tokens, each with its place; comments and blanks are dropped."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from ir.diagnostics import Location, UserError, fail


class Kind(StrEnum):
    """What a token is; an opcode with its modifiers (`ld.global.v4.b32`) is one word, a `.loc` line one token."""

    WORD = "word"
    LOC = "loc"
    DIRECTIVE = "directive"
    NUMBER = "number"
    STRING = "string"
    PUNCTUATION = "punctuation"
    END = "end"


class Token(NamedTuple):
    """A piece of text and where it starts."""

    kind: Kind
    text: str
    offset: int


# Words start with a letter, `%`, `$` or `_`; a word may go on after `.` and `::`.
_PATTERN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/|@@DWARF[^\n]*)
    |(?P<word>[A-Za-z_%$][\w$]*(?:(?:\.|::)[\w$]+)*)
    |(?P<punctuation><<|>>|[<>=!]=|&&|\|\||[{}\[\]()<>,;:|!@+\-*/=&^~?])
    |(?P<loc>\.loc\b[^\n]*)
    |(?P<directive>\.[A-Za-z_][\w$]*(?:::\w+)*)
    |(?P<number>0[fF][0-9a-fA-F]{8}\b|0[dD][0-9a-fA-F]{16}\b|0[xX][0-9a-fA-F]+U?|0[bB][01]+U?
        |\d+\.\d*(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+U?)
    |(?P<string>"[^"\n]*")
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_KINDS: dict[str | None, Kind] = {kind.value: kind for kind in Kind}


@dataclass(frozen=True)
class Source:
    """The text of one PTX file and the name to report it by."""

    file: str
    text: str = field(repr=False)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first character of each line."""
        return [0, *(m.end() for m in re.finditer(r"\n", self.text))]

    def place(self, offset: int) -> Location:
        """Line and column of an offset, both from 1."""
        line = bisect_right(self.line_starts, offset)
        return Location(self.file, line, offset - self.line_starts[line - 1] + 1)

    def error(self, offset: int, message: str, rule: str = "ptx-syntax", remedy: str = "") -> UserError:
        """The error to raise for what stands at an offset."""
        return fail(rule, message, self.place(offset), remedy)


def tokenize(source: Source) -> list[Token]:
    """All tokens, an END token last; raises UserError at a character that starts no token.

    >>> [t.text for t in tokenize(Source("k.ptx", "@!%p1 ld.global.v2.b32 {%r1, _}, [%rd1+-8]; // x"))][:5]
    ['@', '!', '%p1', 'ld.global.v2.b32', '{']
    """
    kinds = _KINDS
    found = [(m.lastgroup, m.group(), m.start()) for m in _PATTERN.finditer(source.text) if m.lastgroup != "blank"]
    unknown = next((piece for piece in found if piece[0] == "other"), None)
    if unknown:
        raise source.error(unknown[2], f"unexpected character {unknown[1]!r}")
    return [*(Token(kinds[kind], text, start) for kind, text, start in found), Token(Kind.END, "", len(source.text))]
