"""JSON documents: round trips, schema, and a diagnostic with place for each kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir.diagnostics import UserError
from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.json_place import locate
from ir.machine import Machine
from ir.schedule import Placement, Schedule, Status
from ir.serialize import graph_document, json_schema, read_graph, read_schedule, schedule_document, to_text

GRAPH = DependenceGraph(
    "toy",
    (Op("load", "tma", latency_cycles=3, streaming=True, variable_latency=True, smem_bytes=64), Op("dot", "tensor")),
    (Edge("load", "dot", blocking=True), Edge("dot", "dot", 4, distance=1, in_place=True)),
    (Invariant("q", registers=8, readers=("dot",)),),
)
MACHINE = Machine("toy", {"tma": 1, "tensor": 1}, smem_bytes=1024)


def write(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return path


def error_of(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_graph(path)
    return caught.value


@pytest.mark.parametrize("machine", [None, "h100", MACHINE])
def test_graph_round_trip(tmp_path: Path, machine: Machine | str | None) -> None:
    path = write(tmp_path / "g.json", to_text(graph_document(GRAPH, machine)))
    assert read_graph(path) == (GRAPH, machine)


def test_schedule_round_trip(tmp_path: Path) -> None:
    schedule = Schedule(Status.OPTIMAL, GRAPH, MACHINE, "brute", ii_cycles=4, placements=(Placement("dot", 3),))
    path = write(tmp_path / "s.json", to_text(schedule_document(schedule)))
    assert read_schedule(path) == schedule


def test_a_graph_needs_only_names(tmp_path: Path) -> None:
    graph, machine = read_graph(write(tmp_path / "bare.json", {"ops": [{"name": "a"}]}))
    assert (graph.name, machine, graph.ops) == ("bare", None, (Op("a"),))


def test_documents_satisfy_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(graph_document(GRAPH, MACHINE), schema)
    jsonschema.validate(schedule_document(Schedule(Status.TIMEOUT, GRAPH, MACHINE, "smt")), schema)


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"),
    [
        ('{"ops": [\n {"name": "a", "latency": 3}]}', "unknown-key", 2, 27),
        ('{"ops": [\n {"name": "a", "latency_cycles": -3}]}', "invalid-value", 2, 34),
        ('{"ops": [],\n "edges": [{"source": "a"}]}', "invalid-value", 2, 12),
        ('{"ops": [\n', "invalid-json", 2, 1),
        ('{"ops": [], "schema_version": 7}', "schema-version", 1, 31),
        ("[1]", "invalid-json", 1, 1),
        ('{"ops": [], "machine": 3}', "wrong-type", 1, 24),
        ('{"ops": [],\n "machine": {"name": "m", "units": {"a": 0}}}', "invalid-value", 2, 42),
    ],
)
def test_bad_input_is_placed(tmp_path: Path, text: str, rule: str, line: int, column: int) -> None:
    diagnostic = error_of(write(tmp_path / "g.json", text)).diagnostics[0]
    assert diagnostic.location is not None
    assert (diagnostic.rule, diagnostic.location.line, diagnostic.location.column) == (rule, line, column)


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    error = error_of(write(tmp_path / "g.json", {"ops": [{"name": "a", "latency_cycle": 1}]}))
    assert "'latency_cycles'" in error.diagnostics[0].remedy


def test_unreadable_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "absent.json").diagnostics[0].rule == "unreadable-file"


@pytest.mark.parametrize("text", ["NaN", "[" * 100_000, "1" * 5000, '"\\ud800"', "\x00"])
def test_hostile_json(tmp_path: Path, text: str) -> None:
    assert error_of(write(tmp_path / "g.json", '{"ops": ' + text + "}")).diagnostics


@given(st.recursive(st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=12))
def test_locate_points_at_the_value(value: Any) -> None:
    text = json.dumps({"a": [0, value]}, indent=1)
    line, column = locate(text, ["a", 1])
    rest = "\n".join([text.splitlines()[line - 1][column - 1 :], *text.splitlines()[line:]])
    assert json.JSONDecoder().raw_decode(rest)[0] == value


def _mutations(text: str) -> st.SearchStrategy[str]:
    cut = st.integers(0, len(text))
    return st.tuples(cut, cut, st.text(alphabet='{}[]",:-0123456789aeiou\\ntrue', max_size=6)).map(
        lambda m: text[: min(m[:2])] + m[2] + text[max(m[:2]) :]
    )


def _fuzz(tmp_path: Path, text: str) -> None:
    try:
        read_graph(write(tmp_path / "fuzz.json", text))
    except UserError as error:
        assert error.diagnostics


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=_mutations(to_text(graph_document(GRAPH, MACHINE))))
def test_fuzz(tmp_path: Path, text: str) -> None:
    _fuzz(tmp_path, text)


@pytest.mark.slow
@settings(max_examples=5000, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=_mutations(to_text(graph_document(GRAPH, MACHINE))))
def test_fuzz_at_length(tmp_path: Path, text: str) -> None:
    _fuzz(tmp_path, text)
