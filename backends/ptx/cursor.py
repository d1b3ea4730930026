"""The place in a token list, and the ways to read on from it."""

from __future__ import annotations

from dataclasses import dataclass

from backends.ptx.tokens import Kind, Source, Token
from ir.diagnostics import UserError

MAX_DEPTH = 64


@dataclass
class Cursor:
    """Reads tokens in order; every `expect` that fails is a UserError at that token."""

    source: Source
    tokens: list[Token]
    index: int = 0

    @property
    def next(self) -> Token:
        """The token to read."""
        return self.tokens[self.index]

    @property
    def after_next(self) -> Token:
        """The token behind it, the END token at the end."""
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Read one token."""
        token = self.tokens[self.index]
        if token.kind is Kind.END:
            raise self.source.error(token.offset, "the file ends in the middle of something")
        self.index += 1
        return token

    def at(self, text: str) -> bool:
        """Whether the next token is this punctuation or directive."""
        return self.tokens[self.index].text == text

    def accept(self, text: str) -> bool:
        """Read the token if it is this one."""
        if self.tokens[self.index].text != text:
            return False
        self.index += 1
        return True

    def expect(self, text: str) -> Token:
        """Read this token."""
        if not self.at(text):
            raise self.unexpected(f"`{text}`")
        return self.take()

    def of_kind(self, kind: Kind, what: str) -> Token:
        """Read a token of this kind."""
        if self.next.kind is not kind:
            raise self.unexpected(what)
        return self.take()

    def word(self, what: str) -> Token:
        """Read a word."""
        return self.of_kind(Kind.WORD, what)

    def unexpected(self, wanted: str) -> UserError:
        """The error for the next token."""
        got = f"`{self.next.text}`" if self.next.text else "the end of the file"
        return self.source.error(self.next.offset, f"expected {wanted}, got {got}")

    def skip_past(self, end: str) -> None:
        """Drop tokens up to and including `end`."""
        while not self.accept(end):
            self.take()

    def skip_brackets(self, opening: str, closing: str) -> None:
        """Drop tokens from `opening` to the bracket that matches it."""
        self.expect(opening)
        depth = 1
        while depth:
            text = self.take().text
            depth += (text == opening) - (text == closing)
