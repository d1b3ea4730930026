"""Simulate one SM: machine code, traces and costs in, cycles and warp states out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.model.parameters import SmParameters
from backends.model.sm.costs import BarrierUse, MemoryCost, TensorShape
from backends.model.sm.engine import Engine
from backends.model.sm.program import PIPES, Program
from backends.model.sm.result import STALLS, SmResult
from backends.model.sm.steady import Extrapolation
from backends.model.sm.trace import WarpTrace
from backends.sass.function import Function


def simulate(
    function: Function,
    ctas: Sequence[tuple[WarpTrace, ...]],
    costs: Mapping[int, MemoryCost],
    parameters: SmParameters,
    *,
    resident: int | None = None,
    barriers: Mapping[int, BarrierUse] | None = None,
    shapes: Mapping[int, TensorShape] | None = None,
    timeline: int = 0,
    extrapolate: bool = True,
    issue_limit: int | None = None,
) -> SmResult:
    """Run the CTAs on one SM, at most `resident` at a time (all, if None), each a trace for every warp.

    costs, barriers, shapes: by index of the SASS instruction. timeline: how many issues to note. Without
    `extrapolate` every turn of every loop is simulated. Raises IssueLimitError where loops have not ended after so many
    simulated instructions, UserError: `model-deadlock` where warps wait for each
    other for ever, `missing-rate` and `missing-table` where the machine file lacks what an instruction needs.
    """
    program = Program(function, costs, barriers or {}, shapes or {}, parameters)
    traces = [[program.trace(trace) for trace in warps] for warps in ctas]
    extrapolation = Extrapolation(extrapolate, issue_limit)
    engine = Engine(program, traces, resident or len(ctas), extrapolation.turn, timeline)
    engine.run()
    return _result(program, engine, extrapolation)


def _result(program: Program, engine: Engine, extrapolation: Extrapolation) -> SmResult:
    records = program.records
    busy = {name: 0.0 for name in PIPES if name != "none"} | engine.busy
    for record in records:
        if PIPES[record.pipe] not in ("none", "lsu"):
            busy[PIPES[record.pipe]] += record.issues * record.interval
    end = max((cta.end for cta in engine.ctas), default=0.0)
    return SmResult(
        cycles=max(end, engine.drained + engine.offset if engine.drained else 0.0),
        issues=tuple(round(record.issues) for record in records),
        stalls={name: tuple(float(r.stalls[i]) for r in records) for i, name in enumerate(STALLS)},
        pipe_busy=busy,
        bytes=dict(engine.bytes),
        ctas=tuple((cta.start, cta.end) for cta in engine.ctas),
        is_extrapolated=extrapolation.skipped_turns > 0,
        is_steady=extrapolation.is_steady,
        simulated_issues=engine.issued,
        full_cycles=engine.full_cycles,
        full_issues=engine.full_issues,
        assumptions=tuple(program.assumptions.values()),
        timeline=tuple(engine.timeline),
    )
