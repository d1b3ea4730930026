"""Skip the turns of a loop once they have become even: whatever happened in the last ones happens so often again.

At the turns of one warp's loop the whole SM is marked. Where the times and every warp's progress between the last marks
are equal, the SM repeats itself, and as many repetitions as every warp has left are added without simulation.
Inner loops are skipped first, and make the turns of outer loops short enough to be skipped in their turn.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING

from backends.model.sm.costs import BarrierUse
from backends.model.sm.state import Cta, Frame, Warp

if TYPE_CHECKING:
    from backends.model.sm.engine import Engine

# Issues between two marks, so that marks cost little beside what they save.
_ISSUES_PER_MARK = 1000
_WINDOWS = 3
_SPANS = (1, 2, 3, 4, 6, 8)
_KEPT_MARKS = _WINDOWS * _SPANS[-1] + 1
# Issues since turns were last skipped -> difference between windows, in parts of their mean, that counts as even.
_TOLERANCES = ((50_000, 0.002), (100_000, 0.01), (160_000, 0.03), (240_000, 0.06))
# After so many issues in all, less is enough: the simulation takes a second or two at most.
_MANY_ISSUES = 400_000
_UNEVEN = 0.03
# Issues in the windows together, unless they are as even as this: less may be a passing state.
_SAMPLE, _EXACT = 80_000, 0.001
# Turns that are always simulated at the end of a loop: warps are not all at the same place.
_LAST_TURNS = 2
# What is not worth the risk that the windows mislead.
_FEWEST_ISSUES = 20_000
# Issues of the SM without a turn of the warp that is followed, before another is.
_PATIENCE = 20_000
# Turns by which loops may differ that belong together: the first or last ones of one may stand outside it.
_PEELED = 2
# Progress of other CTAs may differ by this between windows, beside one turn.
_PROGRESS = 0.15
_Group = tuple[Cta, Frame]


class Mark:
    """The SM at one time: each warp's progress at one depth of its loops, and all that was counted so far."""

    __slots__ = ("busy", "bytes", "counts", "counts_by_warp", "frames", "issued", "stalls", "time", "warps")

    def __init__(self, engine: Engine, depth: int, now: int) -> None:
        self.time = now + engine.offset
        self.issued = engine.issued
        self.warps = list(engine.live)
        self.frames = [w.frames[depth] if len(w.frames) > depth else None for w in self.warps]
        # Issues of each warp, those in skipped turns included.
        self.counts_by_warp = [w.issued for w in self.warps]
        self.counts = [record.issues for record in engine.program.records]
        self.stalls = [list(record.stalls) for record in engine.program.records]
        self.bytes = dict(engine.bytes)
        self.busy = dict(engine.busy)


class History:
    """The marks of one loop, `stride` turns apart."""

    __slots__ = ("issued", "marks", "stride", "turns")

    def __init__(self, issued: int, turns: int) -> None:
        self.marks: list[Mark] = []
        self.stride = 0
        self.issued = issued
        self.turns = turns

    def add(self, mark: Mark) -> None:
        """Keep a mark; where there are too many, every other one, which makes the windows longer."""
        self.marks.append(mark)
        if len(self.marks) > _KEPT_MARKS:
            self.marks = self.marks[::2]
            self.stride *= 2


class IssueLimitError(Exception):
    """More instructions were simulated than was allowed, and the loops are not yet even."""


class Extrapolation:
    """Looks at the turns of one warp's loops. skipped_turns: of that warp; is_steady: none was skipped uneven.

    issue_limit: instructions that may be simulated.
    """

    def __init__(self, enabled: bool = True, issue_limit: int | None = None) -> None:
        self.enabled = enabled
        self.issue_limit = issue_limit
        self.skipped_turns = 0
        self.is_steady = True
        self._last_skip = 0
        self._reference: Warp | None = None
        self._seen = self._patience = 0

    def turn(self, engine: Engine, warp: Warp, frame: Frame, now: int) -> None:
        """A warp has begun another turn of a loop. Raises IssueLimitError."""
        if self.issue_limit is not None and engine.issued > self.issue_limit:
            raise IssueLimitError
        if not self.enabled or not self._is_reference(warp, engine.issued) or frame.remaining <= _LAST_TURNS:
            return
        history = frame.history
        if history is None:
            history = frame.history = History(engine.issued, frame.turns)
        if not _is_due(history, engine, frame):
            return
        history.add(Mark(engine, warp.frames.index(frame), now))
        spent = (engine.issued - self._last_skip) * (4 if engine.issued > _MANY_ISSUES else 1)
        tolerance = next((t for budget, t in _TOLERANCES if spent <= budget), None)
        spans = [span for span in _SPANS if _WINDOWS * span < len(history.marks)]
        for span in spans if tolerance is not None else reversed(spans):
            marks = history.marks[-1 - _WINDOWS * span :: span]
            if self._try(engine, marks, frame, tolerance):
                return

    def _is_reference(self, warp: Warp, issued: int) -> bool:
        """Whether it is this warp whose turns are followed: the first to make one, until it makes no more."""
        if warp is self._reference:
            self._patience = max(_PATIENCE, 4 * (issued - self._seen))
        elif self._reference is not None and issued - self._seen < self._patience:
            return False
        else:
            self._patience = _PATIENCE
        self._reference = warp
        self._seen = issued
        return True

    def _try(self, engine: Engine, marks: list[Mark], frame: Frame, tolerance: float | None) -> bool:
        """Skip what is left if the windows between the marks are even; whether it was done."""
        times = [late.time - early.time for early, late in pairwise(marks)]
        difference = (max(times) - min(times)) * len(times) / max(sum(times), 1.0)
        if tolerance is not None and difference > tolerance:
            return False
        if marks[-1].issued - marks[0].issued < _SAMPLE and difference > _EXACT:
            return False
        progress = _progress(marks)
        if progress is None:
            return False
        factor = _repetitions(progress)
        if factor * (marks[-1].issued - marks[0].issued) < _FEWEST_ISSUES:
            return False
        turns = _skipped(progress, factor)
        if turns is None or not _shift_barriers(turns):
            return False
        _skip(engine, marks[0], marks[-1], turns, factor)
        self._last_skip = engine.issued
        self.skipped_turns += next(n for (_cta, mine), n in turns.items() if mine is frame)
        self.is_steady &= difference <= _UNEVEN
        frame.history = None
        return True


def _skip(engine: Engine, early: Mark, late: Mark, turns: dict[_Group, int], factor: float) -> None:
    """Count `factor` times more what happened between the marks, and move the warps on by their turns."""
    owners = {frame: warp for warp in engine.live for frame in warp.frames}
    for (_cta, frame), n in turns.items():
        frame.remaining -= n
        frame.turns += n
        if frame.loop:
            owners[frame].issued += n * frame.loop.length
    engine.offset += factor * (late.time - early.time)
    for i, record in enumerate(engine.program.records):
        record.issues += factor * (late.counts[i] - early.counts[i])
        if late.stalls[i] != early.stalls[i]:
            changes = zip(record.stalls, late.stalls[i], early.stalls[i], strict=True)
            record.stalls = [now + factor * (b - a) for now, b, a in changes]
    for totals, after, before in ((engine.bytes, late.bytes, early.bytes), (engine.busy, late.busy, early.busy)):
        for name, amount in after.items():
            totals[name] += factor * (amount - before.get(name, 0.0))


def _is_due(history: History, engine: Engine, frame: Frame) -> bool:
    """Whether enough turns have passed since the last mark; the first ones say how many are enough."""
    if not history.stride:
        if history.marks and engine.issued - history.issued < _ISSUES_PER_MARK:
            return False
        if history.marks:
            history.stride = frame.turns - history.turns
    elif frame.turns - history.turns < history.stride:
        return False
    history.issued = engine.issued
    history.turns = frame.turns
    return True


def _progress(marks: list[Mark]) -> dict[_Group, float] | None:
    """(CTA, loop of a warp) -> turns over all windows, or None where the SM did not do the same in each."""
    last = marks[-1]
    if any(mark.warps != last.warps for mark in marks):
        return None
    turns: dict[_Group, float] = {}
    for i, warp in enumerate(last.warps):
        frame = last.frames[i]
        if frame is None or frame.loop is None or any(mark.frames[i] is not frame for mark in marks):
            if last.counts_by_warp[i] != marks[0].counts_by_warp[i]:
                return None
            continue
        steps = [(b.counts_by_warp[i] - a.counts_by_warp[i]) / frame.loop.length for a, b in pairwise(marks)]
        if max(steps) - min(steps) > max(1.0, _PROGRESS * max(steps)):
            return None
        turns[warp.cta, frame] = sum(steps)
    return turns


def _repetitions(progress: dict[_Group, float]) -> float:
    """How often the windows can be repeated before some warp comes to the last turns of its loop."""
    rooms = [(frame.remaining - _LAST_TURNS) / n for (_cta, frame), n in progress.items() if n]
    return max(0.0, min(rooms, default=0.0))


def _skipped(progress: dict[_Group, float], factor: float) -> dict[_Group, int] | None:
    """Turns that each warp skips; None where those of one CTA would not stay together.

    Warps of one CTA wait for each other: those in loops of the same count, but for peeled turns, skip the same number
    of turns, and others in proportion to their counts, whatever the moment of the marks made of it.
    """
    members: dict[Cta, list[Frame]] = defaultdict(list)
    for cta, frame in progress:
        members[cta].append(frame)
    turns: dict[_Group, int] = {}
    for cta, frames in members.items():
        counts = [frame.loop.count for frame in frames if frame.loop]
        done = sum(progress[cta, frame] / count for frame, count in zip(frames, counts, strict=True)) / len(frames)
        shares, parts = _shares(counts)
        skipped = round(factor * done * parts)
        for frame, share in zip(frames, shares, strict=True):
            turns[cta, frame] = skipped * share
            is_lost = not skipped and factor * progress[cta, frame] > 1
            if turns[cta, frame] >= frame.remaining or is_lost:
                return None
    return turns


def _shares(counts: list[int]) -> tuple[list[int], int]:
    """Turns of each loop in a common part of all of them, and how many parts there are.

    >>> _shares([64, 128]), _shares([31, 32]), _shares([30, 20])
    (([1, 2], 64), ([1, 1], 31), ([3, 2], 10))
    """
    least = min(counts)
    shares = [round(count / least) for count in counts]
    left_over = max(abs(count - share * least) for count, share in zip(counts, shares, strict=True))
    if left_over <= min(_PEELED, least // 10):
        return shares, least
    parts = gcd(*counts)
    return [count // parts for count in counts], parts


def _shift_barriers(turns: dict[_Group, int]) -> bool:
    """Move the mbarriers on by the completions that are skipped; False, and no change, where the warps disagree."""
    shifts: dict[tuple[Cta, str], set[int]] = defaultdict(set)
    uses = _skipped_uses(turns)
    for (warp, site), (barrier, more) in uses.items():
        done = warp.uses.get(site, 0)
        # What waits for completions that were there from the start moves nothing on.
        if barrier.jump:
            shift = barrier.completion(warp.number, done + more) - barrier.completion(warp.number, done)
            shifts[warp.cta, barrier.name].add(shift)
    if any(len(found) > 1 for found in shifts.values()):
        return False
    for (warp, site), (_barrier, more) in uses.items():
        warp.uses[site] = warp.uses.get(site, 0) + more
    for (cta, name), (shift,) in shifts.items():
        held = cta.mbarriers.get(name)
        if held is not None:
            cta.mbarriers[name] = {sequence + shift: completion for sequence, completion in held.items()}
    return True


def _skipped_uses(turns: dict[_Group, int]) -> dict[tuple[Warp, int | str], tuple[BarrierUse, int]]:
    """(warp, site) -> a use of the site, and how many are skipped."""
    found: dict[tuple[Warp, int | str], tuple[BarrierUse, int]] = {}
    for (cta, frame), n in turns.items():
        loop = frame.loop
        if loop is None or not loop.per_turn:
            continue
        warp = next(w for w in cta.warps if frame in w.frames)
        for record, each in loop.per_turn.items():
            barrier = record.barrier
            if barrier is not None and barrier.takes_part(warp.number):
                key = warp, barrier.site or record.index
                found[key] = barrier, n * each + found.get(key, (barrier, 0))[1]
    return found
