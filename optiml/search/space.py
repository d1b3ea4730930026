"""Where edits come from in a run: the proposer, asked once for each question and written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ir.diagnostics import Location, fail
from optiml.edit import Edit
from optiml.propose.protocol import Context, Proposer
from optiml.search.protocol import Scored
from optiml.store.store import Store

if TYPE_CHECKING:
    from ir.task import Task


class RecordedSpace:
    """Asks a proposer and keeps what it says; a question that the store has an answer to is not asked again."""

    def __init__(self, task: Task, proposer: Proposer, architecture: str, seed: int, store: Store) -> None:
        self._task, self._proposer, self._architecture, self._seed = task, proposer, architecture, seed
        self._store = store
        self._questions = 0

    def edits(self, at: Scored, failed: Sequence[str] = ()) -> Sequence[Edit]:
        """The proposer's edits of a candidate."""
        number, self._questions = self._questions, self._questions + 1
        known = self._store.proposal(number)
        if known is not None:
            return self._same(at, *known)
        random = np.random.default_rng([self._seed, number])
        edits = tuple(self._proposer.propose(self._context(at, failed), random))
        self._store.keep_proposal(number, at.key, edits)
        return edits

    def _same(self, at: Scored, key: str, edits: Sequence[Edit]) -> Sequence[Edit]:
        """What was said before, if it was about the same candidate."""
        if key != at.key:
            remedy = "continue it with the version of optiml and the task that began it"
            raise fail("run-diverged", "the run does not go as it did before", Location(str(self._store.path)), remedy)
        return edits

    def _context(self, at: Scored, failed: Sequence[str]) -> Context:
        metrics = at.verdict.metrics
        return Context(
            task=self._task,
            candidate=at.candidate,
            architecture=self._architecture,
            verdict=at.verdict,
            metrics=metrics,
            limiter=metrics.limiter if metrics else "",
            tried=(*at.path, *failed),
        )
