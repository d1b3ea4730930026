"""The text form of a kernel: `parse_kernel(print_kernel(kernel)) == kernel`.

    kernel NAME dialect WORD warps INTEGER [source STRING] [attributes] [loc] do {
      argument %NAME: TYPE [attributes]
      [%NAME: TYPE, ... =] OPCODE(%NAME, ...) [attributes] [combiner(OPCODE, ...)] [if([not] %NAME, ...)] [loc]
      loop NAME [%NAME: TYPE] [= %LOWER to %UPPER step %STEP] [trips INTEGER] [attributes] [refusal STRING] [if(...)]
          [loc] do {
        carry %NAME: TYPE = %INITIAL yield %YIELDED -> %RESULT: TYPE
        ...
      }
    }

attributes are `{name = value, ...}`, a value is an integer, a float, true, false, a string or a list of integers.
loc is `loc("file":line:column)`. A name that is no plain word stands in quotes. `//` starts a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ir.diagnostics import Location
from ir.loop import Attribute, Carried, Kernel, Loop, Operation, Predicate, Value
from ir.text_scanner import Scanner, quoted
from ir.types import ELEMENT_BITS, Memory, Type

T = TypeVar("T")

_INDENT = "  "
# An operation of such a name is written in quotes.
_KEYWORDS = frozenset(("loop", "carry", "combiner", "if", "loc", "argument"))
_MEMORIES = {memory.value: memory for memory in Memory}
_DIMENSION = re.compile(r"(\d+)x")


def print_kernel(kernel: Kernel) -> str:
    """The kernel as text, one operation a line."""
    head = ["kernel", quoted(kernel.name), "dialect", quoted(kernel.dialect), "warps", str(kernel.warps)]
    head += ["source", json.dumps(kernel.source)] if kernel.source else []
    lines = [" ".join([*head, *_attributes(kernel.attributes), *_location(kernel.location), "do {"])]
    for argument in kernel.arguments:
        told = kernel.argument_attributes.get(argument.name)
        lines.append(_INDENT + " ".join(["argument", _value(argument), *_attributes(told, told is not None)]))
    lines += _items(kernel.body, _INDENT)
    return "\n".join([*lines, "}", ""])


def _items(items: Iterable[Operation | Loop], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Operation):
            yield indent + _operation(item)
        else:
            yield from _loop(item, indent)


def _operation(op: Operation) -> str:
    results = [f"{', '.join(map(_value, op.results))} ="] if op.results else []
    opcode = json.dumps(op.opcode) if op.opcode in _KEYWORDS else quoted(op.opcode)
    call = f"{opcode}({', '.join(map(_reference, op.operands))})"
    combiner = [f"combiner({', '.join(map(quoted, op.combiner))})"] if op.combiner else []
    parts = [*results, call, *_attributes(op.attributes), *combiner]
    return " ".join([*parts, *_predicates(op.predicates), *_location(op.location)])


def _loop(loop: Loop, indent: str) -> Iterator[str]:
    head = ["loop", quoted(loop.name)]
    head += [_value(loop.induction)] if loop.induction else []
    head += ["=", _reference(loop.lower), "to", _reference(loop.upper), "step", _reference(loop.step)] * _bounded(loop)
    head += ["trips", str(loop.trip_count)] if loop.trip_count is not None else []
    head += _attributes(loop.attributes)
    head += ["refusal", json.dumps(loop.refusal)] if loop.refusal is not None else []
    yield indent + " ".join([*head, *_predicates(loop.predicates), *_location(loop.location), "do {"])
    for c in loop.carried:
        initial, yielded = _reference(c.initial), _reference(c.yielded)
        yield f"{indent}{_INDENT}carry {_value(c.argument)} = {initial} yield {yielded} -> {_value(c.result)}"
    yield from _items(loop.body, indent + _INDENT)
    yield indent + "}"


def _bounded(loop: Loop) -> bool:
    return bool(loop.lower or loop.upper or loop.step)


def _reference(name: str) -> str:
    return f"%{quoted(name)}"


def _value(value: Value) -> str:
    return f"{_reference(value.name)}: {print_type(value.type)}"


def _attributes(attributes: Mapping[str, Attribute] | None, always: bool = False) -> list[str]:
    if not attributes and not always:
        return []
    pairs = (f"{quoted(name)} = {_attribute(value)}" for name, value in (attributes or {}).items())
    return [f"{{{', '.join(pairs)}}}"]


def _attribute(value: Attribute) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _predicates(predicates: Iterable[Predicate]) -> list[str]:
    terms = [f"{'' if p.expected else 'not '}{_reference(p.condition)}" for p in predicates]
    return [f"if({', '.join(terms)})"] if terms else []


def _location(location: Location | None) -> list[str]:
    if location is None:
        return []
    return [f"loc({json.dumps(location.file)}:{location.line}:{location.column})"]


def print_type(type_: Type) -> str:
    """A type as `str` has it where that says all, else all its fields.

    >>> print_type(Type("f16", (64, 64), memory=Memory.SHARED)), print_type(Type("f16", memory=Memory.SHARED))
    ('tensor<64x64xf16, smem>', 'type(f16, [], smem)')
    """
    if _says_all(type_):
        return str(type_)
    flags = [name for name, on in (("pointer", type_.pointer), ("descriptor", type_.descriptor)) if on]
    return f"type({', '.join([quoted(type_.element), str(list(type_.shape)), *flags, type_.memory])})"


def _says_all(type_: Type) -> bool:
    in_registers = type_.memory is Memory.REGISTERS
    is_plain = type_.element in ELEMENT_BITS
    if type_.descriptor:
        return is_plain and in_registers and not type_.pointer
    return is_plain and (in_registers or bool(type_.shape))


def parse_kernel(text: str, file: str = "<text>") -> Kernel:
    """Read what `print_kernel` writes. Raises UserError (`kernel-syntax`) with line and column."""
    return _Parser(Scanner(text, file)).kernel()


@dataclass(frozen=True)
class _Parser:
    """One method for each construct of the grammar."""

    scan: Scanner

    def kernel(self) -> Kernel:
        scan = self.scan
        scan.expect("kernel")
        name = scan.name()
        scan.expect("dialect")
        dialect = scan.name()
        scan.expect("warps")
        warps = scan.integer()
        source = scan.string() if scan.accept("source") else ""
        attributes, location = self.attributes() or {}, self.location()
        self.open_body()
        arguments, told = self.arguments()
        body = self.items()
        if not scan.at_end:
            raise scan.error("the end")
        return Kernel(name, arguments, body, source, dialect, warps, location, told, attributes)

    def arguments(self) -> tuple[tuple[Value, ...], dict[str, Mapping[str, Attribute]]]:
        arguments: list[Value] = []
        told: dict[str, Mapping[str, Attribute]] = {}
        while self.scan.accept("argument"):
            arguments.append(self.value())
            attributes = self.attributes()
            if attributes is not None:
                told[arguments[-1].name] = attributes
        return tuple(arguments), told

    def items(self) -> tuple[Operation | Loop, ...]:
        items: list[Operation | Loop] = []
        while not self.scan.accept("}"):
            items.append(self.loop() if self.scan.accept("loop") else self.operation())
        return tuple(items)

    def operation(self) -> Operation:
        scan = self.scan
        results = self.results() if scan.at_sign("%") else ()
        opcode = scan.name("an operation, `loop` or `}`")
        scan.expect("(")
        operands = scan.items(")", self.reference)
        attributes, combiner = self.attributes() or {}, self.list_after("combiner", scan.name)
        return Operation(opcode, operands, results, attributes, self.predicates(), combiner, self.location())

    def results(self) -> tuple[Value, ...]:
        return self.scan.items("=", self.value)

    def loop(self) -> Loop:
        scan = self.scan
        name = scan.name("the loop's name")
        induction = self.value() if scan.at_sign("%") else None
        lower, upper, step = self.bounds() if scan.accept("=") else ("", "", "")
        trip_count = scan.integer() if scan.accept("trips") else None
        attributes = self.attributes() or {}
        refusal = scan.string() if scan.accept("refusal") else None
        predicates, location = self.predicates(), self.location()
        self.open_body()
        carried = self.carried()
        return Loop(
            name,
            induction,
            lower,
            upper,
            step,
            carried,
            self.items(),
            trip_count,
            attributes,
            location,
            refusal,
            predicates,
        )

    def open_body(self) -> None:
        self.scan.expect("do")
        self.scan.expect("{")

    def bounds(self) -> tuple[str, str, str]:
        lower = self.reference()
        self.scan.expect("to")
        upper = self.reference()
        self.scan.expect("step")
        return lower, upper, self.reference()

    def carried(self) -> tuple[Carried, ...]:
        found: list[Carried] = []
        while self.scan.accept("carry"):
            argument = self.value()
            self.scan.expect("=")
            initial = self.reference()
            self.scan.expect("yield")
            yielded = self.reference()
            self.scan.expect("->")
            found.append(Carried(argument, initial, yielded, self.value()))
        return tuple(found)

    # Parts.

    def reference(self) -> str:
        self.scan.expect("%")
        return self.scan.name()

    def value(self) -> Value:
        name = self.reference()
        self.scan.expect(":")
        return Value(name, self.type())

    def attributes(self) -> dict[str, Attribute] | None:
        if not self.scan.accept("{"):
            return None
        return dict(self.scan.items("}", self.attribute))

    def attribute(self) -> tuple[str, Attribute]:
        name = self.scan.name("an attribute's name")
        self.scan.expect("=")
        return name, self.attribute_value()

    def attribute_value(self) -> Attribute:
        scan = self.scan
        for word, value in (("true", True), ("false", False)):
            if scan.accept(word):
                return value
        if scan.accept("["):
            return scan.items("]", scan.integer)
        return scan.string() if scan.at("string") else scan.number("an attribute's value")

    def list_after(self, word: str, item: Callable[[], T]) -> tuple[T, ...]:
        """Items in parentheses after a word, empty where the word is not next."""
        if not self.scan.accept(word):
            return ()
        self.scan.expect("(")
        return self.scan.items(")", item)

    def predicates(self) -> tuple[Predicate, ...]:
        return self.list_after("if", self.predicate)

    def predicate(self) -> Predicate:
        expected = not self.scan.accept("not")
        return Predicate(self.reference(), expected)

    def location(self) -> Location | None:
        scan = self.scan
        if not scan.accept("loc"):
            return None
        scan.expect("(")
        file = scan.string("a file's name")
        scan.expect(":")
        line = scan.integer("a line")
        scan.expect(":")
        column = scan.integer("a column")
        scan.expect(")")
        return Location(file, line, column)

    # Types.

    def type(self) -> Type:
        scan = self.scan
        if scan.accept("type"):
            return self.long_type()
        if scan.accept("tensor"):
            scan.expect("<")
            shape, (element, pointer) = self.shape(), self.element()
            memory = self.memory() if scan.accept(",") else Memory.REGISTERS
            scan.expect(">")
            return Type(element, shape, pointer, memory=memory)
        if scan.accept("!desc"):
            scan.expect("<")
            shape, element = self.shape(), scan.take("word", "an element type")
            scan.expect(">")
            return Type(element, shape, descriptor=True)
        element, pointer = self.element()
        return Type(element, pointer=pointer)

    def shape(self) -> tuple[int, ...]:
        return tuple(int(found.removesuffix("x")) for found in self.scan.repeated(_DIMENSION))

    def element(self) -> tuple[str, bool]:
        """The element, and whether it is a pointer."""
        if not self.scan.accept("!ptr"):
            return self.scan.take("word", "a type"), False
        self.scan.expect("<")
        element = self.scan.take("word", "an element type")
        self.scan.expect(">")
        return element, True

    def memory(self) -> Memory:
        scan = self.scan
        for name, memory in _MEMORIES.items():
            if scan.accept(name):
                return memory
        raise scan.error(f"a memory ({', '.join(_MEMORIES)})")

    def long_type(self) -> Type:
        scan = self.scan
        scan.expect("(")
        element = scan.name("an element type")
        scan.expect(",")
        scan.expect("[")
        shape = scan.items("]", scan.integer)
        scan.expect(",")
        pointer, descriptor = self.flag("pointer"), self.flag("descriptor")
        memory = self.memory()
        scan.expect(")")
        return Type(element, shape, pointer, descriptor, memory)

    def flag(self, name: str) -> bool:
        found = self.scan.accept(name)
        if found:
            self.scan.expect(",")
        return found
