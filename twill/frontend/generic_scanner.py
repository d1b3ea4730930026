"""Tokens of MLIR's text: a cursor that consumes strings, numbers, names and balanced brackets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ir.diagnostics import Location, UserError, fail

IDENTIFIER = re.compile(r"[A-Za-z_][\w.$]*")
SIGIL_NAME = re.compile(r"[%^@#!]([\w.$\-]+|\"(?:[^\"\\]|\\.)*\")(#\d+)?")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
NUMBER = re.compile(r"-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)")
_SKIP = re.compile(r"(?:\s+|//[^\n]*)*")
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2}|.)")
_CLOSING = {"<": ">", "(": ")", "[": "]", "{": "}"}


@dataclass
class Scanner:
    """A cursor at `position`; `file` is what error messages name."""

    text: str
    file: str
    position: int = 0

    def error(self, expected: str) -> UserError:
        """The error that `expected` is not at the cursor."""
        line = self.text.count("\n", 0, self.position) + 1
        column = self.position - self.text.rfind("\n", 0, self.position)
        return fail("generic-syntax", f"expected {expected}", Location(self.file, line, column))

    def skip(self) -> None:
        """Skip space and comments."""
        match = _SKIP.match(self.text, self.position)
        assert match is not None
        self.position = match.end()

    def at(self, token: str) -> bool:
        """Whether this token is next."""
        self.skip()
        return self.text.startswith(token, self.position)

    def accept(self, token: str) -> bool:
        """Consume this token if it is next."""
        found = self.at(token)
        self.position += len(token) if found else 0
        return found

    def expect(self, token: str) -> None:
        """Consume this token."""
        if not self.accept(token):
            raise self.error(f"`{token}`")

    def match(self, pattern: re.Pattern[str], what: str) -> str:
        """Consume what matches the pattern."""
        self.skip()
        found = pattern.match(self.text, self.position)
        if found is None:
            raise self.error(what)
        self.position = found.end()
        return found.group()

    def string(self) -> str:
        """Consume a string, its escapes undone."""
        return unescape(self.match(STRING, "a string")[1:-1])

    def items(self, closing: str, item: Callable[[], Any]) -> tuple[Any, ...]:
        """`item, item, ... closing`; the opening token is already consumed."""
        found: list[Any] = []
        if self.accept(closing):
            return ()
        found.append(item())
        while self.accept(","):
            found.append(item())
        self.expect(closing)
        return tuple(found)

    def balanced(self) -> str:
        """Text from an opening bracket to its closing one; strings and `->` are no brackets."""
        start, stack = self.position, []
        while True:
            if self.position >= len(self.text):
                self.position = start
                raise self.error("the closing bracket of this one")
            char = self.text[self.position]
            if char == '"':
                self.match(STRING, "a string")
                continue
            if char in _CLOSING:
                stack.append(_CLOSING[char])
            elif stack and char == stack[-1] and not self.text.startswith("->", self.position - 1):
                stack.pop()
            self.position += 1
            if not stack:
                return self.text[start : self.position]


def unescape(text: str) -> str:
    r"""Undo MLIR's string escapes.

    >>> unescape(r"a\22b\0A")
    'a"b\n'
    """
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if len(m[1]) == 2 else m[1], text)
