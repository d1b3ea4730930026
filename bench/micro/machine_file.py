"""Writes a machine file: an existing one, with the values that were measured and doubts on the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.machines import load_machine
from backends.machines.loader import FOLDER
from bench.micro.measure import Measurement
from ir.diagnostics import fail

_ENTRY = re.compile(r"^(?P<name>\w+) = \{ value = (?P<value>[^,}]+),(?P<spread>.*?) source = \"(?P<source>.*)\" \}$")
_HEADER = re.compile(r"^\[(?P<table>[\w.]+)\]$")
_ASSUMED = "assumed: "
# Digits that a measurement is good for.
_DIGITS = 5


def write_machine(
    base: str, found: Sequence[Measurement], where: str, name: str, path: Path, facts: Mapping[str, float]
) -> None:
    """Write the file `path` of a machine `name`, and read it back to check it.

    base: name or path of the machine file that it starts from. found: measurements, those that failed left out. where:
    what they were made on. facts: further rates that the device itself states, such as `sm_count`. Rates of another
    machine that were not measured are marked as assumed. Raises UserError.
    """
    file = Path(base) if base.endswith(".toml") else FOLDER / f"{base}.toml"
    if not file.is_file():
        raise fail("missing-file", f"there is no machine file {file}")
    measured = {
        m.parameter: (_rounded(m.value), f"measured by bench.micro on {where}: {m.probe}")
        for m in found
        if m.value is not None
    }
    stated = {fact: (value, f"stated by {where}") for fact, value in facts.items()}
    text = _rewritten(file.read_text(encoding="utf-8"), {**stated, **measured}, name, where, file.stem)
    path.write_text(text, encoding="utf-8")
    load_machine(path)


def _rounded(value: float) -> float:
    """To the digits that a measurement is good for; whole where it is whole.

    >>> _rounded(127.99999), _rounded(0.123456789)
    (128, 0.12346)
    """
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() else short


def _rewritten(text: str, values: Mapping[str, tuple[float, str]], name: str, where: str, base: str) -> str:
    lines, table, left = [], "", dict(values)
    for line in text.splitlines():
        if header := _HEADER.match(line):
            lines += _appended(left) if table == "rates" else []
            table = header["table"]
        lines.append(_entry(line, left, doubted=name != base, base=base) if table == "rates" else line)
    lines += _appended(left) if table == "rates" else []
    heads = {"name": name, "description": where}
    return "\n".join(_head(line, heads) for line in lines) + "\n"


def _entry(line: str, left: dict[str, tuple[float, str]], doubted: bool, base: str) -> str:
    """A line of [rates]: measured, or as it was. What was measured goes out of `left`."""
    entry = _ENTRY.match(line)
    if entry is None:
        return line
    if entry["name"] in left:
        value, source = left.pop(entry["name"])
        return _line(entry["name"], value, source)
    if not doubted or entry["source"].startswith(_ASSUMED):
        return line
    return line.replace(f'source = "{entry["source"]}"', f'source = "{_ASSUMED}as on {base}: {entry["source"]}"')


def _appended(left: dict[str, tuple[float, str]]) -> list[str]:
    lines = [_line(name, value, source) for name, (value, source) in left.items()]
    left.clear()
    return lines


def _line(name: str, value: float, source: str) -> str:
    escaped = source.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name} = {{ value = {value}, source = "{escaped}" }}'


def _head(line: str, heads: Mapping[str, str]) -> str:
    key = line.split(" = ")[0]
    return f'{key} = "{heads[key]}"' if key in heads else line
