"""Reader of MLIR's generic text form: one fixed syntax for every operation of every dialect.

    results = "opcode"(operands)[successors] <{properties}> ({regions}) {attributes} : (types) -> types loc(...)

The grammar is the "Generic Operation Format" of the MLIR language reference. Values of attributes become Python
values; types stay text (`twill.frontend.types` reads them); aliases (`#loc1`, `!type`) are resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ir.diagnostics import Location
from twill.frontend.attributes import Dense, Opaque, Symbol, number
from twill.frontend.generic_scanner import IDENTIFIER, NUMBER, SIGIL_NAME, Scanner
from twill.frontend.spelled import Spelled, nothing_spelled


@dataclass(frozen=True)
class Frame:
    """One level of the inlined call stack: a place, and the variable names given to it, the last name first."""

    names: tuple[str, ...]
    location: Location


@dataclass(frozen=True)
class Argument:
    """A block argument: its SSA name, type text and call stack, innermost frame first."""

    name: str
    type: str
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True)
class Block:
    """A label, arguments and operations."""

    label: str
    arguments: tuple[Argument, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Node:
    """One operation as printed; `results` are SSA names, where `%3:2` stands for `%3#0` and `%3#1`."""

    opcode: str
    results: tuple[str, ...]
    operands: tuple[str, ...]
    result_types: tuple[str, ...]
    attributes: Mapping[str, Any]
    regions: tuple[tuple[Block, ...], ...]
    successors: tuple[str, ...]
    frames: tuple[Frame, ...]

    @property
    def location(self) -> Location | None:
        """The innermost place, None where it is unknown."""
        return self.frames[0].location if self.frames else None


_RANGE_END = re.compile(r"\d*\s*:\s*\d+")


def read_generic(text: str, file: str = "", spelled: Spelled = nothing_spelled) -> Node:
    """Read a module in generic form; raises UserError (`generic-syntax`) with line and column of `file`.

    `spelled` gives the names that values have at places in `file` itself.
    """
    reader = _Reader(text, file, spelled=spelled)
    reader.collect_aliases()
    reader.position = 0
    reader.skip_aliases()
    return reader.node()


@dataclass
class _Reader(Scanner):
    """A recursive-descent reader: each method consumes one construct of the grammar at `position`."""

    spelled: Spelled = nothing_spelled
    aliases: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[Frame, ...]] = field(default_factory=dict)

    # Aliases stand in the first column, before and after the module.

    def collect_aliases(self) -> None:
        for found in re.finditer(r"^([#!][\w.$\-]+) = (.*)$", self.text, re.MULTILINE):
            self.aliases[found.group(1)] = found.group(2)

    def skip_aliases(self) -> None:
        while self.at("#") or self.at("!"):
            end = self.text.find("\n", self.position)
            self.position = len(self.text) if end < 0 else end

    # Operations, regions and blocks.

    def node(self) -> Node:
        names = () if self.at('"') else self._results()
        opcode = self.string()
        self.expect("(")
        operands = self.items(")", self._value)
        successors = self.items("]", self._successor) if self.accept("[") else ()
        attributes = self._properties() if self.accept("<{") else {}
        regions = self.items(")", self._region) if self.accept("(") else ()
        if self.accept("{"):
            attributes = {**attributes, **self._dictionary()}
        self.expect(":")
        types = self._function_results()
        return Node(opcode, names, operands, types, attributes, regions, successors, self._location_suffix())

    def _properties(self) -> dict[str, Any]:
        properties = self._dictionary()
        self.expect(">")
        return properties

    def _results(self) -> tuple[str, ...]:
        names: list[str] = []
        while not self.accept("="):
            name = self.match(SIGIL_NAME, "a result")
            count = int(self.match(NUMBER, "a count")) if self.accept(":") else 0
            names += [f"{name}#{i}" for i in range(count)] if count else [name]
            self.accept(",")
        return tuple(names)

    def _value(self) -> str:
        return self.match(SIGIL_NAME, "a value")

    def _successor(self) -> str:
        return self.match(SIGIL_NAME, "a block label")

    def _region(self) -> tuple[Block, ...]:
        self.expect("{")
        blocks: list[Block] = []
        while not self.accept("}"):
            blocks.append(self._block())
        return tuple(blocks)

    def _block(self) -> Block:
        label, arguments = "", ()
        if self.at("^"):
            label = self.match(SIGIL_NAME, "a block label")
            arguments = self.items(")", self._argument) if self.accept("(") else ()
            self.expect(":")
        nodes: list[Node] = []
        while not (self.at("^") or self.at("}")):
            nodes.append(self.node())
        return Block(label, arguments, tuple(nodes))

    def _argument(self) -> Argument:
        name = self._value()
        self.expect(":")
        return Argument(name, self.type(), self._location_suffix())

    # Types stay text, with aliases replaced.

    def type(self) -> str:
        if self.at("("):
            return self._function_type()
        if not self.at("!"):
            name = self.match(IDENTIFIER, "a type")
            return name + (self.balanced() if self.text.startswith("<", self.position) else "")
        name = self.match(SIGIL_NAME, "a type")
        if self.text.startswith("<", self.position):
            return name + self.balanced()
        return self.aliases.get(name, name)

    def _function_type(self) -> str:
        start = self.position
        self.balanced()
        self.expect("->")
        self.balanced() if self.at("(") else self.type()
        return self.text[start : self.position]

    def _function_results(self) -> tuple[str, ...]:
        self.expect("(")
        self.items(")", self.type)
        self.expect("->")
        return self.items(")", self.type) if self.accept("(") else (self.type(),)

    # Attributes.

    def _dictionary(self) -> dict[str, Any]:
        return dict(self.items("}", self._entry))

    def _entry(self) -> tuple[str, Any]:
        name = self.string() if self.at('"') else self.match(IDENTIFIER, "an attribute's name")
        return name, self.attribute() if self.accept("=") else True

    def attribute(self) -> Any:
        """Any attribute value, by its first character."""
        self.skip()
        rule = _ATTRIBUTES.get(self.text[self.position : self.position + 1], _Reader._word)
        return rule(self)

    def _typed_string(self) -> str:
        text = self.string()
        if self.accept(":"):
            self.type()
        return text

    def _number(self) -> int | float:
        digits = self.match(NUMBER, "a number")
        return number(digits, self.type() if self.accept(":") else "i64")

    def _list(self) -> tuple[Any, ...]:
        self.expect("[")
        return self.items("]", self.attribute)

    def _braces(self) -> dict[str, Any]:
        self.expect("{")
        return self._dictionary()

    def _symbol(self) -> Symbol:
        names = [self.match(SIGIL_NAME, "a symbol")[1:]]
        while self.accept("::"):
            names.append(self.match(SIGIL_NAME, "a symbol")[1:])
        return Symbol("::".join(name.strip('"') for name in names))

    def _hash(self) -> Opaque:
        name = self.match(SIGIL_NAME, "an attribute")
        parameters = self.balanced() if self.text.startswith("<", self.position) else ""
        return Opaque(self.aliases.get(name, name) if not parameters else name + parameters)

    def _type_attribute(self) -> Opaque:
        return Opaque(self.type())

    def _word(self) -> Any:
        """true, false, unit, loc(...), dense<...> : type, array<...>, or a type."""
        start = self.position
        word = self.match(IDENTIFIER, "an attribute")
        if word in _WORDS:
            return _WORDS[word]
        if word == "loc":
            self.balanced()
            return Opaque(self.text[start : self.position])
        if word in ("dense", "array", "dense_resource", "sparse"):
            return self._elements(word)
        self.position = start
        return Opaque(self.type())

    def _elements(self, word: str) -> Dense:
        body = self.balanced()[1:-1]
        if word != "array":
            self.expect(":")
            return Dense(word, body, self.type())
        element, _, values = body.partition(":")
        return Dense(word, f"[{values}]", element.strip())

    # Locations: frames of the inlined call stack, innermost first.

    def _location_suffix(self) -> tuple[Frame, ...]:
        if not self.accept("loc("):
            return ()
        frames = self._location()
        self.expect(")")
        return frames

    def _location(self) -> tuple[Frame, ...]:
        if self.at("#"):
            return self._place_alias(self.match(SIGIL_NAME, "a location"))
        if self.at('"'):
            return self._named_location()
        if self.accept("callsite("):
            callee = self._location()
            self.expect("at")
            caller = self._location()
            self.expect(")")
            return callee + caller
        if self.accept("fused"):
            return self._fused_location()
        self.match(IDENTIFIER, "a location")
        return ()

    def _place_alias(self, alias: str) -> tuple[Frame, ...]:
        if alias not in self.places:
            if alias not in self.aliases:
                raise self.error(f"a known location, not {alias},")
            inner = _Reader(self.aliases[alias], self.file, 0, self.spelled, self.aliases, self.places)
            self.places[alias] = inner._location_suffix()
        return self.places[alias]

    def _named_location(self) -> tuple[Frame, ...]:
        text = self.string()
        if self.accept(":"):
            line = int(self.match(NUMBER, "a line"))
            column = int(self.match(NUMBER, "a column")) if self.accept(":") else 0
            if self.accept("to"):
                self.match(_RANGE_END, "the end of a range")
            names = self.spelled(line, column) if text == self.file else ()
            return (Frame(names, Location(text, line, column)),)
        if not self.accept("("):
            return (Frame((text,), Location("")),)
        inner = self._location()
        self.expect(")")
        if not inner:
            return (Frame((text,), Location("")),)
        return (Frame((text, *inner[0].names), inner[0].location), *inner[1:])

    def _fused_location(self) -> tuple[Frame, ...]:
        if self.at("<"):
            self.balanced()
        self.expect("[")
        choices = self.items("]", self._location)
        return next((frames for frames in choices if frames), ())


_WORDS = {"true": True, "false": False, "unit": True}
_ATTRIBUTES: dict[str, Callable[[_Reader], Any]] = {
    '"': _Reader._typed_string,
    "[": _Reader._list,
    "{": _Reader._braces,
    "@": _Reader._symbol,
    "#": _Reader._hash,
    "!": _Reader._type_attribute,
    "(": _Reader._type_attribute,
    **dict.fromkeys("-0123456789", _Reader._number),
}
