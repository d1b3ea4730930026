"""Recursive descent over a PTX file: version, variables and functions; bodies are read in `body`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backends.ptx.body import BodyParser, Cursor, registers_of_parameters
from backends.ptx.syntax import Function, Module, Register
from backends.ptx.tokens import Kind, Source, tokenize
from ir.diagnostics import Location, fail

_FILE = re.compile(r'^[ \t]*\.file[ \t]+(\d+)[ \t]+"([^"\n]*)"', re.MULTILINE)
_LINE_DIRECTIVES = frozenset({".version", ".target", ".address_size", ".file", ".loc"})
_LINKAGE = frozenset({".visible", ".extern", ".weak", ".common"})
_VARIABLES = (".global", ".const", ".shared", ".tex", ".pragma", ".alias", ".managed", ".local", ".param", ".attribute")


def read_ptx(path: str | Path) -> Module:
    """Parse a file; raises UserError where it is missing or is not PTX."""
    file = Path(path)
    if not file.is_file():
        raise fail("missing-file", f"there is no file {file}")
    return parse_ptx(file.read_text(encoding="utf-8", errors="replace"), str(path))


def parse_ptx(text: str, file: str = "<ptx>") -> Module:
    """Parse PTX text; raises UserError with file, line and column for whatever is wrong.

    >>> parse_ptx(".version 8.0 \\n .target sm_90a \\n .visible .entry k(.param .u64 p) { ret; }").entries[0].name
    'k'
    """
    source = Source(file, text)
    return _ModuleParser(Cursor(source, tokenize(source)), dict(_file_table(text))).parse()


def _file_table(text: str) -> list[tuple[int, str]]:
    # The table may stand after the functions that refer to it.
    return [(int(found[1]), found[2]) for found in _FILE.finditer(text)]


@dataclass
class _ModuleParser:
    cursor: Cursor
    files: dict[int, str]
    target: str = ""

    def parse(self) -> Module:
        functions: list[Function] = []
        while self.cursor.next.kind is not Kind.END:
            function = self._item()
            functions += [function] if function else []
        if not self.target:
            raise fail("ptx-syntax", "there is no `.target` line: this is no PTX", Location(self.cursor.source.file, 1))
        return Module(self.cursor.source.file, self.target, tuple(functions))

    def _item(self) -> Function | None:
        token = self.cursor.next
        if token.kind is not Kind.DIRECTIVE:
            raise self.cursor.unexpected("a directive")
        if token.text in (".entry", ".func"):
            return self._function()
        self._skip_item(token.text)
        return None

    def _skip_item(self, directive: str) -> None:
        if directive in _LINKAGE:
            self.cursor.take()
        elif directive in _LINE_DIRECTIVES:
            self._line_directive(directive)
        elif directive == ".section":
            self._section()
        elif directive in _VARIABLES:
            self.cursor.skip_past(";")
        else:
            raise self.cursor.unexpected("a directive that PTX has outside functions")

    def _line_directive(self, directive: str) -> None:
        following = self.cursor.tokens[min(self.cursor.index + 1, len(self.cursor.tokens) - 1)]
        if directive == ".target" and following.kind is Kind.WORD:
            self.target = following.text
        self.cursor.skip_line()

    def _section(self) -> None:
        self.cursor.skip_past("{")
        depth = 1
        while depth:
            text = self.cursor.take().text
            depth += (text == "{") - (text == "}")

    def _function(self) -> Function | None:
        is_entry = self.cursor.take().text == ".entry"
        body = BodyParser(self.cursor, self.files)
        if self.cursor.at("("):
            registers_of_parameters(self.cursor, body.scopes)
        name = self.cursor.word("the name of the function")
        parameters: tuple[Register, ...] = ()
        if self.cursor.at("("):
            parameters = registers_of_parameters(self.cursor, body.scopes)
        threads = self._performance_directives()
        if self.cursor.accept(";"):
            return None
        self.cursor.expect("{")
        body.parse()
        place = self.cursor.source.place(name.offset)
        return Function(name.text, is_entry, parameters, tuple(body.statements), body.targets, threads, place)

    def _performance_directives(self) -> int | None:
        """Read `.reqntid 256, 1, 1` and its kin; the number of threads in a block, None if unknown."""
        sizes: dict[str, int] = {}
        while not (self.cursor.at("{") or self.cursor.at(";")):
            token = self.cursor.take()
            if token.text in (".reqntid", ".maxntid"):
                sizes[token.text] = self._product()
            elif token.kind is Kind.WORD:
                self.cursor.index -= 1
                raise self.cursor.unexpected("`{`")
        return sizes.get(".reqntid", sizes.get(".maxntid"))

    def _product(self) -> int:
        product = self.cursor.integer("a number of threads")
        while self.cursor.accept(","):
            product *= self.cursor.integer("a number of threads")
        return product
