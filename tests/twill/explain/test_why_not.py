"""Loops that cannot be pipelined, or gain nothing from it: every reason, with its place."""

from __future__ import annotations

from dataclasses import replace

from ir.diagnostics import Location
from ir.graph import DependenceGraph, Edge, Op
from ir.loop import Loop, Operation
from ir.machine import Machine
from twill.explain.why_not import why_not

PLACE = Location("k.py", 4, 1)
LOOP = Loop("0", None, body=(Operation("tt.dot"),), location=PLACE)


def rules(*arguments):
    return [finding.rule for finding in why_not(*arguments)]


def test_a_plain_loop_has_no_reason_against():
    assert why_not(LOOP) == ()


def test_a_refusal_is_repeated_with_place_and_remedy():
    [finding] = why_not(replace(LOOP, refusal="the while loop at k.py:4 has no trip count"))
    assert finding.rule == "loop-refused"
    assert finding.location == PLACE
    assert "range" in finding.remedy
    [finding] = why_not(replace(LOOP, refusal="it calls `f`, which cannot be seen into"))
    assert "inline" in finding.remedy
    [finding] = why_not(replace(LOOP, refusal="something else"))
    assert "another loop" in finding.remedy


def test_an_outer_loop_names_its_inner_loops():
    [finding] = why_not(replace(LOOP, body=(replace(LOOP, name="0.0"),)))
    assert finding.rule == "loop-not-innermost"
    assert "0.0 at k.py:4:1" in finding.message
    assert "--loop 0.0" in finding.remedy


def test_a_loop_that_runs_once_has_nothing_to_overlap():
    assert rules(replace(LOOP, trip_count=1)) == ["loop-trip-count"]
    assert rules(replace(LOOP, trip_count=0)) == ["loop-trip-count"]
    assert rules(replace(LOOP, trip_count=2)) == []


def test_an_empty_loop():
    assert rules(replace(LOOP, body=())) == ["loop-empty"]


CHAIN = DependenceGraph(
    "chain",
    (Op("load", None, 40, location=Location("k.py", 5)), Op("hash", None, 8), Op("next", None, 2)),
    (Edge("load", "hash"), Edge("hash", "next"), Edge("next", "load", distance=1)),
    location=PLACE,
)


def test_a_recurrence_as_long_as_the_body_is_named_op_by_op():
    [finding] = why_not(None, CHAIN)
    assert finding.rule == "loop-serial"
    assert finding.location == PLACE
    assert "50 of the 50 modelled cycles" in finding.message
    for step in (
        "load -> hash: 40 cycles (k.py:5)",
        "hash -> next: 8 cycles",
        "next -> load: 2 cycles, 1 iteration later",
    ):
        assert step in finding.message
    assert "next -> load" in finding.remedy


def test_an_assumed_edge_of_the_recurrence_is_the_remedy():
    edges = (*CHAIN.edges[:2], replace(CHAIN.edges[2], assumed=True))
    [finding] = why_not(None, replace(CHAIN, edges=edges))
    assert "alias" in finding.remedy


def test_a_short_recurrence_is_no_reason():
    edges = (*CHAIN.edges[:2], replace(CHAIN.edges[2], distance=2))
    assert why_not(None, replace(CHAIN, edges=edges)) == ()


def test_one_busy_unit_leaves_nothing_to_overlap():
    graph = DependenceGraph("u", (Op("a", "x", 9, 9), Op("b", "x", 9, 9)), (Edge("a", "b"),))
    [finding] = why_not(None, graph, Machine("m", units={"x": 1}))
    assert finding.rule == "loop-unit-bound"
    assert "18 modelled cycles" in finding.message
    assert why_not(None, graph, Machine("m", units={"x": 2})) == ()
