"""Pin files: an expert's groups, stages and order, to be completed or refuted by a solver.

A TOML file. Op patterns are op names in which `*` stands for any text; each pattern must match an op::

    schema_version = 1
    name = "FlashAttention-3"
    ii_cycles = 2048                                  # optional
    groups = { load = ["k", "v"], consumer0 = ["*[0]"] }
    stages = { 0 = ["qk*"], 1 = ["pv*"] }
    order = [{ ops = ["pv[0]", "qk[0] + 1"], cyclic = true }]

In an order, `qk[0] + 1` is the op of the following iteration.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from ir.graph import DependenceGraph
from twill.problem.problem import OrderPin, Pins

_KEYS = ("schema_version", "name", "ii_cycles", "groups", "stages", "order")
_SHIFT = re.compile(r"^(?P<op>.*?)(?:\s*\+\s*(?P<iterations>\d+))?$")


def load_pins(path: Path, graph: DependenceGraph) -> Pins:
    """Read a pin file for `graph`. Raises UserError for unknown keys, ops that do not exist, and clashing pins."""
    document = _read(path)
    _known_keys(document, path)
    return Pins(
        name=str(document.get("name", path.stem)),
        groups=_assign(document.get("groups", {}), graph, path, "groups"),
        stages={
            op: _stage(label, path) for op, label in _assign(document.get("stages", {}), graph, path, "stages").items()
        },
        orders=_orders(document.get("order", []), graph, path),
        ii_cycles=_interval(document.get("ii_cycles"), path),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fail("unreadable-file", f"cannot read: {error.strerror}", Location(str(path))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise fail("invalid-pins", f"not a pin file: {error}", Location(str(path))) from None


def _known_keys(document: Mapping[str, Any], path: Path) -> None:
    for key in document:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            remedy = f"the nearest known key is {near[0]!r}" if near else f"known keys: {', '.join(_KEYS)}"
            raise fail("unknown-key", f"unknown key {key!r}", _line_of(path, key), remedy)


def _assign(table: Any, graph: DependenceGraph, path: Path, key: str) -> dict[str, str]:
    """Op -> label, for a table label -> patterns."""
    if not isinstance(table, Mapping):
        raise fail("invalid-pins", f"{key} must be a table of lists of ops", _line_of(path, key))
    pinned: dict[str, str] = {}
    for label, patterns in table.items():
        for op in _all_matches(patterns, graph, path):
            if pinned.setdefault(op, label) != label:
                message = f"op {op!r} is pinned twice in {key}: {pinned[op]!r} and {label!r}"
                raise fail("contradicting-pins", message, _line_of(path, key))
    return pinned


def _all_matches(patterns: Any, graph: DependenceGraph, path: Path) -> Iterator[str]:
    if not isinstance(patterns, str | list):
        raise fail("invalid-pins", f"expected a list of ops, not {patterns!r}", Location(str(path)))
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        yield from _matches(str(pattern), graph, path)


def _matches(pattern: str, graph: DependenceGraph, path: Path) -> list[str]:
    expression = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    found = [op.name for op in graph.ops if expression.fullmatch(op.name)]
    if found:
        return found
    near = get_close_matches(pattern, list(graph.by_name), n=3, cutoff=0.3)
    remedy = f"nearest ops: {', '.join(near)}" if near else f"the loop has {len(graph.ops)} ops"
    raise fail("unknown-op", f"no op of the loop matches {pattern!r}", _line_of(path, pattern), remedy)


def _stage(label: str, path: Path) -> int:
    if label.isdecimal():
        return int(label)
    raise fail("invalid-pins", f"a stage is a whole number, not {label!r}", _line_of(path, label))


def _interval(value: Any, path: Path) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise fail("invalid-pins", f"ii_cycles is a positive number of cycles, not {value!r}", _line_of(path, "ii_cycles"))


def _orders(entries: Any, graph: DependenceGraph, path: Path) -> tuple[OrderPin, ...]:
    if isinstance(entries, list) and all(isinstance(e, Mapping) and isinstance(e.get("ops"), list) for e in entries):
        return tuple(_order(entry, graph, path) for entry in entries)
    raise fail("invalid-pins", "order must be a list of tables with `ops`", _line_of(path, "order"))


def _order(entry: Mapping[str, Any], graph: DependenceGraph, path: Path) -> OrderPin:
    pinned = [_entry(str(op), graph, path) for op in entry["ops"]]
    return OrderPin(tuple(pinned), bool(entry.get("cyclic", True)))


def _entry(text: str, graph: DependenceGraph, path: Path) -> tuple[str, int]:
    match = _SHIFT.match(text)
    assert match is not None  # every text matches
    ops = _matches(match["op"], graph, path)
    if len(ops) == 1:
        return ops[0], int(match["iterations"] or 0)
    message = f"{text!r} in an order must name one op, it matches {', '.join(ops)}"
    raise fail("invalid-pins", message, _line_of(path, text))


def _line_of(path: Path, text: str) -> Location:
    """The first line of the file that holds `text`."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if text in line:
            return Location(str(path), number, line.index(text) + 1)
    return Location(str(path))
