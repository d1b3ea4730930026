"""The dependence graph with its schedule as graphviz text: boxes by warp group, colours by unit."""

from __future__ import annotations

from collections.abc import Iterator

from ir.graph import Edge, Op
from ir.schedule import Schedule
from twill.explain.words import plural
from twill.report.palette import colour_of
from twill.report.text import headline


def dot(schedule: Schedule) -> str:
    """A `digraph`; edges say `delay/distance`, order edges are dashed, blocking ones bold, assumed ones red."""
    title = _quoted("\n".join(headline(schedule)))
    lines = [f"digraph {_quoted(schedule.graph.name)} {{", f'  graph [label={title}, labelloc="t", rankdir="TB"];']
    lines += ['  node [shape="box", style="filled,rounded", fontname="Helvetica", fontcolor="white"];']
    lines += ['  edge [fontname="Helvetica", fontsize="10"];', *_nodes(schedule)]
    lines += [f"  {_edge(schedule, edge)}" for edge in schedule.graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _nodes(schedule: Schedule) -> Iterator[str]:
    if not (schedule.found and schedule.joint):
        yield from (f"  {_node(schedule, op)}" for op in schedule.graph.ops)
        return
    known = {group.index: group for group in schedule.groups}
    for index in sorted({p.group for p in schedule.placements}):
        group = known.get(index)
        name = f"group {index} {group.role}, {plural(group.warps, 'warp')}" if group else f"group {index}"
        yield f"  subgraph cluster_{index} {{"
        yield f'    label={_quoted(name)}; style="rounded"; color="#8a8f98";'
        members = (op for op in schedule.graph.ops if schedule.by_op[op.name].group == index)
        yield from (f"    {_node(schedule, op)}" for op in members)
        yield "  }"


def _node(schedule: Schedule, op: Op) -> str:
    label = f"{op.name}\n{op.unit or 'no unit'}, {plural(op.latency_cycles, 'cycle')}"
    if schedule.found:
        label += f"\nstage {schedule.stage(op.name)}, slot {schedule.slot(op.name)}"
    return f"{_quoted(op.name)} [label={_quoted(label)}, fillcolor={_quoted(colour_of(schedule.machine, op.unit))}];"


def _edge(schedule: Schedule, edge: Edge) -> str:
    delay = schedule.graph.delay_cycles(edge)
    attributes = {"label": f"{delay}/{edge.distance}" if edge.distance else f"{delay}"}
    if edge.kind == "order":
        attributes["style"] = "dashed"
    if edge.blocking:
        attributes["penwidth"] = "2"
    if edge.assumed:
        attributes |= {"color": "#cc3311", "tooltip": edge.reason or "assumed"}
    if edge.distance:
        attributes["constraint"] = "false"
    text = ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [{text}];"


def _quoted(text: str) -> str:
    r"""A graphviz string.

    >>> print(_quoted('a "b"'))
    "a \"b\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
