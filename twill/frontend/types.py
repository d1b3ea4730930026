"""Reader of the types that TTIR and TTGIR print, such as `tensor<128x64x!tt.ptr<f16>, #blocked>`."""

from __future__ import annotations

import re

from ir.types import Memory, Type

_DIMENSION = re.compile(r"(\d+)x")
_NAME = re.compile(r"!?[\w.]+")
# What the dialects call an element, and what the project calls it.
_ELEMENTS = {"f8E4M3B11FNUZ": "f8E4M3B11FNUZ", "none": "token", "!ttg.async.token": "token", "!ub.poison": "token"}
_MEMORIES = {"shared_memory": Memory.SHARED, "tensor_memory": Memory.TENSOR, "smem": Memory.SHARED}


def read_type(text: str) -> Type:
    """A type from its text; encodings are dropped, a memory descriptor keeps its memory space.

    >>> str(read_type("tensor<128x64x!tt.ptr<f16>, #blocked>"))
    'tensor<128x64x!ptr<f16>>'
    >>> str(read_type("!tt.tensordesc<tensor<64x128xf16, #shared>>"))
    '!desc<64x128xf16>'
    >>> str(read_type("!ttg.memdesc<2x64x128xf16, #shared, #ttg.shared_memory, mutable>"))
    'tensor<2x64x128xf16, smem>'
    """
    name, body = _split(text.strip())
    if name == "!tt.ptr":
        return _pointer(body)
    if name == "!tt.tensordesc":
        return _descriptor(body)
    if name in ("tensor", "vector"):
        return _tile(body)
    if name == "!ttg.memdesc":
        return _memory_descriptor(body)
    return Type(_ELEMENTS.get(text, text))


def _split(text: str) -> tuple[str, str]:
    name, bracket, rest = text.partition("<")
    return (name, rest[:-1]) if bracket else (text, "")


def _shaped(body: str) -> tuple[tuple[int, ...], str, str]:
    """Shape, element's text, and what follows the first comma outside brackets."""
    shape, position = [], 0
    while found := _DIMENSION.match(body, position):
        shape.append(int(found.group(1)))
        position = found.end()
    depth, end = 0, position
    while end < len(body) and (depth or body[end] != ","):
        depth += (body[end] == "<") - (body[end] == ">")
        end += 1
    return tuple(shape), body[position:end], body[end + 1 :].strip()


def _tile(body: str) -> Type:
    shape, element, _ = _shaped(body)
    inner = read_type(element)
    return Type(inner.element, shape, pointer=inner.pointer)


def _pointer(body: str) -> Type:
    _, pointee, _ = _shaped(body)
    inner = read_type(pointee)
    if inner.pointer:
        return Type("i64", inner.shape, pointer=True)
    return Type(inner.element, inner.shape, pointer=True)


def _descriptor(body: str) -> Type:
    inner = read_type(body) if body.startswith("tensor") else _tile(body)
    return Type(inner.element, inner.shape, descriptor=True)


def _memory_descriptor(body: str) -> Type:
    shape, element, rest = _shaped(body)
    memory = next((m for name, m in _MEMORIES.items() if name in rest), Memory.SHARED)
    return Type(read_type(element).element, shape, memory=memory)
