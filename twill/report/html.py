"""The HTML report: one file with charts, proof, explanation and source, and nothing to load from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ir.graph import Op
from ir.schedule import Schedule, Status
from twill.explain.explain import Explanation, explain
from twill.explain.steady import footprints, utilisations
from twill.explain.words import plural, size_text
from twill.report.page.graph_chart import graph_chart
from twill.report.page.iteration_chart import iteration_chart
from twill.report.page.profile_chart import storage_chart, unit_chart
from twill.report.page.source import excerpts
from twill.report.page.steady_chart import steady_chart
from twill.report.page.template import page_template
from twill.report.page.tile import Tile
from twill.report.palette import NO_UNIT, colour_of, unit_colours
from twill.report.text import MEANING, level_text

BADGES = {Status.OPTIMAL: "good", Status.FEASIBLE: "fair", Status.INFEASIBLE: "bad", Status.TIMEOUT: "fair"}


def html(schedule: Schedule) -> str:
    """The page. Every number from the machine model is called modelled on it; it renders with no network."""
    from markupsafe import Markup

    explanation = explain(schedule)
    charts = {name: Markup(svg) for name, svg in _charts(schedule, explanation).items()}
    page = page_template("report.html.jinja").render(
        schedule=schedule,
        title=schedule.graph.name,
        badge=BADGES[schedule.status],
        meaning=MEANING[schedule.status],
        tiles=list(_tiles(schedule)),
        charts=charts,
        explanation=explanation,
        levels=[(level, level_text(level)) for level in schedule.certificate.levels],
        legend=_legend(schedule),
        stages=min(schedule.stages, 4) if schedule.found else 0,
        buffers=_buffers(schedule),
        excerpts=excerpts(schedule),
        colour=lambda name: colour_of(schedule.machine, schedule.graph.by_name[name].unit),
        ops=_op_rows(schedule),
        details=Markup(_details(schedule)),
    )
    return page if page.endswith("\n") else f"{page}\n"


def _charts(schedule: Schedule, explanation: Explanation) -> dict[str, str]:
    charts = {"graph": graph_chart(schedule)}
    if schedule.found:
        chain = frozenset(link.op for link in explanation.length.chain) if explanation.length else frozenset[str]()
        charts["steady"] = steady_chart(schedule)
        charts["iteration"] = iteration_chart(schedule, chain)
        charts["units"] = unit_chart(schedule)
        charts["storage"] = storage_chart(schedule)
    return {name: svg for name, svg in charts.items() if svg}


def _tiles(schedule: Schedule) -> Iterator[Tile]:
    if not schedule.found:
        yield Tile("II at least", f"{schedule.lower_bound_cycles:,}", "modelled cycles, proven")
        yield Tile("Ops", str(len(schedule.graph.ops)), plural(len(schedule.graph.edges), "dependence"))
        return
    gap = schedule.gap or 0.0
    proof = "meets the lower bound" if not gap else f"bound {schedule.lower_bound_cycles:,}, gap {gap:.1%}"
    yield Tile("Initiation interval", f"{schedule.ii_cycles:,}", f"modelled cycles; {proof}")
    yield Tile("One iteration", f"{schedule.length_cycles:,}", "modelled cycles from first issue to last end")
    yield Tile("Stages", str(schedule.stages), f"{plural(schedule.stages, 'iteration')} overlap")
    if schedule.joint:
        warps = sum(group.warps for group in schedule.groups)
        groups = len({p.group for p in schedule.placements})
        yield Tile("Warp groups", str(groups), plural(warps, "warp"))
    busiest = utilisations(schedule.graph, schedule.machine, schedule.ii_cycles)
    if busiest:
        yield Tile("Busiest unit", f"{busiest[0].fraction:.0%}", f"{busiest[0].unit}, modelled utilisation")


def _legend(schedule: Schedule) -> list[tuple[str, str]]:
    used = {op.unit for op in schedule.graph.ops}
    named = [(unit, colour) for unit, colour in unit_colours(schedule.machine).items() if unit in used]
    return [*named, *([("no unit", NO_UNIT)] if None in used else [])]


def _buffers(schedule: Schedule) -> list[dict[str, Any]]:
    return [
        {
            "op": b.op, "memory": b.memory, "depth": b.depth, "needed": b.needed_depth, "live": f"{b.live_cycles:,}",
            "each": size_text(b.size, b.memory), "all": size_text(b.size * b.depth, b.memory),
        }
        for b in schedule.buffers
        if b.memory != "registers" or b.depth > 1
    ]  # fmt: skip


def _op_rows(schedule: Schedule) -> list[dict[str, Any]]:
    rows = []
    for op in schedule.graph.ops:
        placed = schedule.by_op.get(op.name)
        rows.append(
            {
                "op": op, "time": placed.time_cycles if placed else None, "group": placed.group if placed else None,
                "stage": schedule.stage(op.name) if placed else None,
                "slot": schedule.slot(op.name) if placed else None, "place": _place(op),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row["time"] or 0, schedule.graph.index[row["op"].name]))


def _place(op: Op) -> str:
    return f"{op.location.file.rsplit('/', 1)[-1]}:{op.location.line}" if op.location else ""


def _details(schedule: Schedule) -> str:
    """What the page shows when an op is pointed at, as JSON that is safe inside a script element."""
    details = {op.name: list(_detail(schedule, op)) for op in schedule.graph.ops}
    return json.dumps(details, ensure_ascii=False).replace("<", "\\u003c")


def _detail(schedule: Schedule, op: Op) -> Iterator[tuple[str, str]]:
    if op.opcode or op.detail:
        yield "", " · ".join(part for part in (op.opcode, op.detail) if part)
    yield "unit", f"{op.unit or 'none'}, held {plural(op.occupancy_cycles, 'cycle')}"
    yield "latency", plural(op.latency_cycles, "cycle") + (", known at run time" if op.variable_latency else "")
    placed = schedule.by_op.get(op.name)
    if placed:
        yield "issues at", f"{placed.time_cycles:,} = stage {schedule.stage(op.name)}, slot {schedule.slot(op.name):,}"
        if schedule.joint:
            yield "warp group", str(placed.group)
    for memory, size in footprints(op):
        yield memory, size_text(size, memory) + (" a thread" if memory == "registers" else "")
    if op.location:
        yield "source", _place(op)
