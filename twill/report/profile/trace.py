"""Perfetto trace of one SM: a track for each warp with what it issues and where it waits, and how busy pipes are.

Format: Google, "Trace Event Format", the JSON object form with complete (X), counter (C) and metadata (M) events.
One microsecond of the trace stands for one modelled cycle; nothing here is measured.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from backends.model.modelled import Modelled
from backends.model.parameters import SUB_CORES
from backends.model.sm import Issue
from backends.sass.instruction import Instruction
from ir.diagnostics import fail

Event = dict[str, Any]
PIPES_PROCESS = 1
_FIRST_CTA = 2
# Cycles over which the use of a pipe is averaged.
WINDOW_CYCLES = 32


def profile_trace(m: Modelled) -> str:
    """The trace as JSON with events sorted by time. Raises UserError `no-timeline` if no issues were kept."""
    timeline = m.time.sm.timeline
    if not timeline:
        raise fail("no-timeline", "the launch was modelled without a timeline")
    code = m.work.function.instructions
    events = [*_warps(timeline, code), *_pipes(timeline, code)]
    heads = [event for event in events if event["ph"] == "M"]
    timed = sorted((event for event in events if event["ph"] != "M"), key=lambda event: event["ts"])
    about = {
        "kernel": m.kernel,
        "machine": m.machine,
        "sizes": dict(m.sizes),
        "issues_shown": len(timeline),
        "modelled_cycles": m.time.cycles,
        "time_unit": "1 us in this trace = 1 modelled cycle",
        "note": "turns of loops that the simulation skipped are not shown",
    }
    return json.dumps({"displayTimeUnit": "ns", "otherData": about, "traceEvents": heads + timed}) + "\n"


def _warps(timeline: Sequence[Issue], code: Sequence[Instruction]) -> Iterator[Event]:
    tracks: dict[tuple[int, int], list[Issue]] = defaultdict(list)
    for issue in timeline:
        tracks[issue.cta, issue.warp].append(issue)
    for cta in sorted({cta for cta, _warp in tracks}):
        yield _metadata(_FIRST_CTA + cta, 0, "process_name", f"CTA {cta} of this SM")
    for (cta, warp), issues in sorted(tracks.items()):
        yield _metadata(_FIRST_CTA + cta, warp, "thread_name", f"warp {warp}")
        yield from _track(issues, code)


def _track(issues: Sequence[Issue], code: Sequence[Instruction]) -> Iterator[Event]:
    for issue, following in pairwise(issues):
        held = max(1, min(code[issue.instruction].control.stall, following.cycle - issue.cycle))
        yield _issued(issue, code[issue.instruction], held)
        waited = following.cycle - issue.cycle - held
        if waited > 0:
            name = f"waits to issue {code[following.instruction].opcode}"
            yield _complete(name, "wait", issue, issue.cycle + held, waited, {})
    yield _issued(issues[-1], code[issues[-1].instruction], 1)


def _issued(issue: Issue, instruction: Instruction, cycles: int) -> Event:
    place = str(instruction.location) if instruction.location else None
    about = {"text": instruction.text, "pipe": instruction.pipe, "source": place, "index": instruction.index}
    name = ".".join((instruction.opcode, *instruction.modifiers))
    return _complete(name, instruction.pipe, issue, issue.cycle, cycles, about)


def _complete(
    name: str, category: str, issue: Issue, start: int, cycles: int, arguments: Mapping[str, Any]
) -> Event:  # fmt: skip
    return {
        "name": name, "cat": category, "ph": "X", "ts": start, "dur": cycles, "pid": _FIRST_CTA + issue.cta,
        "tid": issue.warp, "args": dict(arguments),
    }  # fmt: skip


def _pipes(timeline: Sequence[Issue], code: Sequence[Instruction]) -> Iterator[Event]:
    """Percent of each pipe's cycles in each window, of all sub-cores; instructions of unknown cycles count one."""
    used: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for issue in timeline:
        instruction = code[issue.instruction]
        window = issue.cycle // WINDOW_CYCLES
        used["issue slots"][window] += 1
        used[instruction.pipe][window] += instruction.pipe_cycles or 1
    yield _metadata(PIPES_PROCESS, 0, "process_name", "pipes of the SM")
    for pipe, windows in used.items():
        changes = sorted({w for window in windows for w in (window, window + 1)})
        for window in changes:
            share = 100 * windows.get(window, 0.0) / (WINDOW_CYCLES * SUB_CORES)
            yield {
                "name": f"{pipe} (%)", "ph": "C", "ts": window * WINDOW_CYCLES, "pid": PIPES_PROCESS, "tid": 0,
                "args": {"busy": round(min(share, 100.0), 2)},
            }  # fmt: skip


def _metadata(pid: int, tid: int, kind: str, name: str) -> Event:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}
