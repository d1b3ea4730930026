"""SVG of the dependence graph: boxes coloured by unit, edges down the page, loop-carried ones at the side."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ir.graph import Edge, Op
from ir.schedule import Schedule
from twill.report.page.layout import Layout, layered
from twill.report.page.svg import CHARACTER, WIDTH, picture, tag, text
from twill.report.palette import colour_of

BOX_HEIGHT, ROW, TOP, SIDE = 38.0, 74.0, 16.0, 40.0


def graph_chart(schedule: Schedule) -> str:
    """The drawing; edges of distance 0 run down, others are dashed curves labelled with their distance."""
    graph = schedule.graph
    widths = {op.name: _box_width(schedule, op) for op in graph.ops}
    straight = [e for e in graph.edges if e.distance == 0 and e.source != e.target]
    layout = layered(widths, [(e.source, e.target) for e in straight])
    width = max(WIDTH, layout.width + 2 * SIDE + 30)
    left = (width - layout.width) / 2
    parts = [_arrowheads()]
    parts += [_straight(layout, edge, left) for edge in straight]
    parts += [_carried(layout, edge, left, widths) for edge in graph.edges if edge not in straight]
    parts += [part for op in graph.ops for part in _box(schedule, layout, op, left, widths[op.name])]
    height = TOP * 2 + ROW * (layout.layers - 1) + BOX_HEIGHT
    return picture(
        height, parts, "Dependence graph", width, class_="chart graph", style=f"min-width:{width * 0.7:.0f}px"
    )


def _box_width(schedule: Schedule, op: Op) -> float:
    longest = max(len(op.name) * 1.08, len(_detail(schedule, op)) * 0.86)
    return max(64.0, longest * CHARACTER + 22)


def _detail(schedule: Schedule, op: Op) -> str:
    if not schedule.found:
        return f"{op.unit or '-'} · {op.latency_cycles}"
    group = f"g{schedule.by_op[op.name].group} · " if schedule.joint else ""
    return f"{group}s{schedule.stage(op.name)} · {schedule.by_op[op.name].time_cycles:,}"


def _y(layer: int) -> float:
    return TOP + ROW * layer


def _box(schedule: Schedule, layout: Layout, op: Op, left: float, width: float) -> Iterator[str]:
    x, y = left + layout.x[op.name] - width / 2, _y(layout.layer[op.name])
    colour = colour_of(schedule.machine, op.unit)
    shapes = [
        tag("rect", x=x, y=y, width=width, height=BOX_HEIGHT, rx=6, class_="node", style=f"--c:{colour}"),
        tag("rect", x=x, y=y + 5, width=4, height=BOX_HEIGHT - 10, rx=2, fill=colour),
        text(x + 12, y + 16, op.name, "nodetext"),
        text(x + 12, y + 30, _detail(schedule, op), "detail"),
    ]
    yield tag("g", "".join(shapes), data_op=op.name, class_="op")


def _class(edge: Edge) -> str:
    names = ["edge", edge.kind]
    names += ["blocking"] if edge.blocking else []
    names += ["assumed"] if edge.assumed else []
    return " ".join(names)


def _head(edge: Edge) -> str:
    return "url(#arrow-assumed)" if edge.assumed else "url(#arrow-carried)" if edge.distance else "url(#arrow)"


def _straight(layout: Layout, edge: Edge, left: float) -> str:
    points = [(left + x, _y(row)) for x, row in layout.routes[edge.source, edge.target]]
    (x, y), rest = points[0], points[1:]
    path, y = [f"M{x:.1f} {y + BOX_HEIGHT:.1f}"], y + BOX_HEIGHT
    for number, (to_x, to_y) in enumerate(rest):
        end = to_y - 4 if number == len(rest) - 1 else to_y
        bend = (end - y) * 0.45
        path.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {end - bend:.1f} {to_x:.1f} {end:.1f}")
        x, y = to_x, end
        if number < len(rest) - 1:
            path.append(f"L{x:.1f} {y + BOX_HEIGHT:.1f}")
            y += BOX_HEIGHT
    return _path(edge, "".join(path))


def _carried(layout: Layout, edge: Edge, left: float, widths: dict[str, float]) -> str:
    """A curve beside the boxes, from the source up or down to the target, on the side with less in the way."""
    own = edge.source == edge.target
    y1, y2 = (_y(layout.layer[name]) + BOX_HEIGHT / 2 for name in (edge.source, edge.target))
    reach = 22 if own else 34 + 0.06 * abs(y2 - y1)
    side = min((1, -1), key=lambda s: _in_the_way(layout, edge, widths, s, reach))
    x1, x2 = (left + layout.x[name] + side * widths[name] / 2 for name in (edge.source, edge.target))
    if own:
        y1, y2 = y1 - 9, y2 + 9
    bulge = (max(x1, x2) if side > 0 else min(x1, x2)) + side * reach
    path = f"M{x1:.1f} {y1:.1f}C{bulge:.1f} {y1:.1f} {bulge:.1f} {y2:.1f} {x2 + 4 * side:.1f} {y2:.1f}"
    middle = (x1 + 6 * bulge + x2) / 8 + 4 * side
    anchor = "start" if side > 0 else "end"
    label = text(middle, (y1 + y2) / 2 + 4, str(edge.distance), "tick strong", text_anchor=anchor)
    return _path(edge, path, "carried") + label


def _in_the_way(layout: Layout, edge: Edge, widths: dict[str, float], side: int, reach: float) -> float:
    """Pixels of other boxes between the ends of an edge and the bulge of its curve, left (-1) or right (1) of them."""
    ends = (edge.source, edge.target)
    rows = sorted(layout.layer[end] for end in ends)
    inner = min(side * layout.x[end] + widths[end] / 2 for end in ends)
    outer = max(side * layout.x[end] + widths[end] / 2 for end in ends) + reach
    spans = (
        (side * x - widths[name] / 2, side * x + widths[name] / 2)
        for name, x in layout.x.items()
        if name not in ends and rows[0] <= layout.layer[name] <= rows[1]
    )
    return sum(max(0.0, min(outer, end) - max(inner, start)) for start, end in spans)


def _path(edge: Edge, d: str, extra: str = "") -> str:
    distance = f", {edge.distance} iterations later" if edge.distance else ""
    delay = "source latency" if edge.latency_cycles is None else f"{edge.latency_cycles} cycles"
    traits = "".join(f", {name}" for name in ("blocking", "assumed") if getattr(edge, name))
    title = tag("title", escape(f"{edge.source} → {edge.target}: {edge.kind}, {delay}{distance}{traits}"))
    return tag("path", title, d=d, class_=f"{_class(edge)} {extra}".strip(), marker_end=_head(edge),
               data_from=edge.source, data_to=edge.target)  # fmt: skip


def _arrowheads() -> str:
    heads = []
    for name in ("arrow", "arrow-carried", "arrow-assumed"):
        shape = tag("path", d="M0 0L7 3.5L0 7Z", class_=name)
        heads.append(
            tag("marker", shape, id=name, markerWidth=7, markerHeight=7, refX=5, refY=3.5, orient="auto",
                markerUnits="userSpaceOnUse")
        )  # fmt: skip
    return tag("defs", "".join(heads))
