"""Schedules of the whole loop at one interval: any that keep pinned and capped stages, and the shortest.

Only contended ops and ops with a pinned stage are variables; the rest issue as early as these allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twill.solve.modulo_cpsat import Answer, SlotModel, Slots, Verdict, Window
from twill.solve.modulo_paths import longest_paths
from twill.solve.modulo_system import NO_UNIT, System, relax
from twill.solve.protocol import Limits


@dataclass(frozen=True)
class Whole:
    """All schedules at one interval that end by `last`; `answer`s have times of all ops."""

    system: System
    ii: int
    last: int

    def feasible(self, limits: Limits, effort: float) -> Answer:
        """Any schedule."""
        return self._search(limits, effort)

    def shortest(self, limits: Limits, effort: float, least: int, known: Sequence[int]) -> Answer:
        """The least length, at least `least`, from the known times on; `bound` is proven even if cut short."""
        return self._search(limits, effort, least, known)

    def _search(self, limits: Limits, effort: float, least: int = 0, known: Sequence[int] = ()) -> Answer:
        windows = self.system.windows(self.ii, self.last)
        if windows is None:
            return Answer(Verdict.INFEASIBLE)
        ops, model = self._model(*windows)
        if known:
            tails = self.system.tails(self.ii)
            model.minimise([tails[op] for op in ops], least, self.last)
            model.hint([known[op] for op in ops])
        answer = model.solve(limits, effort)
        times = tuple(self._filled(windows[0], ops, answer.times)) if answer.times or not ops else ()
        return Answer(answer.verdict, times, answer.bound, answer.interrupted)

    def _model(self, low: Sequence[int], high: Sequence[int]) -> tuple[list[int], SlotModel]:
        ops = self._variables()
        held = set(self.system.contended(self.ii))
        windows = tuple(
            Window(low[op], high[op], self.system.unit[op] if op in held else NO_UNIT, self.system.occupancy[op])
            for op in ops
        )
        paths = longest_paths(self.system.size, self.system.weighted(self.ii), ops)
        model = SlotModel(Slots(self.ii, windows, paths, self.system.counts))
        if self.system.stages:
            model.start_at_zero()
        return ops, model

    def _variables(self) -> list[int]:
        """Pinned stages count from time 0, where some op must then issue: it may be any."""
        return list(range(self.system.size)) if self.system.stages else self.system.contended(self.ii)

    def _filled(self, low: Sequence[int], ops: Sequence[int], times: Sequence[int]) -> list[int]:
        filled = list(low)
        for op, time in zip(ops, times, strict=True):
            filled[op] = time
        relaxed = relax(filled, self.system.weighted(self.ii))
        assert relaxed is not None, "the windows exist, so no cycle is positive"
        first = min(relaxed, default=0)
        return [time - first for time in relaxed]
