"""The trace of one SM: events in order, no two of a warp at once, everything that was issued."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from ir.diagnostics import UserError
from tests.backends.model.report.profiles import report
from twill.report.profile.trace import PIPES_PROCESS, profile_trace


def _trace() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(profile_trace(report("transpose:shared", timeline=5000).modelled))
    return found


def test_issues_and_waits_of_a_warp_follow_each_other():
    timeline = report("transpose:shared", timeline=5000).modelled.time.sm.timeline
    tracks = defaultdict(list)
    for event in _trace()["traceEvents"]:
        if event["ph"] == "X":
            assert event["dur"] >= 1
            tracks[event["pid"], event["tid"]].append(event)
    for events in tracks.values():
        for early, late in pairwise(events):
            assert early["ts"] + early["dur"] == late["ts"], "a warp issues or waits"
    issued = [e for events in tracks.values() for e in events if e["cat"] != "wait"]
    assert len(issued) == len(timeline)
    assert len(tracks) == len({(i.cta, i.warp) for i in timeline})


def test_every_track_has_a_name_and_events_are_in_order():
    document = _trace()
    events = document["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"} == named
    times = [e["ts"] for e in events if e["ph"] != "M"]
    assert times == sorted(times)
    assert document["otherData"]["time_unit"] == "1 us in this trace = 1 modelled cycle"


def test_pipes_are_counters_in_percent():
    counters = [e for e in _trace()["traceEvents"] if e["ph"] == "C"]
    assert {e["pid"] for e in counters} == {PIPES_PROCESS}
    assert {"issue slots (%)", "lsu (%)"} <= {e["name"] for e in counters}
    assert all(0 <= e["args"]["busy"] <= 100 for e in counters)


def test_instructions_say_where_they_come_from():
    issued = [e for e in _trace()["traceEvents"] if e["ph"] == "X" and e["cat"] != "wait"]
    assert any(e["name"].startswith("STS") and "kernel.cu" in (e["args"]["source"] or "") for e in issued)


def test_without_a_timeline_there_is_no_trace():
    with pytest.raises(UserError, match="no-timeline"):
        profile_trace(report("transpose").modelled)
