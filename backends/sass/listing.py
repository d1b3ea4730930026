"""The disassembler's text as lines: address, instruction text, encoding, labels and source places."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from backends.compilers.cache import Cache, cached_text
from backends.compilers.machine_code import disassembler, disassembly
from ir.diagnostics import Location, fail

_SECTION = re.compile(r"^\.text\.(\S+):$")
_LABEL = re.compile(r"^(\S+):$")
_PLACE = re.compile(r'"(.*?)", line (\d+)')
_INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;?\s*/\* 0x([0-9a-f]{16}) \*/$")
_SECOND_HALF = re.compile(r"^\s+/\* 0x([0-9a-f]{16}) \*/$")
_PTX = ".nv_debug_ptx_txt"
_INDIRECT = (" BRX", " JMX")
_FLAGS = ("--print-code", "--print-instruction-encoding", "--print-line-info-inline", "--print-line-info-ptx")


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction as printed. places: the source line, then where it was inlined, innermost first."""

    address: int
    text: str
    encoding: int
    places: tuple[Location, ...]
    ptx_line: int | None


@dataclass(frozen=True)
class Listing:
    """The code of one entry with the functions that it calls. labels: name -> address."""

    lines: list[Line] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)


def disassemble(cubin: bytes, entry: str, cache: Cache | None = None) -> Listing:
    """Listing of an entry of machine code. Raises UserError: missing-part, bad-cubin, unknown-entry, bad-listing.

    Data flow is analysed by the disassembler only where an indirect branch needs its targets: it takes a quarter of
    the time. Its text is kept in the cache; None is the user's.
    """
    parts = ("disassembly", disassembler(), *_FLAGS, hashlib.sha256(cubin).hexdigest())
    return parse_listing(cached_text(cache, parts, lambda: _text(cubin)), entry)


def _text(cubin: bytes) -> str:
    text = disassembly(cubin, (*_FLAGS, "--no-dataflow"))
    return disassembly(cubin, _FLAGS) if any(name in text for name in _INDIRECT) else text


def parse_listing(text: str, entry: str) -> Listing:
    """Listing of an entry in the disassembler's text. Raises UserError: unknown-entry, bad-listing."""
    rows = text.splitlines()
    sections = {found[1]: i for i, line in enumerate(rows) if (found := _SECTION.match(line))}
    if entry not in sections:
        known = ", ".join(sections) or "none"
        raise fail("unknown-entry", f"the machine code has no entry `{entry}`", remedy=f"its entries are: {known}")
    return _Reader(entry).read(_section(rows, sections[entry]))


def _section(rows: list[str], first: int) -> Iterator[str]:
    for row in rows[first + 1 :]:
        if row.startswith("//-----"):
            return
        yield row


class _Reader:
    """Reads the rows of one section. Source places hold until others are printed."""

    def __init__(self, entry: str) -> None:
        self._entry = entry
        self._listing = Listing(labels={entry: 0})
        self._locations: dict[tuple[str, str], Location] = {}
        self._places: tuple[Location, ...] = ()
        self._ptx_line: int | None = None
        self._waiting: list[str] = []
        self._is_source_fresh = True

    def read(self, rows: Iterable[str]) -> Listing:
        first: re.Match[str] | None = None
        for row in rows:
            if first:
                self._instruction(first, row)
                first = None
            elif row.startswith("\t//## "):
                self._place(row)
            elif not (first := _INSTRUCTION.match(row)):
                self._other(row)
        self._bind(self._listing.lines[-1].address + 16 if self._listing.lines else 0)
        return self._listing

    def _instruction(self, first: re.Match[str], row: str) -> None:
        second = _SECOND_HALF.match(row)
        if second is None:
            raise fail("bad-listing", f"the encoding of `{first[2]}` in {self._entry} ends in `{row.strip()}`")
        address = int(first[1], 16)
        self._bind(address)
        encoding = int(second[1], 16) << 64 | int(first[3], 16)
        self._listing.lines.append(Line(address, first[2], encoding, self._places, self._ptx_line))
        self._is_source_fresh = True

    def _place(self, row: str) -> None:
        found = [self._location(*names) for names in _PLACE.findall(row)]
        if not found:
            raise fail("bad-listing", f"a source place is written as `{row.strip()}`")
        if found[0].file == _PTX:
            self._ptx_line = found[0].line
            return
        # The rows of a chain say "a inlined at b", "b inlined at c", "c": each after the first repeats its start.
        self._places = tuple(found) if self._is_source_fresh else (*self._places, *found[1:])
        self._is_source_fresh = False

    def _location(self, file: str, line: str) -> Location:
        return self._locations.setdefault((file, line), Location(file, int(line)))

    def _other(self, row: str) -> None:
        if label := _LABEL.match(row):
            self._waiting.append(label[1])

    def _bind(self, address: int) -> None:
        """Gives the labels that were printed since the last instruction their address."""
        self._listing.labels.update(dict.fromkeys(self._waiting, address))
        self._waiting.clear()
