"""`twill machines`: the machines that ship, and every number of one with its source."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click

from ir.machine import Machine
from ir.serialize import SCHEMA_VERSION, to_text

_NOT_NUMBERS = ("units", "rates", "sources", "spreads", "tables", "name", "architecture", "description")


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(name: str | None, as_json: bool) -> None:
    """List the machines, or show machine NAME (or a machine file) with the source of each number."""
    from backends.machines import load_machine, machine_names

    chosen = [load_machine(n) for n in ([name] if name else machine_names())]
    if as_json:
        documents = [_document(machine) for machine in chosen]
        click.echo(to_text({"schema_version": SCHEMA_VERSION, "machines": documents}), nl=False)
    elif name:
        _show(chosen[0])
    else:
        _list(chosen)


def _numbers(machine: Machine) -> dict[str, Any]:
    """Every number of the machine by the name under which its source is filed."""
    scalars = {f.name: getattr(machine, f.name) for f in fields(machine) if f.name not in _NOT_NUMBERS}
    units = {f"units.{unit}": count for unit, count in machine.units.items()}
    return {**units, **scalars, **{f"rates.{rate}": value for rate, value in machine.rates.items()}}


def _document(machine: Machine) -> dict[str, Any]:
    numbers = {name: {"value": value, "source": machine.sources.get(name)} for name, value in _numbers(machine).items()}
    for name, (low, high) in machine.spreads.items():
        numbers[f"rates.{name}"] |= {"low": low, "high": high}
    return {"name": machine.name, "architecture": machine.architecture, "numbers": numbers}


def _show(machine: Machine) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "value", "source", title=f"{machine.name} ({machine.architecture}): {machine.description}")
    for name, value in _numbers(machine).items():
        table.add_row(name, _format(value) + _spread(machine, name), machine.sources.get(name, ""))
    for name, rows in machine.tables.items():
        table.add_row(f"tables.{name}", f"{len(rows.rows)} rows", machine.sources[f"tables.{name}"])
    Console().print(table)


def _spread(machine: Machine, name: str) -> str:
    low, high = machine.spreads.get(name.removeprefix("rates."), (None, None))
    return "" if low is None else f" ({low:g} to {high:g})"


def _list(machines: list[Machine]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("machine", "architecture", "shared memory", "tensor memory", "warp specialization", "description")
    for machine in machines:
        smem = f"{machine.smem_bytes / 1024:g} KiB" if machine.smem_bytes else "-"
        tmem = f"{machine.tmem_columns} columns" if machine.tmem_columns else "-"
        specialized = "yes" if machine.warp_specialization else "no"
        table.add_row(machine.name, machine.architecture, smem, tmem, specialized, machine.description)
    Console().print(table)


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
