"""Modulo-scheduling instances as JSON arrays: op latencies, limited units, edges [source, target, delay, distance]."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from twill.problem.problem import Problem


def read_instances(path: Path) -> tuple[Problem, ...]:
    """The modulo problems of a file: a JSON list of objects as `instance_problem` takes them; raises UserError."""
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(instance_problem(row) for row in rows)
    except json.JSONDecodeError as error:
        raise fail("json-syntax", error.msg, Location(str(path), error.lineno, error.colno)) from None
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise fail("bad-instance", f"not a list of modulo instances: {error!r}", Location(str(path))) from None


def instance_problem(row: Mapping[str, Any]) -> Problem:
    """One instance: `latency` and `unit` by op, `limit` and `occupancy` by unit, `edges`, `name`.

    >>> row = {"name": "sum", "latency": [3], "unit": ["add"], "limit": {"add": 1}, "occupancy": {"add": 1}}
    >>> instance_problem({**row, "edges": [[0, 0, 3, 1]]}).graph.edges[0].distance
    1
    """
    ops = [_op(i, row) for i in range(len(row["latency"]))]
    edges = [_edge(ops, edge) for edge in row["edges"]]
    graph = DependenceGraph(row["name"], tuple(ops), tuple(edges))
    return Problem(graph, Machine(f"units of {row['name']}", dict(row["limit"])), joint=False)


def _op(i: int, row: Mapping[str, Any]) -> Op:
    unit = row["unit"][i]
    return Op(f"op{i}", unit, row["latency"][i], row["occupancy"][unit] if unit else 0)


def _edge(ops: Sequence[Op], row: Sequence[int]) -> Edge:
    source, target, delay, distance = row
    return Edge(ops[source].name, ops[target].name, delay, distance)
