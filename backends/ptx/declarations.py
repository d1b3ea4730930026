"""Variables and parameters: space, type, alignment and size (PTX ISA 9, "State Spaces, Types, and Variables")."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from backends.ptx.constants import expression, primary
from backends.ptx.cursor import Cursor
from backends.ptx.initializers import MAX_INITIAL_BYTES, Initializer
from backends.ptx.syntax import Parameter, Variable
from backends.ptx.tokens import Kind, Token

SPACES = frozenset({".global", ".const", ".shared", ".local", ".param", ".tex"})
_SPACE_NAMES = {".shared::cta": ".shared", ".param::entry": ".param", ".param::func": ".param"}
_TYPE = re.compile(r"\.(?:[bsu](8|16|32|64|128)|f(16|32|64)|bf(16)|([bsu]16|f16|bf16)x2|pred)")
_HANDLES = frozenset({".texref", ".samplerref", ".surfref"})
_VECTORS = {".v2": 2, ".v4": 4, ".v8": 8}
# A handle (texture, sampler, surface) is passed as 64 bits.
_HANDLE_BYTES = 8


def is_variable(directive: str) -> bool:
    """True for a directive that opens a variable declaration."""
    return _SPACE_NAMES.get(directive, directive) in SPACES


def is_type(directive: str) -> bool:
    """True for `.b32`, `.pred`, `.texref` and their kin."""
    return _TYPE.fullmatch(directive) is not None or directive in _HANDLES


def vector_length(directive: str) -> int:
    """Parts of a `.v2` or `.v4` vector, 1 for any other directive."""
    return _VECTORS.get(directive, 1)


def type_bytes(kind: str) -> int:
    """Bytes of one element.

    >>> type_bytes("b8"), type_bytes("f16x2"), type_bytes("b128"), type_bytes("pred"), type_bytes("texref")
    (1, 4, 16, 1, 8)
    """
    if f".{kind}" in _HANDLES:
        return _HANDLE_BYTES
    found = _TYPE.fullmatch(f".{kind}")
    bits = next((int(b) for b in found.groups()[:3] if b), 32 if found[4] else 8) if found else 8
    return bits // 8


@dataclass
class _Shape:
    """What stands before the names: `.param .align 16 .v4 .b32`."""

    space: str = ""
    type: str = ""
    alignment: int | None = None
    length: int = 1

    @property
    def bytes(self) -> int:
        return type_bytes(self.type) * self.length


def _shape(cursor: Cursor) -> _Shape:
    shape = _Shape()
    points = False
    while cursor.next.kind is Kind.DIRECTIVE:
        token = cursor.take()
        text = _SPACE_NAMES.get(token.text, token.text)
        if text == ".align":
            alignment = _alignment(cursor)
            # Behind `.ptr` it is the alignment of what the pointer points to.
            shape.alignment = shape.alignment if points else alignment
        elif text in SPACES or text == ".reg":
            shape.space = shape.space or text[1:]
        elif is_type(text):
            shape.type = text[1:]
        elif text in _VECTORS:
            shape.length = _VECTORS[text]
        elif text == ".attribute":
            cursor.skip_brackets("(", ")")
        elif text == ".ptr":
            points = True
        else:
            raise cursor.source.error(token.offset, f"`{text}` has no place in a declaration")
    if not shape.type:
        raise cursor.unexpected("a type")
    return shape


def _alignment(cursor: Cursor) -> int:
    token = cursor.next
    value = primary(cursor, "an alignment in bytes")
    if value <= 0 or value & value - 1:
        message = f"an alignment of {value} bytes: it has to be a power of two"
        raise cursor.source.error(token.offset, message, "ptx-alignment")
    return value


def _dimensions(cursor: Cursor) -> list[int | None]:
    """`[4][2]`: sizes, None for `[]`."""
    sizes: list[int | None] = []
    while cursor.accept("["):
        place = cursor.next.offset
        size = None if cursor.at("]") else expression(cursor, "the size of the array")
        cursor.expect("]")
        if (size is None and sizes) or (size is not None and size < 0):
            raise cursor.source.error(place, "only the first size of an array may be left out, and none be negative")
        sizes.append(size)
    return sizes


def variables(cursor: Cursor, linkage: str, rename: Callable[[str], str] = str) -> list[Variable]:
    """Read `.shared .align 4 .b8 a[16], b = 1;` from its space on; raises UserError with the place of what is wrong."""
    shape = _shape(cursor)
    found = [_variable(cursor, shape, linkage, rename)]
    while cursor.accept(","):
        found.append(_variable(cursor, shape, linkage, rename))
    cursor.expect(";")
    return found


def _variable(cursor: Cursor, shape: _Shape, linkage: str, rename: Callable[[str], str]) -> Variable:
    name = cursor.word("the name of a variable")
    sizes = _dimensions(cursor)
    parts = [shape.length] if shape.length > 1 else []
    initial = None
    if cursor.accept("="):
        _check_initialized(cursor, name, math.prod(s or 1 for s in sizes) * shape.bytes)
        initial = Initializer(cursor, shape.type, type_bytes(shape.type))
        initial.read([*sizes, *parts])
    if sizes and sizes[0] is None and initial:
        sizes[0] = -(-initial.count // math.prod([*(s or 0 for s in sizes[1:]), *parts]) or 1)
    known = [size for size in sizes if size is not None]
    elements = math.prod([*known, *parts]) if len(known) == len(sizes) else None
    return Variable(
        rename(name.text),
        shape.space,
        shape.type,
        shape.alignment or shape.bytes,
        elements,
        (elements or 0) * type_bytes(shape.type),
        bytes(initial.data) if initial else None,
        tuple(initial.relocations) if initial else (),
        linkage,
        cursor.source.place(name.offset),
    )


def _check_initialized(cursor: Cursor, name: Token, size: int) -> None:
    if size > MAX_INITIAL_BYTES:
        message = f"`{name.text}` is initialized and has {size} bytes, {MAX_INITIAL_BYTES} allowed"
        raise cursor.source.error(name.offset, message, "ptx-initializer")


def parameters(cursor: Cursor) -> tuple[Parameter, ...]:
    """Read `( .param .u64 a, .reg .b32 b, ... )`."""
    found: list[Parameter] = []
    cursor.expect("(")
    while not cursor.accept(")"):
        shape = _shape(cursor)
        name = cursor.word("the name of a parameter")
        elements = math.prod(size or 0 for size in _dimensions(cursor))
        alignment, is_register = shape.alignment or shape.bytes, shape.space == "reg"
        place = cursor.source.place(name.offset)
        found.append(Parameter(name.text, shape.type, alignment, shape.bytes * elements, is_register, place))
        if not cursor.at(")"):
            cursor.expect(",")
    return tuple(found)
