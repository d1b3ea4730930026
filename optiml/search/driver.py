"""The loop of every search: ask, evaluate ahead, tell in the order of asking, within a budget.

Up to `width` evaluations are under way at once. Since results are told in the order in which they were asked for, the
search depends on `width` but on neither the number of workers nor their speed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ir.diagnostics import Location, fail
from optiml.evaluate.judge import Judge
from optiml.evaluate.reward import reward_of
from optiml.search.budget import Budget
from optiml.search.protocol import Scored, Step, Strategy
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


@dataclass
class Driver:
    """Runs one strategy."""

    strategy: Strategy
    judge: Judge
    baseline: Metrics
    budget: Budget
    store: Store
    width: int = 4
    cost: Callable[[], float] = lambda: 0.0
    progress: Callable[[Told], None] = lambda _told: None

    def run(self) -> Searched:
        """Search until the budget is spent or nothing is left to try."""
        recorded = self.store.steps()
        before_s = recorded[-1].elapsed_s if recorded else 0.0
        started_s, told, begun, known_in_a_row = time.monotonic(), list[Told](), 0, 0
        pending: deque[tuple[Step, bool]] = deque()
        ended = "exhausted"
        while True:
            elapsed_s = before_s + time.monotonic() - started_s
            is_replayed = len(told) < len(recorded)
            spent = self.budget.spent(begun, 0.0 if is_replayed else elapsed_s, self.cost())
            step = None
            if not spent and len(pending) < self.width and known_in_a_row < _MOST_KNOWN_IN_A_ROW:
                step = self.strategy.ask()
            if step is not None:
                is_new = self.judge.begin(step.edit.result)
                begun += is_new
                known_in_a_row = 0 if is_new else known_in_a_row + 1
                pending.append((step, is_new))
                continue
            ended = spent or ended
            if not pending:
                return Searched(tuple(told), spent or "exhausted")
            done, is_new = pending.popleft()
            told.append(self._tell(done, is_new, len(told), begun - sum(n for _, n in pending), elapsed_s))

    def _tell(self, step: Step, is_new: bool, number: int, evaluations: int, elapsed_s: float) -> Told:
        verdict = self.judge.verdict(step.edit.result)
        result = Scored(step.edit.result, verdict, reward_of(verdict, self.baseline), step.path)
        self.strategy.tell(step, result)
        edit = step.edit
        row = StepRow(
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
        self._keep(row)
        found = Told(step, result, evaluations, is_new)
        self.progress(found)
        return found

    def _keep(self, row: StepRow) -> None:
        known = self.store.step(row.number)
        if known is None:
            self.store.keep_step(row)
        elif (known.key, known.parent, known.tag) != (row.key, row.parent, row.tag):
            remedy = "continue it with the version of optiml and the task that began it"
            raise fail("run-diverged", "the run does not go as it did before", Location(str(self.store.path)), remedy)
