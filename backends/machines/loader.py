"""Machine files: read by name or by path, checked key by key, every fault with its line.

A file has `name`, `architecture`, `description` and three tables, whose entries are `{ value = ..., source = "..." }`:
`[units]` (instances of each functional unit), `[limits]` (fields of `ir.machine.Machine`) and `[rates]` (anything that
costs are computed from; the names carry the units). Where studies differ, an entry also has `low` and `high`.
`[tables.NAME]`, which a file may leave out, holds `columns` and `rows`, or says `like = "MACHINE"`, and has a source.
"""

from __future__ import annotations

import difflib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, UserError, fail
from ir.document import Document, TableReader
from ir.machine import Machine, RateTable

FOLDER = Path(__file__).parent
_OTHER = ("name", "units", "architecture", "rates", "sources", "spreads", "tables", "description")
LIMITS = tuple(field.name for field in fields(Machine) if field.name not in _OTHER)
_OPTIONAL = ("tmem_columns",)
_FLAGS = ("warp_specialization",)


def machine_names() -> tuple[str, ...]:
    """Names of the machines that ship, sorted.

    >>> "h100" in machine_names()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_machine(name_or_path: str | Path) -> Machine:
    """The machine of that name, or of a machine file (anything that ends in .toml).

    Raises UserError: `unknown-machine` with the nearest names, or the faults of the file with their lines.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        return _read(Path(text))
    if text not in machine_names():
        raise _unknown(text)
    return _shipped(text)


def rate(machine: Machine, name: str, location: Location | None = None) -> float:
    """One number of `machine.rates`. Raises UserError `missing-rate` where the machine does not state it."""
    if name not in machine.rates:
        message = f"machine {machine.name} ({machine.architecture}) states no rate `{name}`"
        raise fail("missing-rate", message, location, f"add `{name}` to [rates] of its machine file")
    return machine.rates[name]


def rate_table(machine: Machine, name: str) -> RateTable:
    """One of `machine.tables`. Raises UserError `missing-table` where the machine does not state it."""
    if name not in machine.tables:
        message = f"machine {machine.name} ({machine.architecture}) states no table `{name}`"
        remedy = f'add [tables.{name}] to its machine file, of its own or with like = "a6000"'
        raise fail("missing-table", message, remedy=remedy)
    return machine.tables[name]


def _unknown(name: str) -> UserError:
    near = difflib.get_close_matches(name.lower(), machine_names(), n=2, cutoff=0.4)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    remedy = f"{guess}machines: {', '.join(machine_names())}, or the path of a .toml file"
    return fail("unknown-machine", f"no machine {name!r}", remedy=remedy)


@cache
def _shipped(name: str) -> Machine:
    return _read(FOLDER / f"{name}.toml")


def _read(path: Path) -> Machine:
    document = Document.read(path)
    root = document.root()
    sources: dict[str, str] = {}
    units = _numbers(root.table("units"), "units.", sources)
    limits = _limits(root.table("limits"), sources)
    spreads: dict[str, tuple[float, float]] = {}
    rates = _numbers(root.table("rates"), "rates.", sources, spreads)
    tables = _tables(root.table("tables"), sources)
    texts: dict[str, Any] = {key: root.text(key) for key in ("name", "architecture", "description")}
    _check_units(root, units)
    document.finish()
    return Machine(**texts, units=units, rates=rates, sources=sources, spreads=spreads, tables=tables, **limits)


def _numbers(
    table: TableReader, prefix: str, sources: dict[str, str], spreads: dict[str, tuple[float, float]] | None = None
) -> dict[str, Any]:
    """Every entry of a table whose keys are free; `spreads` takes (low, high) of those that have them."""
    found = {}
    for name in table.data:
        table.has(name)
        found[name] = _entry(table, name, prefix, sources, spreads)
    return found


def _spread(entry: TableReader, name: str) -> tuple[float, float]:
    """(low, high); a fault where one is missing or the value lies outside."""
    low, value, high = entry.number("low"), entry.number("value"), entry.number("high")
    if low is None or high is None or value is None or not low <= value <= high:
        entry.fault("bad-value", f"`{name}` must have low <= value <= high, and has {low}, {value}, {high}", "value")
        return 0.0, 0.0
    return float(low), float(high)


def _tables(table: TableReader, sources: dict[str, str]) -> dict[str, RateTable]:
    found = {}
    for name in table.data:
        entry = table.table(name)
        sources[f"tables.{name}"] = entry.text("source")
        found[name] = _borrowed(entry, name) if entry.has("like") else _table(entry, name)
    return found


def _borrowed(entry: TableReader, name: str) -> RateTable:
    """The table of that name of the machine that `like` names."""
    like = entry.text("like", options=machine_names())
    if like not in machine_names():
        return RateTable((), ())
    return rate_table(_shipped(like), name)


def _table(entry: TableReader, name: str) -> RateTable:
    columns = entry.texts("columns")
    entry.known.add("rows")
    rows = entry.data.get("rows")
    right = isinstance(rows, list) and all(isinstance(row, list) and len(row) == len(columns) for row in rows)
    if not right:
        entry.fault("bad-value", f"`{name}` must have `rows` of {len(columns)} cells each", "rows")
    return RateTable(columns, tuple(tuple(row) for row in rows or ()) if right else ())


def _limits(table: TableReader, sources: dict[str, str]) -> dict[str, Any]:
    needed = [name for name in LIMITS if name not in _OPTIONAL or table.has(name)]
    return {name: _entry(table, name, "", sources) for name in needed}


def _entry(
    table: TableReader,
    name: str,
    prefix: str,
    sources: dict[str, str],
    spreads: dict[str, tuple[float, float]] | None = None,
) -> Any:
    """The value of `name = { value = ..., source = ... }`; a fault where a part is missing or of the wrong type."""
    if not table.has(name):
        remedy = f'add {name} = {{ value = ..., source = "..." }}'
        table.fault("missing-key", f"`{name}` is missing in [{table.prefix}]", name, remedy)
        return 0
    if not isinstance(table.data[name], dict):
        remedy = f'write {name} = {{ value = {table.data[name]!r}, source = "..." }}'
        table.fault("missing-source", f"`{name}` has no source", name, remedy)
        return 0
    entry = table.table(name)
    sources[prefix + name] = entry.text("source")
    if spreads is not None and (entry.has("low") | entry.has("high")):
        spreads[name] = _spread(entry, name)
    return _value(entry, name, integral=prefix != "rates.")


def _value(entry: TableReader, name: str, integral: bool) -> Any:
    value = entry.data.get("value")
    if not entry.has("value"):
        entry.fault("missing-key", f"`value` is missing in {entry.prefix}", "value")
    elif name in _FLAGS and not isinstance(value, bool):
        entry.fault("bad-type", f"`{name}` must be true or false, and is {value!r}", "value")
    elif name not in _FLAGS and not _is_number(value, integral):
        kind = "an integer" if integral else "a number"
        entry.fault("bad-value", f"`{name}` must be {kind} of at least 0, and is {value!r}", "value")
    return value


def _is_number(value: object, integral: bool) -> bool:
    kinds = int if integral else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and value >= 0


def _check_units(root: TableReader, units: dict[str, Any]) -> None:
    if not units:
        root.fault("missing-key", "the machine has no functional units", "units")
    for name, count in units.items():
        if isinstance(count, int) and count < 1:
            root.fault("bad-value", f"unit `{name}` has {count} instances and must have at least 1", f"units.{name}")
