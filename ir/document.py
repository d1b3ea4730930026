"""A TOML file read strictly: each key must be known and of its type, and every fault is reported with its line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, Location, UserError, fail
from ir.expression import Expression, ExpressionError

Table = Mapping[str, Any]
Places = Mapping[str, Location]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\-]+)\s*=")
_INLINE_KEY = re.compile(r"[{,]\s*([A-Za-z0-9_\-]+)\s*=")
_LAST_STEP = re.compile(r"(\[\d+\]|\.?[^.\[\]]+)$")


@dataclass(frozen=True)
class Document:
    """The data of a file, where each key stands (`argument[0].dtype`), and the faults found so far."""

    path: Path
    data: Table
    places: Places = field(repr=False)
    faults: list[Diagnostic] = field(default_factory=list, repr=False)
    tables: list[TableReader] = field(default_factory=list, repr=False)

    @staticmethod
    def read(path: Path) -> Document:
        """Parse a file; raises UserError if it is missing or is not TOML."""
        if not path.is_file():
            raise fail("missing-file", f"there is no file {path}")
        text = path.read_text(encoding="utf-8")
        try:
            return Document(path, tomllib.loads(text), _places(str(path), text))
        except tomllib.TOMLDecodeError as error:
            numbers = [int(n) for n in re.findall(r"(?:line|column) (\d+)", str(error))]
            raise fail("toml-syntax", str(error), Location(str(path), *numbers)) from None

    def place(self, key: str = "") -> Location:
        """Where a key stands, or else the nearest table around it."""
        while key and key not in self.places:
            key = _LAST_STEP.sub("", key)
        return self.places.get(key, Location(str(self.path)))

    def overridden(self, by: str) -> Document:
        """This document with the table at the dotted path `by` laid over it, and nothing read yet.

        A list of tables that each have a `name` is overridden by a table of tables under those names.
        """
        override: Any = self.data
        for step in by.split("."):
            override = override[step]
        places = dict(self.places)
        data = _overlay(self.data, override, "", f"{by}.", places)
        return Document(self.path, data, places)

    def root(self) -> TableReader:
        """The reader of the top table."""
        return TableReader(self, "", self.data)

    def fault(self, rule: str, message: str, key: str, remedy: str = "") -> None:
        """Note a fault at a key, for `finish` to raise."""
        self.faults.append(Diagnostic(rule, message, self.place(key), remedy))

    def finish(self) -> None:
        """Raise UserError with all faults, and all keys that no reader asked for, in file order."""
        for table in self.tables:
            table.report_unknown()
        if self.faults:
            raise UserError(*sorted(self.faults, key=lambda d: d.location or Location("")))


@dataclass(frozen=True)
class TableReader:
    """One table. Each method reads one key; on a fault it notes it and returns something harmless to go on with."""

    document: Document
    prefix: str
    data: Table
    known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.document.tables.append(self)

    def path(self, key: str) -> str:
        """Dotted path of a key of this table."""
        return f"{self.prefix}.{key}" if self.prefix else key

    def fault(self, rule: str, message: str, key: str, remedy: str = "") -> None:
        """Note a fault at a key of this table."""
        self.document.fault(rule, message, self.path(key), remedy)

    def has(self, key: str) -> bool:
        """Whether the key is there; to ask makes it known."""
        self.known.add(key)
        return key in self.data

    def text(self, key: str, default: str | None = None, options: Sequence[str] = ()) -> str:
        """A string, required where there is no default; `options`, if any, are the strings allowed."""
        value: str = self._get(key, (str,), "a string", default, "")
        if options and value not in options and (key in self.data):
            self.fault("bad-value", f"`{key}` is `{value}`", key, _remedy(value, options))
        return value if not options or value in options else options[0]

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(str(t) for t in self._get(key, (list,), "a list of strings", default, ()))

    def count(self, key: str, default: int) -> int:
        """An integer of at least 1."""
        value: int = self._get(key, (int,), "an integer", default, default)
        if value < 1:
            self.fault("bad-value", f"`{key}` is {value} and must be at least 1", key)
        return value

    def number(self, key: str) -> float | None:
        """A number, or None where the key is absent."""
        value: float | None = self._get(key, (int, float), "a number", 0, 0) if self.has(key) else None
        return value

    def file(self, key: str) -> tuple[Path, str]:
        """An existing file, by its path from the document's folder, and what stands after a colon."""
        name, _, rest = self.text(key).partition(":")
        path = self.document.path.parent / name
        if name and not path.is_file():
            self.fault("missing-file", f"`{key}` names {path}, which is no file", key)
        return path, rest

    def flag(self, key: str) -> bool:
        """True or false; an absent one is false."""
        value: bool = self._get(key, (bool,), "true or false", False, False)
        return value

    def folders(self, key: str) -> tuple[Path, ...]:
        """A list of existing folders, by their paths from the document's folder; an absent one is empty."""
        folders = tuple(self.document.path.parent / name for name in self.texts(key, ()))
        for folder in folders:
            if not folder.is_dir():
                self.fault("missing-folder", f"`{key}` names {folder}, which is no folder", key)
        return folders

    def expression(self, key: str, symbols: frozenset[str], default: int = 0) -> Expression:
        """An integer, or a string with an expression over `symbols`."""
        return self._expression(key, self._get(key, (int, str), "an integer or an expression", default, 0), symbols)

    def expressions(
        self, key: str, symbols: frozenset[str], default: Sequence[int] | None = None
    ) -> tuple[Expression, ...]:
        """A list of integers and expressions."""
        items = self._get(key, (list,), "a list of integers and expressions", default, ())
        return tuple(self._expression(key, item, symbols) for item in items)

    def quantity(self, key: str, symbols: frozenset[str], default: float | None = None) -> Expression | float:
        """A number, or a string with an expression."""
        value: Any = self._get(key, (int, float, str), "a number or an expression", default, 0)
        return self._expression(key, value, symbols) if isinstance(value, str) else float(value)

    def table(self, key: str) -> TableReader:
        """A table; an absent one is empty."""
        return TableReader(self.document, self.path(key), self._get(key, (dict,), "a table", {}, {}))

    def list_of_tables(self, key: str) -> tuple[TableReader, ...]:
        """A list of tables; an absent one is empty."""
        rows = self._get(key, (list,), "a list of tables", (), ())
        readers = [(f"{self.path(key)}[{i}]", row) for i, row in enumerate(rows)]
        if not all(isinstance(row, dict) for row in rows):
            self.fault("bad-type", f"`{key}` must be a list of tables", key)
            return ()
        return tuple(TableReader(self.document, path, row) for path, row in readers)

    def entries(self, kinds: tuple[type, ...], what: str) -> dict[str, Any]:
        """All keys of a table whose keys are free, each value of one of `kinds`."""
        return {key: self._get(key, kinds, what, None, 0) for key in self.data}

    def report_unknown(self) -> None:
        """Note each key that nobody asked for, with the nearest known one."""
        for key in self.data.keys() - self.known:
            self.fault("unknown-key", f"unknown key `{key}`", key, _remedy(key, sorted(self.known)))

    def _get(self, key: str, kinds: tuple[type, ...], what: str, default: Any, harmless: Any) -> Any:
        if not self.has(key):
            if default is None:
                where = f" in [{self.prefix}]" if self.prefix else ""
                self.fault("missing-key", f"`{key}` is missing{where}", key, f"it must be {what}")
            return harmless if default is None else default
        value = self.data[key]
        # True is an int to Python, and not to a reader of the file.
        if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
            return value
        self.fault("bad-type", f"`{key}` must be {what}, and is {value!r}", key)
        return harmless

    def _expression(self, key: str, item: object, symbols: frozenset[str]) -> Expression:
        try:
            expression = Expression.parse(str(item))
        except ExpressionError as error:
            self.fault("bad-expression", f"`{key}`: {error}", key)
            return Expression.parse("0")
        for name in sorted(expression.names - symbols):
            self.fault("unknown-symbol", f"`{key}`: no size or constant `{name}`", key, _remedy(name, sorted(symbols)))
        return expression


def _remedy(wrong: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(known) or 'none'}"


def _places(file: str, text: str) -> dict[str, Location]:
    """Where each key stands; keys inside an inline table on the key's own line are found too."""
    places: dict[str, Location] = {}
    rows: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _header_path(header, rows)
            places.setdefault(table, Location(file, number, header.start(2) + 1))
        elif key := _KEY.match(line):
            path = f"{table}.{key[1]}".lstrip(".")
            places.setdefault(path, Location(file, number, key.start(1) + 1))
            for inner in _INLINE_KEY.finditer(line):
                places.setdefault(f"{path}.{inner[1]}", Location(file, number, inner.start(1) + 1))
    return places


def _header_path(header: re.Match[str], rows: dict[str, int]) -> str:
    if header[1] == "[":
        return header[2]
    rows[header[2]] = rows.get(header[2], -1) + 1
    return f"{header[2]}[{rows[header[2]]}]"


def _overlay(base: Any, over: Any, at: str, source: str, places: dict[str, Location]) -> Any:
    """`over` laid on `base` key by key; the places of what it replaces move to where the override stands."""
    if not isinstance(over, dict) or not isinstance(base, dict | list):
        return over
    if isinstance(base, list):
        return _overlay_rows(base, over, at, source, places)
    merged = dict(base)
    for key, value in over.items():
        path, origin = f"{at}.{key}".lstrip("."), f"{source}{key}"
        _move(places, origin, path)
        merged[key] = _overlay(base.get(key), value, path, f"{origin}.", places)
    return merged


def _overlay_rows(rows: list[Any], over: Table, at: str, source: str, places: dict[str, Location]) -> list[Any]:
    index = {row["name"]: i for i, row in enumerate(rows) if isinstance(row, dict) and "name" in row}
    merged = list(rows)
    for name, value in over.items():
        i = index.get(name)
        if i is None:
            raise fail(
                "unknown-key",
                f"`{at}` has no entry `{name}`",
                places.get(f"{source}{name}"),
                _remedy(name, list(index)),
            )
        merged[i] = _overlay(rows[i], value, f"{at}[{i}]", f"{source}{name}.", places)
    return merged


def _move(places: dict[str, Location], origin: str, path: str) -> None:
    for key in [k for k in places if k == origin or k.startswith((f"{origin}.", f"{origin}["))]:
        places[path + key[len(origin) :]] = places[key]
