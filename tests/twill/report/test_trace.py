"""The trace: loads as JSON, events sorted, no overlap on a track, every op of every iteration, counters balanced."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from tests.twill.report import examples
from twill.report.trace import trace


def events(case):
    return json.loads(trace(examples.CASES[case]()))["traceEvents"]


@pytest.mark.parametrize("case", examples.CASES)
def test_events_are_sorted_and_complete(case):
    times = [event["ts"] for event in events(case) if event["ph"] != "M"]
    assert times == sorted(times)
    assert all({"name", "ph", "pid", "tid"} <= event.keys() for event in events(case))


@pytest.mark.parametrize("case", examples.CASES)
def test_spans_of_a_track_do_not_overlap(case):
    tracks = defaultdict(list)
    for event in events(case):
        if event["ph"] == "X":
            assert event["dur"] >= 1
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    named = {(e["pid"], e["tid"]) for e in events(case) if e["name"] == "thread_name"}
    assert set(tracks) == named
    for spans in tracks.values():
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_every_op_of_every_iteration_is_issued_once_in_its_group():
    schedule = examples.attention()
    issued = Counter(e["name"] for e in events("attention") if e["ph"] == "X" and e["pid"] == 1)
    assert issued == {f"{op.name} #{i}": 1 for op in schedule.graph.ops for i in range(schedule.stages + 3)}


def test_iterations_are_the_interval_apart():
    starts = [e["ts"] for e in events("attention") if e["pid"] == 1 and e["name"].startswith("qk[0] #")]
    assert {b - a for a, b in itertools.pairwise(starts)} == {2048}


def test_counters_end_at_nothing_live():
    last = {}
    for event in events("attention"):
        if event["ph"] == "C":
            last[event["name"]] = event["args"]["live copies"]
    assert last == {"k (smem)": 0, "v (smem)": 0}


def test_a_known_trip_count_limits_the_iterations():
    schedule = examples.attention()
    short = replace(schedule, graph=replace(schedule.graph, trip_count=1))
    assert json.loads(trace(short))["otherData"]["iterations"] == 1


def test_the_time_unit_is_called_modelled():
    assert "modelled" in json.loads(trace(examples.attention()))["otherData"]["time_unit"]
    assert json.loads(trace(examples.timeout()))["otherData"]["ii_cycles"] is None
