"""Tables of a schedule for the terminal: coloured on one, plain text elsewhere and with NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from ir.graph import Op
from ir.schedule import Schedule
from twill.explain.steady import utilisations
from twill.explain.words import size_text
from twill.report.text import headline, level_text, negative, tail

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Wide enough that plain text is never folded.
PLAIN_WIDTH = 1000
Column = tuple[str, bool, Callable[[Schedule, Op], str]]

# Title, whether it is a number, and the cell; a column whose cells are all empty is left out.
OP_COLUMNS: tuple[Column, ...] = (
    ("op", False, lambda _s, op: op.name),
    ("opcode", False, lambda _s, op: op.opcode),
    ("unit", False, lambda _s, op: op.unit or ""),
    ("group", True, lambda s, op: str(s.by_op[op.name].group) if s.joint else ""),
    ("stage", True, lambda s, op: str(s.stage(op.name))),
    ("slot", True, lambda s, op: str(s.slot(op.name))),
    ("issues at", True, lambda s, op: str(s.by_op[op.name].time_cycles)),
    ("latency", True, lambda _s, op: str(op.latency_cycles)),
    ("held", True, lambda _s, op: str(op.occupancy_cycles)),
    (
        "source",
        False,
        lambda _s, op: f"{op.location.file.rsplit('/', 1)[-1]}:{op.location.line}" if op.location else "",
    ),
)


def table(schedule: Schedule) -> str:
    """Headline, then tables of ops in issue order, units, warp groups, buffers and proofs; times in modelled cycles."""
    if not schedule.found:
        return negative(schedule)
    text = StringIO()
    console, tables = console_for(text), filter(None, (build(schedule) for build in TABLES))
    for line in headline(schedule):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for item in tables:
        console.print()
        console.print(item)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def wants_colour() -> bool:
    """True where stdout is a terminal and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def console_for(file: StringIO) -> Console:
    """A console that writes to `file`: coloured if stdout is a terminal, else plain and wide."""
    from rich.console import Console

    if wants_colour():
        return Console(file=file, force_terminal=True, width=Console().width)
    return Console(file=file, force_terminal=False, color_system=None, width=PLAIN_WIDTH)


def grid(title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> Table | None:
    """A table of columns (title, whether numbers), without those whose cells are all empty; None without any cell."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = [list(row) for row in rows]
    kept = [i for i in range(len(columns)) if any(line[i] for line in lines)]
    if not kept:
        return None
    style = box.SIMPLE_HEAD if wants_colour() else box.ASCII2
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold cyan", box=style)
    drawn.show_edge, drawn.pad_edge = False, False
    for i in kept:
        drawn.add_column(columns[i][0], justify="right" if columns[i][1] else "left", overflow="fold")
    for line in lines:
        drawn.add_row(*(Text(line[i]) for i in kept))
    return drawn


def _ops(schedule: Schedule) -> Table | None:
    ops = sorted(schedule.graph.ops, key=lambda op: (schedule.by_op[op.name].time_cycles, op.name))
    rows = ([cell(schedule, op) for _, _, cell in OP_COLUMNS] for op in ops)
    return grid("Ops, in issue order (modelled cycles)", [column[:2] for column in OP_COLUMNS], rows)


def _units(schedule: Schedule) -> Table | None:
    columns = [("unit", False), ("count", True), ("busy", True), ("of", True), ("utilisation", True)]
    rows = (
        (u.unit, str(u.count), str(u.busy_cycles), str(u.available_cycles), f"{u.fraction:.1%}")
        for u in utilisations(schedule.graph, schedule.machine, schedule.ii_cycles)
    )
    return grid("Units, per II (modelled cycles)", columns, rows)


def _groups(schedule: Schedule) -> Table | None:
    if not schedule.joint:
        return None
    columns = [("group", True), ("role", False), ("warps", True), ("registers/thread", True), ("ops", True)]
    counts = Counter(p.group for p in schedule.placements)
    rows = (
        (str(g.index), g.role, str(g.warps), str(g.registers_per_thread or ""), str(counts[g.index]))
        for g in schedule.groups
    )
    return grid("Warp groups", columns, rows)


def _buffers(schedule: Schedule) -> Table | None:
    columns = [("buffer", False), ("memory", False), ("depth", True), ("needed", True), ("each", True), ("all", True)]
    rows = (
        (b.op, b.memory, f"{b.depth}", f"{b.needed_depth}", *(size_text(b.size * n, b.memory) for n in (1, b.depth)))
        for b in schedule.buffers
        if b.memory != "registers" or b.depth > 1
    )
    return grid("Buffers", columns, rows)


def _proofs(schedule: Schedule) -> Table | None:
    certificate = schedule.certificate
    rows = [(f"{b.kind} bound", f"II at least {b.ii_cycles}: {b.name}{tail(b.detail)}") for b in certificate.bounds]
    rows += [("rejected", f"no II up to {r.ii_cycles}: {r.method}{tail(r.detail)}") for r in certificate.rejections]
    rows += [("level", level_text(level)) for level in certificate.levels]
    rows += [("assumed", text) for text in certificate.assumptions]
    rows += [("checked", text) for text in certificate.cross_checks]
    return grid("Certificate", [("what", False), ("statement", False)], rows)


TABLES: tuple[Callable[[Schedule], Table | None], ...] = (_ops, _units, _groups, _buffers, _proofs)
