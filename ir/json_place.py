"""Find the line and column of a value inside JSON text, so that a diagnostic can point at it."""

from __future__ import annotations

from collections.abc import Sequence
from json import JSONDecoder

_DECODER = JSONDecoder()
_SPACE = " \t\n\r"


def locate(text: str, path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column (from 1) of the deepest part of `path` that exists in the valid JSON document `text`.

    >>> locate('{"ops": [{"name": 1}]}', ["ops", 0, "name"])
    (1, 19)
    """
    position = _skip(text, 0)
    for key in path:
        found = _enter(text, position, key)
        if found is None:
            break
        position = found
    line = text.count("\n", 0, position) + 1
    return line, position - (text.rfind("\n", 0, position) + 1) + 1


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _enter(text: str, position: int, key: str | int) -> int | None:
    opening = text[position]
    if opening == "{" and isinstance(key, str):
        return _member(text, position, key)
    if opening == "[" and isinstance(key, int):
        return _item(text, position, key)
    return None


def _member(text: str, position: int, key: str) -> int | None:
    position = _skip(text, position + 1)
    while text[position] == '"':
        name, position = _DECODER.raw_decode(text, position)
        position = _skip(text, _skip(text, position) + 1)
        if name == key:
            return position
        position = _next(text, position)
    return None


def _item(text: str, position: int, index: int) -> int | None:
    position = _skip(text, position + 1)
    while text[position] != "]":
        if index == 0:
            return position
        index -= 1
        position = _next(text, position)
    return None


def _next(text: str, position: int) -> int:
    """Position after the value at `position` and the comma behind it."""
    _value, position = _DECODER.raw_decode(text, position)
    position = _skip(text, position)
    return _skip(text, position + 1) if text[position] == "," else position
