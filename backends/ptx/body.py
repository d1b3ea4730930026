"""Recursive descent over a function body: scopes, declarations, labels, `.loc` and instructions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from backends.ptx.constants import primary
from backends.ptx.cursor import MAX_DEPTH, Cursor
from backends.ptx.declarations import is_type, is_variable, variables, vector_length
from backends.ptx.opcodes import is_known
from backends.ptx.operands import OperandReader
from backends.ptx.scopes import Path, Scopes
from backends.ptx.syntax import Guard, Instruction, Label, Operand, Symbol, Variable
from backends.ptx.tokens import Kind, Token
from ir.diagnostics import Location

_LOC = re.compile(r"\.loc\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})(?:.*?\binlined_at\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9}))?")
_LABEL_READERS = frozenset({"bra", "brx", "call"})
_LINKAGES = frozenset({".extern", ".visible", ".weak"})

Origin = tuple[Location | None, Location | None]


@dataclass
class BodyParser:
    """Reads from after the opening `{` to the matching `}`; `files` is the `.file` table."""

    cursor: Cursor
    files: Mapping[int, str]
    scopes: Scopes = field(default_factory=Scopes)
    statements: list[Instruction | Label] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _origin: Origin = (None, None)
    _origins: dict[str, Origin] = field(default_factory=dict)
    _branches: list[tuple[int, Path, int]] = field(default_factory=list)
    _tables: list[tuple[str, Path, int, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._operands = OperandReader(self.cursor, self.scopes)
        self._directives: dict[str, Callable[[], object]] = {
            ".reg": self._registers,
            ".pragma": lambda: self.cursor.skip_past(";"),
            ".file": lambda: read_file(self.cursor),
        }

    def parse(self) -> None:
        """Fill the lists; raises UserError with line and column for whatever is wrong."""
        while self.scopes.open:
            self._statement()
        self._resolve_branches()

    def _statement(self) -> None:
        token = self.cursor.next
        if token.kind is Kind.LOC:
            self._loc(token)
        elif token.kind is Kind.DIRECTIVE:
            self._directive(token)
        elif token.kind is Kind.WORD and self.cursor.after_next.text == ":":
            self._label()
        elif token.kind is Kind.WORD:
            self._instruction(None)
        elif token.text == "@":
            self._instruction(self._operands.guard())
        elif self.cursor.accept("{"):
            self._enter(token)
        elif self.cursor.accept("}"):
            self.scopes.leave()
        elif not self.cursor.accept(";"):
            raise self.cursor.unexpected("an instruction, a directive or `}`")

    def _enter(self, token: Token) -> None:
        if len(self.scopes.open) >= MAX_DEPTH:
            raise self.cursor.source.error(token.offset, f"scopes are nested deeper than {MAX_DEPTH}")
        self.scopes.enter()

    def _directive(self, token: Token) -> None:
        reader = self._directives.get(token.text)
        if reader:
            reader()
            return
        linkage = self.cursor.take().text[1:] if token.text in _LINKAGES else ""
        if not is_variable(self.cursor.next.text):
            raise self.cursor.source.error(token.offset, f"unknown directive `{token.text}` in a function body")
        self.variables += variables(self.cursor, linkage, self.scopes.declare_variable)

    def _registers(self) -> None:
        self.cursor.expect(".reg")
        kind, length = "", 1
        while self.cursor.next.kind is Kind.DIRECTIVE:
            text = self.cursor.next.text
            length = max(length, vector_length(text))
            if vector_length(text) == 1 and not is_type(text):
                raise self.cursor.unexpected("the type of the registers")
            kind = text[1:] if is_type(text) else kind
            self.cursor.take()
        if not kind:
            raise self.cursor.unexpected("the type of the registers")
        self._declared(kind, length)
        while self.cursor.accept(","):
            self._declared(kind, length)
        self.cursor.expect(";")

    def _declared(self, kind: str, length: int) -> None:
        name = self.cursor.word("the name of a register").text
        if length > 1:
            self.scopes.declare_vector(name, kind, length)
        elif self.cursor.accept("<"):
            self.scopes.declare(name, kind, primary(self.cursor, "the number of registers"))
            self.cursor.expect(">")
        else:
            self.scopes.declare(name, kind)

    def _loc(self, token: Token) -> None:
        self.cursor.take()
        if token.text not in self._origins:
            self._origins[token.text] = self._located(token)
        self._origin = self._origins[token.text]

    def _located(self, token: Token) -> Origin:
        found = _LOC.match(token.text)
        if found is None:
            raise self.cursor.source.error(token.offset, "expected `.loc FILE LINE COLUMN`")
        numbers = [int(n) if n else 0 for n in found.groups()]
        return self._location(*numbers[:3]), self._location(*numbers[3:])

    def _location(self, file: int, line: int, column: int) -> Location | None:
        name = self.files.get(file)
        return Location(name, line, column) if name and line else None

    def _label(self) -> None:
        token = self.cursor.take()
        self.cursor.expect(":")
        label = self.scopes.label(token.text)
        if label is None:
            raise self.cursor.source.error(
                token.offset, f"label `{token.text}` is defined twice", "ptx-duplicate-label"
            )
        self.statements.append(Label(label, self.cursor.source.place(token.offset)))
        if self.cursor.accept(".branchtargets"):
            self._tables.append((label, self.scopes.path, token.offset, self._names("a label")))
        elif self.cursor.accept(".calltargets"):
            self.targets[label] = self._names("the name of a function")
        elif self.cursor.at(".callprototype"):
            self.cursor.skip_past(";")

    def _names(self, what: str) -> tuple[str, ...]:
        names = [self.cursor.word(what).text]
        while self.cursor.accept(","):
            names.append(self.cursor.word(what).text)
        self.cursor.expect(";")
        return tuple(names)

    def _instruction(self, guard: Guard | None) -> None:
        opcode = self.cursor.word("an instruction")
        source = self.cursor.source
        if not is_known(opcode.text):
            raise source.error(
                opcode.offset, f"unknown instruction `{opcode.text}`", "ptx-unknown-instruction", "check its spelling"
            )
        base = opcode.text.partition(".")[0]
        operands = self._operands.operands(is_call=base == "call")
        end = self.cursor.expect(";").offset
        place = source.place(opcode.offset)
        if base in _LABEL_READERS:
            self._branches.append((len(self.statements), self.scopes.path, opcode.offset))
        text = " ".join(source.text[opcode.offset : end].split())
        location, inlined = self._origin
        self.statements.append(Instruction(opcode.text, operands, guard, location or place, inlined, place, text))

    def _resolve_branches(self) -> None:
        for label, path, offset, names in self._tables:
            self.targets[label] = tuple(self._target(path, name, offset) for name in names)
        for index, path, offset in self._branches:
            branch = self.statements[index]
            assert isinstance(branch, Instruction)
            operands = tuple(self._resolved(o, path, offset, branch.base == "call") for o in branch.operands)
            self.statements[index] = replace(branch, operands=operands)

    def _resolved(self, operand: Operand, path: Path, offset: int, is_call: bool) -> Operand:
        """A label by its unique name; a call names functions too, which are no labels."""
        if not isinstance(operand, Symbol):
            return operand
        if is_call:
            return Symbol(self.scopes.resolve(path, operand.name) or operand.name)
        return Symbol(self._target(path, operand.name, offset))

    def _target(self, path: Path, name: str, offset: int) -> str:
        label = self.scopes.resolve(path, name)
        if label is None:
            raise self.cursor.source.error(offset, f"there is no label `{name}`", "ptx-undefined-label")
        return label


def read_file(cursor: Cursor) -> tuple[int, str]:
    """Read `.file 1 "k.py" , time, size`: the number and the name."""
    cursor.expect(".file")
    number = primary(cursor, "the number of the file")
    name = cursor.of_kind(Kind.STRING, "the name of the file").text[1:-1]
    while cursor.accept(","):
        primary(cursor, "the time or the size of the file")
    return number, name
