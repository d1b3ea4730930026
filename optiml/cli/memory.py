"""`optiml memory`: what earlier runs learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir.diagnostics import ExitCode

if TYPE_CHECKING:
    from optiml.memory.file import MemoryFile
    from optiml.memory.record import Record

SCHEMA_VERSION = 1


@click.group(no_args_is_help=True)
def command() -> None:
    """List, export or clear what earlier runs learnt: verified edits, and what each did to the time and the limiter.

    The memory is one file: OPTIML_MEMORY_FILE, else optiml/memory.sqlite in XDG_DATA_HOME or ~/.local/share. Runs add
    to it when they end and are offered what bears on their kernel; `optiml optimize --no-memory` does neither. The same
    question (task, settings, seed) is offered the same records again, until the memory is cleared.
    """


@command.command("list")
@click.option("--task", default="", metavar="NAME", help="Only records of tasks of this name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_records(task: str, as_json: bool) -> int:
    """Show the records, in the order in which they were learnt."""
    from optiml.memory.words import record_text

    file = _file()
    records = [r for r in file.records() if task in ("", r.name)]
    if as_json:
        click.echo(json.dumps(_document(file, records), indent=2, sort_keys=True))
    else:
        click.echo("\n".join([f"{file.path}: {len(records)} records", *map(record_text, records)]))
    return ExitCode.SUCCESS


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path))
def export(file: Path) -> int:
    """Write all records to FILE as JSON, with their diffs and the features of their kernels."""
    from ir.diagnostics import fail

    memory = _file()
    records = list(memory.records())
    try:
        file.write_text(json.dumps(_document(memory, records), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise fail("unwritable-file", f"cannot write {file}: {error.strerror}") from None
    click.echo(f"wrote {len(records)} records to {file}", err=True)
    return ExitCode.SUCCESS


@command.command("clear")
def clear() -> int:
    """Forget everything, a broken file as well."""
    file = _file()
    click.echo(f"{file.path}: {file.clear()} records forgotten")
    return ExitCode.SUCCESS


def _file() -> MemoryFile:
    from optiml.memory.file import MemoryFile, memory_path

    return MemoryFile(memory_path())


def _document(file: MemoryFile, records: list[Record]) -> dict[str, Any]:
    from optiml.memory.record import record_document

    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(file.path),
        "records": [record_document(r) for r in records],
    }
