"""Files that a command writes because it was asked to."""

from __future__ import annotations

from pathlib import Path

import click

from ir.diagnostics import fail


def write_file(file: Path, text: str) -> None:
    """Write it, with the folders above it, and say so on stderr. Raises UserError: unwritable-file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise fail("unwritable-file", f"cannot write {file}: {error.strerror}") from None
    click.echo(f"wrote {file}", err=True)
