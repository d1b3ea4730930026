"""Where edits come from in a run: the proposer, asked once for each question and written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ir.diagnostics import Location, fail
from optiml.edit import Edit
from optiml.memory.features import features
from optiml.memory.offer import NOTHING, Offer
from optiml.propose.exchange import Exchange
from optiml.propose.protocol import Context, Learner, Proposer, Repairer, renews
from optiml.search.budget import Budget
from optiml.search.history import History
from optiml.search.protocol import Scored, Step
from optiml.store.store import Store
from optiml.verdict import DECEITS

if TYPE_CHECKING:
    from numpy.random import Generator

    from ir.machine import Machine
    from ir.task import Task

Answer = Callable[["Kept", "Generator"], Sequence[Edit]]
# Answers without a new edit in a row after which nothing more is asked about a program.
_MOST_EMPTY = 2


@dataclass(frozen=True)
class Kept:
    """The log of one question in the store of the run."""

    store: Store
    question: int

    def recall(self, proposer: str, turn: int) -> Exchange | None:
        """What was said before the run was stopped."""
        return self.store.exchange(self.question, proposer, turn)

    def keep(self, turn: int, exchange: Exchange) -> None:
        """For good."""
        self.store.keep_exchange(self.question, turn, exchange)


class RecordedSpace:
    """Asks a proposer and keeps what it says; a question that the store has an answer to is not asked again."""

    def __init__(
        self, task: Task, proposer: Proposer, machine: Machine, seed: int, store: Store, root: Scored,
        offer: Offer = NOTHING, budget: Budget | None = None,
    ) -> None:  # fmt: skip
        self._task, self._proposer, self._machine, self._seed, self._offer = task, proposer, machine, seed, offer
        self._store, self._budget = store, budget or Budget()
        self._questions = 0
        self._cost = 0.0
        self._history = History(root)
        self._mended: dict[str, Edit | None] = {}
        self._said: dict[str, list[Sequence[Edit]]] = defaultdict(list)

    @property
    def cost(self) -> float:
        """What the answers so far cost in USD, those of before an interruption too; unknown costs count nothing."""
        return self._cost

    @property
    def _is_broke(self) -> bool:
        return bool(self._budget.spent(0, 0.0, self._cost))

    def edits(self, at: Scored, failed: Sequence[str] = ()) -> Sequence[Edit]:
        """The proposer's edits of a candidate; asked again, those that it did not have before. None for no money."""
        if self._is_broke:
            return ()
        said = self._said[at.key]
        offered = {edit.result.key for edits in said for edit in edits}
        answer = self._answer(
            at.key, lambda log, random: self._proposer.propose(self._context(at, log, failed), random)
        )
        said.append(tuple(edit for edit in answer if edit.result.key not in offered))
        return said[-1]

    def more(self, at: Scored) -> Sequence[Edit]:
        """Further edits of a candidate from a proposer that may have some, until two answers in a row have none."""
        if not renews(self._proposer):
            return ()
        said = self._said[at.key]
        while len(said) < _MOST_EMPTY or any(said[-_MOST_EMPTY:]):
            found = self.edits(at)
            if found or self._is_broke:
                return found
        return ()

    def repair(self, step: Step, result: Scored) -> Edit | None:
        """Another edit in place of one that failed; None where the proposer has none, or the failure was deceit.

        A program that failed is mended once, whichever edits lead to it.
        """
        if result.key not in self._mended:
            self._mended[result.key] = self._repair(step, result)
        return self._mended[result.key]

    def _repair(self, step: Step, result: Scored) -> Edit | None:
        proposer = self._proposer
        if not isinstance(proposer, Repairer) or result.verdict.is_ok or result.verdict.status in DECEITS:
            return None
        found = self._answer(
            result.key, lambda log, _: proposer.repair(self._context(step.parent, log), step.edit, result.verdict)
        )
        return next((e for e in found if e.result.key != result.key), None)

    def tell(self, step: Step, result: Scored) -> None:
        """What came of a step."""
        self._history.note(step, result)
        if isinstance(self._proposer, Learner):
            self._proposer.learn(step.edit, result.reward - step.parent.reward)

    def _answer(self, key: str, ask: Answer) -> Sequence[Edit]:
        """The answer to the next question, which is about the candidate of this key."""
        number, self._questions = self._questions, self._questions + 1
        known = self._store.proposal(number)
        if known is None:
            edits = tuple(ask(Kept(self._store, number), np.random.default_rng([self._seed, number])))
            self._store.keep_proposal(number, key, edits)
            known = key, edits
        self._charge(number, {edit.proposer for edit in known[1]})
        return self._same(key, *known)

    def _charge(self, number: int, helpful: Set[str]) -> None:
        """Count what the calls for a question cost. `helpful`: those of whom an edit came."""
        costs: dict[str, float] = defaultdict(float)
        for exchange in self._store.exchanges(number):
            costs[exchange.proposer] += exchange.usage.cost or 0.0
        self._cost += sum(costs.values())
        if isinstance(self._proposer, Learner):
            for name, cost in costs.items():
                self._proposer.charge(name, cost, name in helpful)

    def _same(self, asked: str, key: str, edits: Sequence[Edit]) -> Sequence[Edit]:
        """What was said before, if it was about the same candidate."""
        if key != asked:
            remedy = "continue it with the version of optiml and the task that began it"
            raise fail("run-diverged", "the run does not go as it did before", Location(str(self._store.path)), remedy)
        return edits

    def _context(self, at: Scored, log: Kept, failed: Sequence[str] = ()) -> Context:
        metrics = at.verdict.metrics
        limiter, architecture = metrics.limiter if metrics else "", self._machine.architecture
        said = self._said[at.key]
        kernel = features(at.candidate, self._task) if self._offer.records else {}
        return Context(
            task=self._task,
            candidate=at.candidate,
            architecture=architecture,
            machine=self._machine,
            metrics=metrics,
            limiter=limiter,
            tried=(*at.path, *failed),
            history=self._history.of(at.key),
            memory=self._offer.about(kernel, limiter, architecture),
            asked=len(said),
            offered=tuple(edit.result.key for edits in said for edit in edits),
            log=log,
        )
