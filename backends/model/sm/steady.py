"""Skip the turns of a loop once they have become even: whatever happened in the last ones happens so often again.

At the turns of one warp's loop the whole SM is marked. Where the time and every warp's progress between the last marks
equal those before, the SM repeats itself, and as many repetitions as every warp has left are added without simulation.
Inner loops are skipped first, and make the turns of outer loops short enough to be skipped in their turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backends.model.sm.state import Cta, Frame, Warp

if TYPE_CHECKING:
    from backends.model.sm.engine import Engine

# Issues between two marks, so that marks cost little beside what they save.
_ISSUES_PER_MARK = 1000
_KEPT_MARKS = 17
# Marks of a loop, issues of the SM -> difference of two windows, in parts of their time, that counts as even.
_TOLERANCES = ((6, 60_000, 0.002), (12, 120_000, 0.01), (20, 240_000, 0.03), (32, 400_000, 0.08))
_UNEVEN = 0.03
# Turns that are always simulated at the end of a loop: warps are not all at the same place.
_LAST_TURNS = 2
_Group = tuple[Cta, Frame]


class Mark:
    """The SM at one time: each warp's progress at one depth of its loops, and all that was counted so far."""

    __slots__ = ("busy", "bytes", "counts", "frames", "lasts", "stalls", "time", "turns", "warps")

    def __init__(self, engine: Engine, depth: int, now: int) -> None:
        self.time = now + engine.offset
        self.warps = list(engine.live)
        self.frames = [w.frames[depth] if len(w.frames) > depth else None for w in self.warps]
        self.turns = [frame.turns if frame else 0 for frame in self.frames]
        self.lasts = [w.last for w in self.warps]
        self.counts = [record.issues for record in engine.program.records]
        self.stalls = [list(record.stalls) for record in engine.program.records]
        self.bytes = dict(engine.bytes)
        self.busy = dict(engine.busy)


class History:
    """The marks of one loop, `stride` turns apart."""

    __slots__ = ("issued", "marks", "seen", "stride", "turns")

    def __init__(self, issued: int, turns: int) -> None:
        self.marks: list[Mark] = []
        self.seen = 0
        self.stride = 0
        self.issued = issued
        self.turns = turns


class Extrapolation:
    """Looks at the turns of one warp's loops. skipped_turns: of that warp; is_steady: none was skipped uneven."""

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self.skipped_turns = 0
        self.is_steady = True

    def turn(self, engine: Engine, warp: Warp, frame: Frame, now: int) -> None:
        """A warp has begun another turn of a loop."""
        if not self.enabled or warp is not engine.live[0] or frame.remaining <= _LAST_TURNS:
            return
        history = frame.history
        if history is None:
            history = frame.history = History(engine.issued, frame.turns)
        if not _is_due(history, engine, frame):
            return
        history.seen += 1
        history.marks = [*history.marks[1 - _KEPT_MARKS :], Mark(engine, warp.frames.index(frame), now)]
        self._try(engine, history, frame)

    def _try(self, engine: Engine, history: History, frame: Frame) -> None:
        tolerance = _tolerance(history.seen, engine.issued)
        marks = history.marks
        spans = [span for span in (1, 2, 4, 8) if 2 * span < len(marks)]
        for span in reversed(spans) if tolerance is None else spans:
            before, middle, after = marks[-1 - 2 * span], marks[-1 - span], marks[-1]
            turns = _progress(before, middle, after, frame)
            time = after.time - middle.time
            difference = abs(time - (middle.time - before.time)) / max(time, 1.0)
            if turns is None or (tolerance is not None and difference > tolerance):
                continue
            times = _repetitions(turns)
            if times > 0 and _shift_barriers(turns, times):
                self._skip(engine, middle, after, turns, times)
                self.skipped_turns += times * turns[_group_of(frame, after)]
                self.is_steady &= difference <= _UNEVEN
                frame.history = None
                return

    @staticmethod
    def _skip(engine: Engine, middle: Mark, after: Mark, turns: dict[_Group, int], times: int) -> None:
        for (_cta, frame), n in turns.items():
            frame.remaining -= times * n
            frame.turns += times * n
        engine.offset += times * (after.time - middle.time)
        for i, record in enumerate(engine.program.records):
            record.issues += times * (after.counts[i] - middle.counts[i])
            if after.counts[i] == middle.counts[i] and after.stalls[i] == middle.stalls[i]:
                continue
            pairs = zip(after.stalls[i], middle.stalls[i], strict=True)
            record.stalls = [now + times * (b - a) for now, (b, a) in zip(record.stalls, pairs, strict=True)]
        for totals, late, early in ((engine.bytes, after.bytes, middle.bytes), (engine.busy, after.busy, middle.busy)):
            for name, amount in late.items():
                totals[name] += times * (amount - early.get(name, 0.0))


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


def _tolerance(marks: int, issued: int) -> float | None:
    """How even two windows must be; None: what there is must do."""
    return next((t for most, budget, t in _TOLERANCES if marks <= most and issued <= budget), None)


def _group_of(frame: Frame, mark: Mark) -> _Group:
    return next((warp.cta, f) for warp, f in zip(mark.warps, mark.frames, strict=True) if f is frame)


def _progress(before: Mark, middle: Mark, after: Mark, frame: Frame) -> dict[_Group, int] | None:
    """(CTA, loop of a warp) -> turns in the last window, or None where the SM did not do the same in both.

    Warps of one CTA wait for each other: those in the same loop make the same number of turns, whatever the moment
    of the marks made of it, and those in different loops turn in proportion to their counts.
    """
    if not before.warps == middle.warps == after.warps:
        return None
    turns: dict[_Group, int] = {}
    for i, warp in enumerate(after.warps):
        mine = after.frames[i]
        if mine is None or mine is not middle.frames[i] or mine is not before.frames[i]:
            if after.lasts[i] != before.lasts[i]:
                return None
            continue
        first, last = middle.turns[i] - before.turns[i], after.turns[i] - middle.turns[i]
        if abs(first - last) > 1:
            return None
        turns[warp.cta, mine] = last
    return _together(turns, frame, _group_of(frame, after)[0])


def _together(turns: dict[_Group, int], frame: Frame, cta: Cta) -> dict[_Group, int] | None:
    """The same with one number of turns for the warps of a CTA in each loop."""
    members: dict[Cta, list[_Group]] = defaultdict(list)
    for group in turns:
        members[group[0]].append(group)
    for owner, groups in members.items():
        leader = frame if owner is cta else sorted(groups, key=lambda g: turns[g])[len(groups) // 2][1]
        assert leader.loop is not None
        mine = turns[owner, leader]
        for group in groups:
            loop = group[1].loop
            assert loop is not None
            fair = mine * loop.count / leader.loop.count
            if abs(turns[group] - fair) > 1 or fair != int(fair):
                return None
            turns[group] = int(fair)
    return turns


def _repetitions(turns: dict[_Group, int]) -> int:
    """How often the window can be repeated before some warp comes to the end of its loop."""
    return min((max(0, f.remaining - _LAST_TURNS) // n for (_cta, f), n in turns.items() if n), default=0)


def _shift_barriers(turns: dict[_Group, int], times: int) -> bool:
    """Move the mbarriers on by the completions that are skipped; False, and no change, where the warps disagree."""
    shifts: dict[tuple[Cta, str], set[int]] = defaultdict(set)
    uses: list[tuple[Warp, int, int]] = []
    for warp, name, index, shift in _skipped_uses(turns, times):
        shifts[warp.cta, name].add(shift)
        uses.append((warp, index, shift))
    if any(len(found) > 1 for found in shifts.values()):
        return False
    for warp, index, shift in uses:
        warp.uses[index] = warp.uses.get(index, 0) + shift
    for (cta, name), (shift,) in shifts.items():
        held = cta.mbarriers.get(name)
        if held is not None:
            cta.mbarriers[name] = {sequence + shift: completion for sequence, completion in held.items()}
    return True


def _skipped_uses(turns: dict[_Group, int], times: int) -> Iterator[tuple[Warp, str, int, int]]:
    for (cta, frame), n in turns.items():
        loop = frame.loop
        if loop is None or not loop.per_turn:
            continue
        warp = next(w for w in cta.warps if frame in w.frames)
        for (index, name), uses in loop.per_turn.items():
            yield warp, name, index, times * n * uses
