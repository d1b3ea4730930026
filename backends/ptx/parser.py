"""Recursive descent over a PTX file: version, variables and functions; bodies are read in `body`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from backends.ptx.body import BodyParser, read_file
from backends.ptx.constants import primary
from backends.ptx.cursor import Cursor
from backends.ptx.declarations import is_variable, parameters, variables
from backends.ptx.syntax import Attributes, Extent, Function, Module, Parameter, Variable
from backends.ptx.tokens import Kind, Source, tokenize
from ir.diagnostics import Location, fail

_FILE = re.compile(r'^[ \t]*\.file[ \t]+(\d{1,9})[ \t]+"([^"\n]*)"', re.MULTILINE)
_LINKAGE = frozenset({".visible", ".extern", ".weak", ".common"})
_MAX_DIMENSIONS = 3
# A kernel is launched at several sizes, and then profiled.
_KEPT_FILES = 8
# Performance directives by the field of `Attributes` that they set; those without a field bind the compiler alone.
_EXTENTS = {".reqntid": "required_threads", ".maxntid": "max_threads", ".reqnctapercluster": "cluster"}
_NUMBERS = {".minnctapersm": "min_ctas", ".maxnreg": "max_registers", ".maxclusterrank": "max_cluster_ctas"}
_FLAGS = {".explicitcluster": "is_explicit_cluster", ".noreturn": "noreturn"}
_COMPILER_NUMBERS = frozenset({".maxnctapersm", ".abi_preserve", ".abi_preserve_control"})
_COMPILER_FLAGS = frozenset({".blocksareclusters"})


def read_ptx(path: str | Path) -> Module:
    """Parse a file; raises UserError where it is missing or is not PTX."""
    file = Path(path)
    if not file.is_file():
        raise fail("missing-file", f"there is no file {file}")
    return parse_ptx(file.read_text(encoding="utf-8", errors="replace"), str(path))


@lru_cache(maxsize=_KEPT_FILES)
def parse_ptx(text: str, file: str = "<ptx>") -> Module:
    """Parse PTX text; raises UserError with file, line and column for whatever is wrong.

    The same text of the same file is the same module: the last few are kept.

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
    version: str = ""
    target: str = ""
    address_size: int = 64
    functions: list[Function] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def parse(self) -> Module:
        readers: dict[str, Callable[[], object]] = {
            ".version": self._version,
            ".target": self._target,
            ".address_size": self._address_size,
            ".file": lambda: read_file(self.cursor),
            ".section": self._section,
            ".pragma": lambda: self.cursor.skip_past(";"),
            ".alias": self._alias,
        }
        while self.cursor.next.kind is not Kind.END:
            readers.get(self.cursor.next.text, self._item)()
        if not self.target:
            raise fail("ptx-syntax", "there is no `.target` line: this is no PTX", Location(self.cursor.source.file, 1))
        return Module(
            self.cursor.source.file,
            self.version,
            self.target,
            self.address_size,
            tuple(self.functions),
            tuple(self.variables),
            self.files,
            self.aliases,
        )

    def _item(self) -> None:
        """A variable or a function, with its linkage; `.loc` means nothing here."""
        if self.cursor.next.kind is Kind.LOC:
            self.cursor.take()
            return
        linkage = ""
        while self.cursor.next.text in _LINKAGE:
            linkage = self.cursor.take().text[1:]
        if self.cursor.next.text in (".entry", ".func"):
            self.functions.append(self._function(linkage))
        elif is_variable(self.cursor.next.text):
            self.variables += variables(self.cursor, linkage)
        else:
            wanted = "a directive that PTX has outside functions"
            raise self.cursor.unexpected(wanted if self.cursor.next.kind is Kind.DIRECTIVE else "a directive")

    def _version(self) -> None:
        self.cursor.expect(".version")
        self.version = self.cursor.of_kind(Kind.NUMBER, "a version such as 8.4").text

    def _target(self) -> None:
        self.cursor.expect(".target")
        self.target = self.cursor.word("an architecture such as sm_90a").text
        while self.cursor.accept(","):
            self.cursor.word("an option of the target")

    def _address_size(self) -> None:
        self.cursor.expect(".address_size")
        self.address_size = primary(self.cursor, "32 or 64")

    def _section(self) -> None:
        """Debug information, which nobody reads here."""
        while not self.cursor.at("{"):
            self.cursor.take()
        self.cursor.skip_brackets("{", "}")

    def _alias(self) -> None:
        self.cursor.expect(".alias")
        name = self.cursor.word("the name of the alias").text
        self.cursor.expect(",")
        self.aliases[name] = self.cursor.word("the name of a function").text
        self.cursor.expect(";")

    def _function(self, linkage: str) -> Function:
        is_entry = self.cursor.take().text == ".entry"
        body = BodyParser(self.cursor, self.files)
        returns = self._parameters(body)
        name = self.cursor.word("the name of the function")
        head = Function(
            name.text,
            is_entry,
            self._parameters(body),
            (),
            self.cursor.source.place(name.offset),
            returns,
            attributes=self._attributes(),
            linkage=linkage,
            is_declaration=self.cursor.accept(";"),
        )
        if head.is_declaration:
            return head
        self.cursor.expect("{")
        body.parse()
        return replace(
            head,
            statements=tuple(body.statements),
            registers=tuple(body.scopes.used),
            variables=tuple(body.variables),
            targets=body.targets,
        )

    def _parameters(self, body: BodyParser) -> tuple[Parameter, ...]:
        """A list in brackets if there is one; those in registers are declared in the body."""
        if not self.cursor.at("("):
            return ()
        found = parameters(self.cursor)
        for parameter in found:
            if parameter.is_register:
                body.scopes.declare(parameter.name, parameter.type)
        return found

    def _attributes(self) -> Attributes:
        """Performance directives: `.reqntid 256, 1, 1` and its kin."""
        found: dict[str, Extent | int | bool] = {}
        while not (self.cursor.at("{") or self.cursor.at(";")):
            directive = self.cursor.next.text
            if directive in (".pragma", ".attribute"):
                self._skip_attribute(directive)
                continue
            value = self._attribute(directive)
            if field_name := (_EXTENTS | _NUMBERS | _FLAGS).get(directive):
                found[field_name] = value
        return replace(Attributes(), **found)  # type: ignore[arg-type]

    def _skip_attribute(self, directive: str) -> None:
        self.cursor.take()
        if directive == ".pragma":
            self.cursor.skip_past(";")
        else:
            self.cursor.skip_brackets("(", ")")

    def _attribute(self, directive: str) -> Extent | int | bool:
        if directive in _FLAGS or directive in _COMPILER_FLAGS:
            return self.cursor.accept(directive)
        if directive not in _EXTENTS and directive not in _NUMBERS and directive not in _COMPILER_NUMBERS:
            raise self.cursor.unexpected("`{`")
        self.cursor.take()
        return self._extent() if directive in _EXTENTS else primary(self.cursor, "a number")

    def _extent(self) -> Extent:
        place = self.cursor.next.offset
        sizes = [primary(self.cursor, "a number of threads or CTAs")]
        while self.cursor.accept(","):
            sizes.append(primary(self.cursor, "a number of threads or CTAs"))
        if len(sizes) > _MAX_DIMENSIONS or min(sizes) < 1:
            raise self.cursor.source.error(place, "expected one to three positive sizes", "ptx-syntax")
        x, y, z = (*sizes, 1, 1)[:_MAX_DIMENSIONS]
        return x, y, z
