"""The loop of every search: ask, evaluate ahead, tell in the order of asking, within a budget.

Up to `width` evaluations are under way at once. Since results are told in the order in which they were asked for, the
search depends on `width` but on neither the number of workers nor their speed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ir.diagnostics import Location, fail
from optiml.evaluate.judge import Judge
from optiml.evaluate.reward import reward_of
from optiml.search.budget import Budget
from optiml.search.protocol import Scored, Source, Step, Strategy
from optiml.store.store import StepRow, Store
from optiml.verdict import Metrics

# A strategy that asks for known programs alone has come to the end of what it can think of.
_MOST_KNOWN_IN_A_ROW = 500


@dataclass(frozen=True)
class Told:
    """One step with what came of it; evaluations: how many programs have been evaluated so far."""

    step: Step
    result: Scored
    evaluations: int
    is_new: bool


@dataclass(frozen=True)
class Searched:
    """All that was told, in order, and why the search ended: `evaluations`, `seconds`, `cost` or `exhausted`."""

    told: tuple[Told, ...]
    ended: str


class Silent:
    """A source that only has edits."""

    cost = 0.0

    def tell(self, step: Step, result: Scored) -> None:
        """It learns nothing."""

    def repair(self, step: Step, result: Scored) -> None:
        """It mends nothing."""


@dataclass
class Driver:
    """Runs one strategy, once."""

    strategy: Strategy
    judge: Judge
    baseline: Metrics
    budget: Budget
    store: Store
    width: int = 4
    source: Source = field(default_factory=Silent)
    progress: Callable[[Told], None] = lambda _told: None
    _told: list[Told] = field(init=False, default_factory=list)
    _pending: deque[tuple[Step, bool]] = field(init=False, default_factory=deque)
    _begun: int = field(init=False, default=0)
    _known_in_a_row: int = field(init=False, default=0)

    def run(self) -> Searched:
        """Search until the budget is spent or nothing is left to try."""
        recorded = self.store.steps()
        before_s = recorded[-1].elapsed_s if recorded else 0.0
        started_s = time.monotonic()
        while True:
            elapsed_s = before_s + time.monotonic() - started_s
            is_replayed = len(self._told) < len(recorded)
            spent = self.budget.spent(self._begun, 0.0 if is_replayed else elapsed_s, self.source.cost)
            step = None if spent else self._asked()
            if step is not None:
                self._pending.append((step, self._begin(step)))
            elif self._pending:
                self._finish(*self._pending.popleft(), elapsed_s)
            else:
                return Searched(tuple(self._told), spent or "exhausted")

    def _asked(self) -> Step | None:
        if len(self._pending) >= self.width or self._known_in_a_row >= _MOST_KNOWN_IN_A_ROW:
            return None
        return self.strategy.ask()

    def _begin(self, step: Step) -> bool:
        is_new = self.judge.begin(step.edit.result)
        self._begun += is_new
        self._known_in_a_row = 0 if is_new else self._known_in_a_row + 1
        return is_new

    def _finish(self, step: Step, is_new: bool, elapsed_s: float) -> None:
        """Note a step's result, and that of its repair if there is one; the last is what the strategy hears."""
        result = self._noted(step, is_new, elapsed_s)
        mended = self._mended(step, result)
        if mended is not None:
            result = self._noted(mended, self._begin(mended), elapsed_s)
        self.strategy.tell(step, result)

    def _mended(self, step: Step, result: Scored) -> Step | None:
        """A repair is evaluated only while evaluations and money last; that may not depend on a clock."""
        if result.verdict.is_ok or self.budget.spent(self._begun, 0.0, self.source.cost):
            return None
        edit = self.source.repair(step, result)
        return None if edit is None else Step(step.parent, edit)

    def _noted(self, step: Step, is_new: bool, elapsed_s: float) -> Scored:
        verdict = self.judge.verdict(step.edit.result)
        result = Scored(step.edit.result, verdict, reward_of(verdict, self.baseline), step.path)
        self.source.tell(step, result)
        self._keep(_row(len(self._told), step, result, elapsed_s))
        evaluations = self._begun - sum(n for _, n in self._pending)
        self._told.append(Told(step, result, evaluations, is_new))
        self.progress(self._told[-1])
        return result

    def _keep(self, row: StepRow) -> None:
        known = self.store.step(row.number)
        if known is None:
            self.store.keep_step(row)
        elif (known.key, known.parent, known.tag) != (row.key, row.parent, row.tag):
            remedy = "continue it with the version of optiml and the task that began it"
            raise fail("run-diverged", "the run does not go as it did before", Location(str(self.store.path)), remedy)


def _row(number: int, step: Step, result: Scored, elapsed_s: float) -> StepRow:
    edit = step.edit
    return StepRow(
        number,
        result.key,
        step.parent.key,
        edit.tag,
        edit.limiter,
        edit.why,
        edit.proposer,
        result.reward,
        elapsed_s,
    )
