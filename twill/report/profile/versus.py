"""Two modelled launches for the terminal: which is faster, whether that can be told, and why."""

from __future__ import annotations

from io import StringIO

from backends.model.report.compare import Comparison
from twill.report.profile.text import headline
from twill.report.table import console_for, grid


def comparison_text(found: Comparison) -> str:
    """Headlines of both, the verdict, reasons, and a table of what changed."""
    text = StringIO()
    console = console_for(text)
    reasons = [f"* {reason}" for reason in found.reasons]
    heads = [headline(r.modelled) for r in (found.first, found.second)]
    for line in (*heads, verdict(found), *reasons, ""):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    names = [(r.modelled.kernel, True) for r in (found.first, found.second)]
    rows = [
        (c.name, f"{c.first:.6g}", f"{c.second:.6g}", c.unit, "" if c.ratio is None else f"{c.ratio:.3g}")
        for c in found.changes
    ]
    table = grid("What changed (modelled)", [("", False), *names, ("unit", False), ("ratio", True)], rows)
    if table is not None:
        console.print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def verdict(found: Comparison) -> str:
    """Who is faster by what factor, or that this cannot be told."""
    value, low, high = found.ratio.value, found.ratio.low, found.ratio.high
    if value < 1.0:
        value, low, high = 1 / value, 1 / high, 1 / low
    factor = f"{value:.3g} times ({low:.3g} to {high:.3g} over the spread of the machine's parameters, common to both)"
    if found.is_distinguishable is None:
        return f"{found.faster.modelled.kernel} is modelled {value:.3g} times as fast; no interval was asked for"
    if not found.is_distinguishable:
        return f"not distinguishable: {found.faster.modelled.kernel} is modelled faster by {factor}"
    return f"{found.faster.modelled.kernel} is faster, by {factor}"
