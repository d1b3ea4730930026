"""Options that several commands share: how to find and compile a kernel, how to print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ir.diagnostics import fail

F = TypeVar("F", bound=Callable[..., Any])


def kernel_options(function: F) -> F:
    """Add the options that say which kernel, compiled how, for which machine."""
    options = (
        click.argument("source"),
        click.option("--target", "-t", metavar="MACHINE", help="Machine name or machine file  [default: h100]."),
        click.option("--arg", "-a", "arguments", multiple=True, metavar="NAME=TYPE", help="Argument type: Q=*fp16."),
        click.option("--const", "-c", "constants", multiple=True, metavar="NAME=VALUE", help="Constexpr: BLOCK_M=128."),
        click.option("--config", "config_index", type=int, metavar="N", help="Use the N-th autotune configuration."),
        click.option("--num-warps", type=click.IntRange(min=1), help="Warps of the kernel."),
        click.option("--num-stages", type=click.IntRange(min=1), help="Stages, as Triton's launch option."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def pairs(items: tuple[str, ...], flag: str) -> dict[str, str]:
    """NAME=VALUE items as a dict. Raises UserError for an item of another form or a name given twice."""
    result: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise fail("invalid-option", f"{flag} wants NAME=VALUE, not {item!r}")
        if name in result:
            raise fail("invalid-option", f"{flag} gives {name} twice: {result[name]!r} and {value!r}")
        result[name] = value
    return result


def constant(text: str) -> bool | int | float | str | None:
    """A constexpr as Python would read it: True, None, 128, 1.5, else the text itself (a dtype name, a string)."""
    named: dict[str, bool | None] = {"True": True, "False": False, "true": True, "false": False, "None": None}
    if text in named:
        return named[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
