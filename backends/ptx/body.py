"""Recursive descent over a function body: scopes, declarations, labels, `.loc`, instructions and their operands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from backends.ptx.opcodes import is_known
from backends.ptx.scopes import Path, Scopes, is_special
from backends.ptx.syntax import (
    Address,
    Guard,
    Immediate,
    Instruction,
    Label,
    Operand,
    Register,
    Symbol,
    Vector,
)
from backends.ptx.tokens import Kind, Source, Token
from ir.diagnostics import Location

_LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)\s+(\d+)(?:[^\n]*?\binlined_at\s+(\d+)\s+(\d+)\s+(\d+))?")
_LABEL_READERS = frozenset({"bra", "brx"})
_VARIABLES = (".shared", ".local", ".const", ".global", ".param", ".tex", ".extern")
_MAX_DEPTH = 64


@dataclass
class Cursor:
    """The place in the token list; every `expect` that fails is a UserError at that token."""

    source: Source
    tokens: list[Token]
    index: int = 0

    @property
    def next(self) -> Token:
        """The token to read."""
        return self.tokens[self.index]

    def take(self) -> Token:
        """Read one token."""
        token = self.tokens[self.index]
        if token.kind is Kind.END:
            raise self.source.error(token.offset, "the file ends in the middle of something")
        self.index += 1
        return token

    def at(self, text: str) -> bool:
        """Whether the next token is this punctuation or directive."""
        token = self.tokens[self.index]
        return token.text == text and token.kind in (Kind.PUNCTUATION, Kind.DIRECTIVE)

    def accept(self, text: str) -> bool:
        """Read the token if it is this one."""
        if not self.at(text):
            return False
        self.index += 1
        return True

    def expect(self, text: str) -> Token:
        """Read this token."""
        if not self.at(text):
            raise self.unexpected(f"`{text}`")
        return self.take()

    def word(self, what: str) -> Token:
        """Read a word."""
        if self.next.kind is not Kind.WORD:
            raise self.unexpected(what)
        return self.take()

    def integer(self, what: str) -> int:
        """Read an integer, with its sign if it has one."""
        sign = -1 if self.accept("-") else 1
        token = self.next
        value = integer_of(token.text) if token.kind is Kind.NUMBER else None
        if value is None:
            raise self.unexpected(what)
        self.index += 1
        return sign * value

    def unexpected(self, wanted: str) -> Exception:
        """The error for the next token."""
        got = f"`{self.next.text}`" if self.next.text else "the end of the file"
        return self.source.error(self.next.offset, f"expected {wanted}, got {got}")

    def skip_past(self, end: str) -> None:
        """Drop tokens up to and including `end`."""
        while not self.accept(end):
            self.take()

    def skip_line(self) -> None:
        """Drop what is left of the line of the next token."""
        line = self.source.line(self.next.offset)
        while self.next.kind is not Kind.END and self.source.line(self.next.offset) == line:
            self.index += 1


def integer_of(text: str) -> int | None:
    """Value of an integer literal, None for a floating-point one.

    >>> integer_of("0x10"), integer_of("12U"), integer_of("0f3F800000"), integer_of("1.5"), integer_of("010")
    (16, 12, None, None, 8)
    """
    digits = text.rstrip("U")
    if digits[:2] in ("0f", "0F", "0d", "0D") or "." in digits:
        return None
    if digits[:2].lower() in ("0x", "0b"):
        return int(digits, 0)
    octal = len(digits) > 1 and digits[0] == "0" and not set(digits) & set("89")
    return int(digits, 8 if octal else 10)


@dataclass
class BodyParser:
    """Reads from after the opening `{` to the matching `}`; `files` is the `.file` table."""

    cursor: Cursor
    files: Mapping[int, str]
    scopes: Scopes = field(default_factory=Scopes)
    statements: list[Instruction | Label] = field(default_factory=list)
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    location: Location | None = None
    own_file: int | None = None
    _branches: list[tuple[int, Path, int]] = field(default_factory=list)
    _tables: list[tuple[str, Path, int, tuple[str, ...]]] = field(default_factory=list)

    def parse(self) -> None:
        """Fill `statements` and `targets`; raises UserError with line and column for whatever is wrong."""
        while self.scopes.open:
            self._statement()
        self._resolve_branches()

    def _statement(self) -> None:
        token = self.cursor.next
        if token.kind is Kind.DIRECTIVE:
            self._directive(token)
        elif token.kind is Kind.WORD and self.cursor.tokens[self.cursor.index + 1].text == ":":
            self._label()
        elif token.kind is Kind.WORD or self.cursor.at("@"):
            self._instruction()
        elif self.cursor.accept("{"):
            self._enter(token)
        elif self.cursor.accept("}"):
            self.scopes.leave()
        elif not self.cursor.accept(";"):
            raise self.cursor.unexpected("an instruction, a directive or `}`")

    def _enter(self, token: Token) -> None:
        if len(self.scopes.open) >= _MAX_DEPTH:
            raise self.cursor.source.error(token.offset, f"scopes are nested deeper than {_MAX_DEPTH}")
        self.scopes.enter()

    def _directive(self, token: Token) -> None:
        readers: dict[str, Callable[[], None]] = {
            ".reg": self._registers,
            ".loc": self._loc,
            ".pragma": lambda: self.cursor.skip_past(";"),
            ".file": self.cursor.skip_line,
        }
        reader = readers.get(token.text)
        if reader:
            reader()
        elif token.text.startswith(_VARIABLES):
            self.cursor.skip_past(";")
        else:
            raise self.cursor.source.error(token.offset, f"unknown directive `{token.text}` in a function body")

    def _registers(self) -> None:
        self.cursor.expect(".reg")
        kinds = []
        while self.cursor.next.kind is Kind.DIRECTIVE:
            kinds.append(self.cursor.take().text[1:])
        if not kinds:
            raise self.cursor.unexpected("the type of the registers")
        while True:
            name = self.cursor.word("the name of a register").text
            count = None
            if self.cursor.accept("<"):
                count = self.cursor.integer("the number of registers")
                self.cursor.expect(">")
            self.scopes.declare(name, kinds[-1], count)
            if not self.cursor.accept(","):
                break
        self.cursor.expect(";")

    def _loc(self) -> None:
        token = self.cursor.next
        found = _LOC.match(self.cursor.source.text, token.offset)
        if found is None:
            raise self.cursor.source.error(token.offset, "expected `.loc FILE LINE COLUMN`")
        file, line, column, *inlined = (None if n is None else int(n) for n in found.groups())
        self.own_file = file if self.own_file is None else self.own_file
        # Code inlined from elsewhere is shown at the call, which the user has written.
        if file != self.own_file and inlined[0] is not None:
            file, line, column = inlined
        name = self.files.get(file or 0)
        self.location = Location(name, line or 0, column or 0) if name and line else None
        self.cursor.skip_line()

    def _label(self) -> None:
        token = self.cursor.take()
        self.cursor.expect(":")
        label = self.scopes.label(token.text)
        if label is None:
            raise self.cursor.source.error(
                token.offset, f"label `{token.text}` is defined twice", "ptx-duplicate-label"
            )
        self.statements.append(Label(label))
        if self.cursor.accept(".branchtargets"):
            names = [self.cursor.word("a label").text]
            while self.cursor.accept(","):
                names.append(self.cursor.word("a label").text)
            self._tables.append((label, self.scopes.path, token.offset, tuple(names)))
            self.cursor.expect(";")
        elif self.cursor.at(".callprototype") or self.cursor.at(".calltargets"):
            self.cursor.skip_past(";")

    def _instruction(self) -> None:
        guard = self._guard() if self.cursor.at("@") else None
        opcode = self.cursor.word("an instruction")
        source = self.cursor.source
        if not is_known(opcode.text):
            raise source.error(
                opcode.offset, f"unknown instruction `{opcode.text}`", "ptx-unknown-instruction", "check its spelling"
            )
        operands = [] if self.cursor.at(";") else [self._operand()]
        while self.cursor.accept(","):
            operands.append(self._operand())
        end = self.cursor.expect(";").offset
        place = source.place(opcode.offset)
        if opcode.text.partition(".")[0] in _LABEL_READERS:
            self._branches.append((len(self.statements), self.scopes.path, opcode.offset))
        text = " ".join(source.text[opcode.offset : end].split())
        location = self.location or place
        self.statements.append(Instruction(opcode.text, tuple(operands), guard, location, place, text))

    def _guard(self) -> Guard:
        self.cursor.expect("@")
        expected = not self.cursor.accept("!")
        token = self.cursor.word("a predicate register")
        register = self.scopes.register(token.text)
        if register is None or register.type != "pred":
            raise self.cursor.source.error(
                token.offset, f"`{token.text}` is no predicate register here", "ptx-undeclared-register"
            )
        return Guard(register, expected)

    def _operand(self, depth: int = 0) -> Operand:
        if depth > _MAX_DEPTH:
            raise self.cursor.unexpected(f"fewer than {_MAX_DEPTH} nested brackets")
        first = self._unit(depth)
        if not self.cursor.at("|"):
            return first
        items = [first]
        while self.cursor.accept("|"):
            items.append(self._unit(depth))
        return Vector(tuple(items))

    def _unit(self, depth: int) -> Operand:
        while self.cursor.accept("!") or self.cursor.accept("~"):
            pass
        if self.cursor.accept("["):
            return self._address(depth)
        for opening, closing in (("{", "}"), ("(", ")")):
            if self.cursor.accept(opening):
                return self._vector(closing, depth)
        return self._atom()

    def _atom(self) -> Register | Symbol | Immediate:
        negative = self.cursor.accept("-")
        token = self.cursor.next
        if token.kind is Kind.NUMBER:
            self.cursor.take()
            value = integer_of(token.text)
            return Immediate(f"{'-' * negative}{token.text}", -value if value and negative else value)
        name = self._name()
        if isinstance(name, Symbol) and (self.cursor.at("+") or self.cursor.at("-")):
            return replace(name, offset=self._offset())
        return name

    def _name(self) -> Register | Symbol:
        token = self.cursor.word("an operand")
        register = self.scopes.register(token.text)
        if register:
            return register
        if token.text.startswith("%") and not is_special(token.text):
            raise self.cursor.source.error(
                token.offset, f"register `{token.text}` is not declared here", "ptx-undeclared-register"
            )
        return Symbol(token.text)

    def _offset(self) -> int:
        total = 0
        while self.cursor.at("+") or self.cursor.at("-"):
            self.cursor.accept("+")
            total += self.cursor.integer("an offset")
        return total

    def _address(self, depth: int) -> Address:
        number = self.cursor.next.kind is Kind.NUMBER
        base = self._atom() if number else self._name()
        offset = self._offset()
        extra = []
        while self.cursor.accept(","):
            extra.append(self._operand(depth + 1))
        self.cursor.expect("]")
        return Address(base, offset, tuple(extra))

    def _vector(self, closing: str, depth: int) -> Vector:
        items = [] if self.cursor.at(closing) else [self._operand(depth + 1)]
        while self.cursor.accept(","):
            items.append(self._operand(depth + 1))
        self.cursor.expect(closing)
        return Vector(tuple(items))

    def _resolve_branches(self) -> None:
        for label, path, offset, names in self._tables:
            self.targets[label] = tuple(self._target(path, name, offset) for name in names)
        for index, path, offset in self._branches:
            branch = self.statements[index]
            assert isinstance(branch, Instruction)
            operands = tuple(
                Symbol(self._target(path, o.name, offset)) if isinstance(o, Symbol) else o for o in branch.operands
            )
            self.statements[index] = replace(branch, operands=operands)

    def _target(self, path: Path, name: str, offset: int) -> str:
        label = self.scopes.resolve(path, name)
        if label is None:
            raise self.cursor.source.error(offset, f"there is no label `{name}`", "ptx-undefined-label")
        return label


def registers_of_parameters(cursor: Cursor, scopes: Scopes) -> tuple[Register, ...]:
    """Read `( .param .u64 a, .reg .b32 b, ... )`; those in registers are declared in `scopes`."""
    parameters: list[Register] = []
    cursor.expect("(")
    while not cursor.accept(")"):
        in_register = cursor.at(".reg")
        kind = _parameter_type(cursor)
        name = cursor.word("the name of a parameter").text
        if cursor.accept("["):
            if not cursor.at("]"):
                cursor.integer("the size of the parameter")
            cursor.expect("]")
        if in_register:
            scopes.declare(name, kind)
        parameters.append(Register(name, kind))
        if not cursor.at(")"):
            cursor.expect(",")
    return tuple(parameters)


def _parameter_type(cursor: Cursor) -> str:
    kind = ""
    while cursor.next.kind is not Kind.WORD:
        token = cursor.take()
        if token.kind is Kind.DIRECTIVE and re.fullmatch(r"\.([busf]\d+(x2)?|bf16(x2)?|pred)", token.text):
            kind = token.text[1:]
        elif token.kind not in (Kind.DIRECTIVE, Kind.NUMBER):
            cursor.index -= 1
            raise cursor.unexpected("the type or the name of a parameter")
    return kind
