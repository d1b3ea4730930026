"""`twill schema`: the JSON Schema of graph and schedule documents."""

from __future__ import annotations

import click

from ir.serialize import json_schema, to_text


@click.command()
def command() -> None:
    """Print the JSON Schema (draft 2020-12) of graph and schedule documents."""
    click.echo(to_text(json_schema()), nl=False)
