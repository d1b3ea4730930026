"""Small pieces of wording that the explanations share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ir.diagnostics import Location
from ir.graph import Op

MAX_NAMES = 8


def plural(count: int, noun: str) -> str:
    """Count and noun.

    >>> plural(1, "stage"), plural(2, "stage")
    ('1 stage', '2 stages')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size_text(amount: int, memory: str) -> str:
    """A size in the unit of its memory.

    >>> size_text(98304, "smem"), size_text(100, "smem"), size_text(128, "tmem")
    ('96 KiB', '100 B', '128 columns')
    """
    if memory != "smem":
        return plural(amount, "column" if memory == "tmem" else "register")
    return f"{amount / 1024:.4g} KiB" if amount >= 1024 else f"{amount} B"


def place(location: Location | None) -> str:
    """File name and line in brackets, nothing where unknown.

    >>> place(Location("kernels/gemm/kernel.py", 12))
    ' (kernel.py:12)'
    """
    if location is None:
        return ""
    name = PurePath(location.file).name
    return f" ({name}:{location.line})" if location.line else f" ({name})"


def op_text(op: Op, cycles: int) -> str:
    """Op, cycles and source line."""
    return f"{op.name} {plural(cycles, 'cycle')}{place(op.location)}"


def names_text(names: Sequence[str]) -> str:
    """Names in a row, cut after a few.

    >>> names_text(["a", "b"]), names_text([str(i) for i in range(10)])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    shown = ", ".join(names[:MAX_NAMES])
    rest = len(names) - MAX_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown
