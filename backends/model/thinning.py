"""Simulate an SM whose loops do not become even: with fewer turns, twice, and in proportion to what is left out.

Warps that compete for a full unit may take turns in an order that never repeats, so that no turn can be skipped. Time
is then taken to be linear in the work: two parts of all loops' turns are simulated, and what the larger one takes more
than the smaller one, for the instructions it executes more, is what all other turns take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from backends.model.sm import Repeat, Run, SmResult, Step, WarpTrace
from backends.model.sm.steady import IssueLimitError
from backends.sass.function import Function

Cta = tuple[WarpTrace, ...]
Simulate = Callable[[Sequence[Cta], int | None], SmResult]
"""CTAs and the most issues -> what was simulated; raises IssueLimitError beyond them."""
# Issues that are simulated before hope is given up that loops become even, and then in the part.
ISSUE_LIMIT = 1_200_000
_PART_ISSUES = 800_000
_SMALLER = 0.5


def simulate_bounded(function: Function, ctas: Sequence[Cta], simulate: Simulate) -> SmResult:
    """The result for all turns of all loops, from a bounded number of simulated issues."""
    try:
        return simulate(ctas, ISSUE_LIMIT)
    except IssueLimitError:
        lengths = block_lengths(function)
        part = _PART_ISSUES / max(sum(issues_of(t, lengths) for cta in ctas for t in cta), 1)
        more = simulate(thin_ctas(ctas, part), None)
        return _scaled(function, ctas, more, simulate(thin_ctas(ctas, part * _SMALLER), None))


def thin_ctas(ctas: Sequence[Cta], part: float) -> list[Cta]:
    """CTAs with that part of their loops' turns; traces that were one object remain so."""
    known: dict[int, WarpTrace] = {}

    def of(trace: WarpTrace) -> WarpTrace:
        if id(trace) not in known:
            known[id(trace)] = thinned(trace, part)
        return known[id(trace)]

    return [tuple(map(of, cta)) for cta in ctas]


def thinned(trace: WarpTrace, part: float) -> WarpTrace:
    """A trace with that part of its turns: of outer loops first, and of those in them what is then left to cut.

    >>> thinned((Repeat((Run((1,)), Repeat((Run((2,)),), 8)), 4),), 1 / 8)
    (Repeat(body=(Run(blocks=(1,)), Repeat(body=(Run(blocks=(2,)),), count=4)), count=1),)
    """
    return tuple(step if isinstance(step, Run) else _thinned(step, part) for step in trace) if part < 1.0 else trace


def block_lengths(function: Function) -> list[int]:
    """Instructions of each block."""
    return [block.last - block.first for block in function.blocks]


def issues_of(trace: WarpTrace, lengths: Sequence[int]) -> int:
    """Instructions that a warp executes."""
    return sum(
        sum(lengths[b] for b in step.blocks) if isinstance(step, Run) else step.count * issues_of(step.body, lengths)
        for step in trace
    )


def _thinned(loop: Repeat, part: float) -> Step:
    turns = max(1, round(loop.count * part))
    return Repeat(thinned(loop.body, part * loop.count / turns), turns)


def _scaled(function: Function, ctas: Sequence[Cta], more: SmResult, fewer: SmResult) -> SmResult:
    """Two parts made the whole: issues are exact, times are linear in them, the rest is in proportion."""
    issues = _issues(function, ctas)
    total, done, before = sum(issues), sum(more.issues), sum(fewer.issues)
    beyond = (total - done) / max(done - before, 1)
    cycles = _onward(fewer.cycles, more.cycles, beyond)
    longer, heavier = cycles / max(more.cycles, 1.0), total / max(done, 1)
    return replace(
        more,
        cycles=cycles,
        full_cycles=_onward(fewer.full_cycles, more.full_cycles, beyond),
        full_issues=_onward(fewer.full_issues, more.full_issues, beyond),
        issues=issues,
        stalls={
            name: tuple(s * n / m if m else 0.0 for s, n, m in zip(column, issues, more.issues, strict=True))
            for name, column in more.stalls.items()
        },
        pipe_busy=_times(more.pipe_busy, heavier),
        bytes=_times(more.bytes, heavier),
        ctas=tuple((start * longer, end * longer) for start, end in more.ctas),
        is_extrapolated=True,
        is_steady=False,
        simulated_issues=more.simulated_issues + fewer.simulated_issues + ISSUE_LIMIT,
    )


def _onward(before: float, now: float, steps: float) -> float:
    """What a quantity that went from `before` to `now` in one step is after more of them; it never falls."""
    return now + max(now - before, 0.0) * steps


def _issues(function: Function, ctas: Sequence[Cta]) -> tuple[int, ...]:
    """Executions of each instruction by all warps."""
    blocks = [0] * len(function.blocks)
    known: dict[int, tuple[WarpTrace, int]] = {}
    for trace in (trace for cta in ctas for trace in cta):
        known[id(trace)] = (trace, known.get(id(trace), (trace, 0))[1] + 1)
    for trace, times in known.values():
        _visit(trace, times, blocks)
    found = [0] * len(function.instructions)
    for block, times in zip(function.blocks, blocks, strict=True):
        found[block.first : block.last] = [times] * (block.last - block.first)
    return tuple(found)


def _visit(trace: WarpTrace, times: int, blocks: list[int]) -> None:
    for step in trace:
        if isinstance(step, Repeat):
            _visit(step.body, times * step.count, blocks)
            continue
        for block in step.blocks:
            blocks[block] += times


def _times(amounts: Mapping[str, float], factor: float) -> dict[str, float]:
    return {name: amount * factor for name, amount in amounts.items()}
