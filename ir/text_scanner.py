"""Tokens of the kernel text form, with errors at line and column."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ir.diagnostics import Location, UserError, fail

T = TypeVar("T")

_SPACE = re.compile(r"(?:\s+|//[^\n]*)*")
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<number>-?(?:\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d+|inf\b|nan\b))"
    r"|(?P<word>[A-Za-z_!][\w.$@!]*)"
    r"|(?P<sign>->|[%(){}\[\]<>,:=])"
)
# A name that needs no quotes.
WORD = re.compile(r"[A-Za-z_!][\w.$@!]*")


@dataclass
class Scanner:
    """A cursor over the text; `file` is what error messages name."""

    text: str
    file: str = ""
    position: int = 0

    def error(self, expected: str) -> UserError:
        """The error that `expected` is not at the cursor."""
        self._skip()
        line = self.text.count("\n", 0, self.position) + 1
        column = self.position - self.text.rfind("\n", 0, self.position)
        found = _TOKEN.match(self.text, self.position)
        what = f"`{found.group()}`" if found else ("the end" if self.at_end else f"`{self.text[self.position]}`")
        return fail("kernel-syntax", f"expected {expected}, found {what}", Location(self.file, line, column))

    @property
    def at_end(self) -> bool:
        """Whether only space is left."""
        self._skip()
        return self.position == len(self.text)

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.position)
        assert found is not None, "the pattern matches the empty string"
        self.position = found.end()

    def _peek(self, *kinds: str) -> re.Match[str] | None:
        self._skip()
        found = _TOKEN.match(self.text, self.position)
        return found if found and found.lastgroup in kinds else None

    def accept(self, token: str) -> bool:
        """Consume this word or sign if it is next."""
        found = self._peek("word", "sign")
        if found is None or found.group() != token:
            return False
        self.position = found.end()
        return True

    def expect(self, token: str) -> None:
        """Consume this word or sign."""
        if not self.accept(token):
            raise self.error(f"`{token}`")

    def at(self, kind: str) -> bool:
        """Whether a token of this kind (string, number, word, sign) is next."""
        return self._peek(kind) is not None

    def at_sign(self, sign: str) -> bool:
        """Whether this sign is next."""
        found = self._peek("sign")
        return found is not None and found.group() == sign

    def repeated(self, pattern: re.Pattern[str]) -> tuple[str, ...]:
        """Consume matches of a pattern that follow each other without space."""
        found: list[str] = []
        self._skip()
        while match := pattern.match(self.text, self.position):
            found.append(match.group())
            self.position = match.end()
        return tuple(found)

    def take(self, kind: str, what: str) -> str:
        """Consume a token of this kind."""
        found = self._peek(kind)
        if found is None:
            raise self.error(what)
        self.position = found.end()
        return found.group()

    def string(self, what: str = "a string") -> str:
        """Consume a quoted string."""
        start = self.position
        quoted = self.take("string", what)
        try:
            text: str = json.loads(quoted)
        except json.JSONDecodeError:
            self.position = start
            raise self.error("a string with JSON's escapes") from None
        return text

    def name(self, what: str = "a name") -> str:
        """Consume a word, or a quoted string in its place."""
        return self.string() if self.at("string") else self.take("word", what)

    def integer(self, what: str = "an integer") -> int:
        """Consume an integer."""
        start = self.position
        digits = self.take("number", what)
        if not re.fullmatch(r"-?\d+", digits):
            self.position = start
            raise self.error(what)
        return int(digits)

    def number(self, what: str = "a number") -> int | float:
        """Consume an integer, or a float, which has a point, an exponent or is inf or nan."""
        digits = self.take("number", what)
        return int(digits) if re.fullmatch(r"-?\d+", digits) else float(digits)

    def items(self, closing: str, item: Callable[[], T]) -> tuple[T, ...]:
        """Items with commas between, up to and with the closing sign."""
        if self.accept(closing):
            return ()
        found = [item()]
        while self.accept(","):
            found.append(item())
        self.expect(closing)
        return tuple(found)


def quoted(name: str) -> str:
    """A name as it is written: as it is, or in quotes where it is no plain word.

    >>> quoted("acc.mulf"), quoted("qk[0]")
    ('acc.mulf', '"qk[0]"')
    """
    return name if WORD.fullmatch(name) and name not in ("inf", "nan") else json.dumps(name)
