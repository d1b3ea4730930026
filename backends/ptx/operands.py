"""Operands of an instruction: registers, immediates, symbols, vectors, pairs and addresses."""

from __future__ import annotations

from dataclasses import dataclass

from backends.ptx.constants import literal, primary
from backends.ptx.cursor import MAX_DEPTH, Cursor
from backends.ptx.scopes import Scopes, is_special
from backends.ptx.syntax import Address, Guard, Immediate, Negated, Operand, Pair, Register, Symbol, Vector
from backends.ptx.tokens import Kind, Token
from ir.diagnostics import UserError

_UNDECLARED = "ptx-undeclared-register"


@dataclass
class OperandReader:
    """Reads operands with the names that the open scopes give them; UserError at what is none."""

    cursor: Cursor
    scopes: Scopes

    def guard(self) -> Guard:
        """`@%p` or `@!%p`."""
        self.cursor.expect("@")
        expected = not self.cursor.accept("!")
        token = self.cursor.word("a predicate register")
        register = self.scopes.register(token.text)
        if register is None or register.type != "pred":
            raise self._error(token, f"`{token.text}` is no predicate register here")
        return Guard(register, expected)

    def operands(self, is_call: bool) -> tuple[Operand, ...]:
        """All operands up to `;`. In a call round brackets are argument lists, elsewhere constant expressions."""
        if self.cursor.at(";"):
            return ()
        read = self._argument if is_call else self._operand
        found = [read(0)]
        while self.cursor.accept(","):
            found.append(read(0))
        return tuple(found)

    def _argument(self, depth: int) -> Operand:
        return self._list(")", depth) if self.cursor.accept("(") else self._operand(depth)

    def _operand(self, depth: int) -> Operand:
        if depth > MAX_DEPTH:
            raise self.cursor.unexpected(f"fewer than {MAX_DEPTH} nested brackets")
        first = self._unit(depth)
        return Pair(first, self._unit(depth)) if self.cursor.accept("|") else first

    def _unit(self, depth: int) -> Operand:
        token = self.cursor.next
        if token.kind is Kind.WORD:
            return self._named()
        if self.cursor.accept("["):
            return self._address(depth)
        if self.cursor.accept("{"):
            return self._list("}", depth)
        if token.text == "!" and self.cursor.after_next.kind is Kind.WORD:
            self.cursor.take()
            return Negated(self._name())
        return literal(self.cursor)

    def _named(self) -> Operand:
        if vector := self.scopes.vector(self.cursor.next.text):
            self.cursor.take()
            return vector
        name = self._name()
        return Symbol(name.name, self._offset()) if isinstance(name, Symbol) else name

    def _name(self) -> Register | Symbol | Immediate:
        token = self.cursor.next
        if token.text == "WARP_SZ":
            return literal(self.cursor)
        self.cursor.word("an operand")
        register = self.scopes.register(token.text)
        if register:
            return register
        if token.text[0] == "%" and not is_special(token.text):
            raise self._error(token, f"register `{token.text}` is not declared here")
        return Symbol(self.scopes.variable(token.text))

    def _error(self, token: Token, message: str) -> UserError:
        return self.cursor.source.error(token.offset, message, _UNDECLARED)

    def _offset(self) -> int:
        """`+ 4 - 8`, or nothing."""
        total = 0
        while self.cursor.next.text in ("+", "-"):
            total += primary(self.cursor, "an offset")
        return total

    def _address(self, depth: int) -> Address:
        is_name = self.cursor.next.kind is Kind.WORD
        base = self._name() if is_name else literal(self.cursor)
        offset = self._offset()
        extra = []
        while self.cursor.accept(","):
            extra.append(self._operand(depth + 1))
        self.cursor.expect("]")
        return Address(base, offset, tuple(extra))

    def _list(self, closing: str, depth: int) -> Vector:
        items = [] if self.cursor.at(closing) else [self._operand(depth + 1)]
        while self.cursor.accept(","):
            items.append(self._operand(depth + 1))
        self.cursor.expect(closing)
        return Vector(tuple(items))
