"""Defaults from twill.toml or [tool.twill] of pyproject.toml in the working directory."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail


def read_defaults(folder: Path | None = None) -> dict[str, Any]:
    """Defaults by command and option, as click wants them. Raises UserError for an unknown key, with its line.

    The file has a table for each command, with options as on the command line: `[schedule]`, `time-limit = 30`.
    """
    folder = folder or Path()
    for path, keys in ((folder / "twill.toml", ()), (folder / "pyproject.toml", ("tool", "twill"))):
        table = _table(path, keys) if path.is_file() else None
        if table is not None:
            return {command: _options(command, options, path) for command, options in table.items()}
    return {}


def _table(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise fail("invalid-config", f"not TOML: {error}", Location(str(path))) from None
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None


def _options(command: str, options: Any, path: Path) -> dict[str, Any]:
    from twill.cli.main import COMMANDS

    if command not in COMMANDS or not isinstance(options, dict):
        raise _unknown(path, command, list(COMMANDS))
    parameters = import_module(f"twill.cli.{COMMANDS[command][0]}").command.params
    known = {name.lstrip("-"): p.name for p in parameters for name in p.opts if name.startswith("--")}
    for key in options:
        if key not in known:
            raise _unknown(path, key, list(known))
    return {known[key]: value for key, value in options.items()}


def _unknown(path: Path, key: str, known: list[str]) -> Exception:
    near = get_close_matches(key, known, n=1)
    remedy = f"the nearest known key is {near[0]!r}" if near else f"known keys: {', '.join(known)}"
    return fail("unknown-key", f"unknown key {key!r}", _place(path, key), remedy)


def _place(path: Path, key: str) -> Location:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip().lstrip("[").startswith(key):
            return Location(str(path), number, line.index(key) + 1)
    return Location(str(path))
