"""Chrome/Perfetto trace of several iterations: a track for each warp group and unit, buffers as counters.

Format: Google, "Trace Event Format", the JSON object form with complete (X), counter (C) and metadata (M) events.
One microsecond of the trace stands for one modelled cycle; nothing here is measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ir.graph import Op
from ir.schedule import Schedule
from twill.explain.steady import lifetimes
from twill.report.bars import pack

Event = dict[str, Any]
GROUPS, UNITS, BUFFERS = 1, 2, 3
PROCESSES = {GROUPS: "warp groups", UNITS: "units", BUFFERS: "buffers"}
EXTRA_ITERATIONS = 3


@dataclass(frozen=True)
class Span:
    """An op of one iteration on a track."""

    op: Op
    iteration: int
    start_cycles: int
    end_cycles: int


def trace(schedule: Schedule) -> str:
    """The trace as JSON with events sorted by time; without placements it has metadata alone."""
    iterations = iteration_count(schedule) if schedule.found else 0
    events = [_metadata(pid, None, "process_name", name) for pid, name in PROCESSES.items()]
    timed = list(_timed(schedule, iterations)) if iterations else []
    events += [event for event in timed if event["ph"] == "M"]
    events += sorted((event for event in timed if event["ph"] != "M"), key=lambda event: event["ts"])
    about = {
        "kernel": schedule.graph.name,
        "machine": schedule.machine.name,
        "status": str(schedule.status),
        "ii_cycles": schedule.ii_cycles,
        "iterations": iterations,
        "time_unit": "1 us in this trace = 1 modelled cycle",
    }
    return json.dumps({"displayTimeUnit": "ms", "otherData": about, "traceEvents": events}, indent=1) + "\n"


def iteration_count(schedule: Schedule) -> int:
    """Iterations to show: the overlapped ones and a few more, no more than the loop has."""
    shown = schedule.stages + EXTRA_ITERATIONS
    count = schedule.graph.trip_count
    return shown if count is None else min(shown, count)


def _timed(schedule: Schedule, iterations: int) -> Iterator[Event]:
    names = {group.index: f"group {group.index} {group.role}" for group in schedule.groups}
    for tid, group in enumerate(sorted({p.group for p in schedule.placements})):
        members = [op for op in schedule.graph.ops if schedule.by_op[op.name].group == group]
        lengths = {op.name: max(1, op.issue_cycles) for op in members}
        label = names.get(group, f"group {group}")
        yield from _track(schedule, GROUPS, tid * 100, label, _spans(schedule, lengths, iterations))
    for tid, unit in enumerate(schedule.machine.units):
        lengths = {op.name: op.occupancy_cycles for op in schedule.graph.ops if op.unit == unit and op.occupancy_cycles}
        yield from _track(schedule, UNITS, tid * 100, unit, _spans(schedule, lengths, iterations))
    yield from _counters(schedule, iterations)


def _spans(schedule: Schedule, lengths: Mapping[str, int], iterations: int) -> list[Span]:
    spans = []
    for iteration in range(iterations):
        for name, cycles in lengths.items():
            start = schedule.by_op[name].time_cycles + iteration * (schedule.ii_cycles or 1)
            spans.append(Span(schedule.graph.by_name[name], iteration, start, start + cycles))
    return sorted(spans, key=lambda span: (span.start_cycles, span.end_cycles, span.op.name))


def _track(schedule: Schedule, pid: int, tid: int, label: str, spans: list[Span]) -> Iterator[Event]:
    """One thread for each lane, as events of a thread may not overlap."""
    lanes = pack(spans, lambda span: (span.start_cycles, span.end_cycles))
    for number, lane in enumerate(lanes):
        name = label if number == 0 else f"{label} ({number + 1})"
        yield _metadata(pid, tid + number, "thread_name", name)
        yield from (_complete(schedule, pid, tid + number, span) for span in lane)


def _complete(schedule: Schedule, pid: int, tid: int, span: Span) -> Event:
    name = span.op.name
    arguments = {
        "iteration": span.iteration,
        "stage": schedule.stage(name),
        "slot_cycles": schedule.slot(name),
        "latency_cycles": span.op.latency_cycles,
        "unit": span.op.unit,
        "group": schedule.by_op[name].group,
        "source": str(span.op.location) if span.op.location else None,
    }
    return {
        "name": f"{name} #{span.iteration}",
        "cat": span.op.unit or "none",
        "ph": "X",
        "ts": span.start_cycles,
        "dur": span.end_cycles - span.start_cycles,
        "pid": pid,
        "tid": tid,
        "args": arguments,
    }


def _counters(schedule: Schedule, iterations: int) -> Iterator[Event]:
    """Copies of each shared or tensor memory result that are live, at every change."""
    for row in lifetimes(schedule):
        if row.memory == "registers":
            continue
        changes: dict[int, int] = {0: 0}
        for iteration in range(iterations):
            shift = iteration * (schedule.ii_cycles or 1)
            changes[row.start_cycles + shift] = changes.get(row.start_cycles + shift, 0) + 1
            changes[row.end_cycles + shift] = changes.get(row.end_cycles + shift, 0) - 1
        live = 0
        for time, change in sorted(changes.items()):
            live += change
            yield _event("C", time, BUFFERS, f"{row.op} ({row.memory})", {"live copies": live})


def _event(phase: str, time_cycles: int, pid: int, name: str, arguments: Mapping[str, Any]) -> Event:
    return {"name": name, "ph": phase, "ts": time_cycles, "pid": pid, "tid": 0, "args": dict(arguments)}


def _metadata(pid: int, tid: int | None, kind: str, name: str) -> Event:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid or 0, "args": {"name": name}}
