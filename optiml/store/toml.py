"""TOML out of plain values: what a task file needs, which the standard library reads but does not write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any


def toml_text(data: Mapping[str, Any]) -> str:
    """A document of strings, numbers, booleans, lists and tables.

    >>> print(toml_text({"name": "f", "launch": {"grid": ["N"]}, "argument": [{"name": "x"}]}), end="")
    name = "f"
    <BLANKLINE>
    [launch]
    grid = ["N"]
    <BLANKLINE>
    [[argument]]
    name = "x"
    """
    return "\n".join(_lines(data, "")).strip("\n") + "\n"


def _lines(table: Mapping[str, Any], prefix: str) -> Iterator[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping) and not _is_tables(v)}
    yield from (f"{_key(name)} = {_value(value)}" for name, value in plain.items())
    for name, value in table.items():
        path = f"{prefix}{_key(name)}"
        if isinstance(value, Mapping):
            yield from ("", f"[{path}]")
            yield from _lines(value, f"{path}.")
        elif _is_tables(value):
            for each in value:
                yield from ("", f"[[{path}]]")
                yield from _lines(each, f"{path}.")


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
    return repr(value)
