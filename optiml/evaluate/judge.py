"""The judge: candidates to verdicts, each program once for each purpose, out of the store where it is known."""

from __future__ import annotations

from optiml.candidate import Candidate
from optiml.evaluate.job import Job
from optiml.evaluate.pool import Evaluator
from optiml.evaluate.secret import secret_seed
from optiml.store.store import Store
from optiml.verdict import Verdict


class Judge:
    """Evaluates candidates by one job, whose seed is drawn anew for each candidate and purpose.

    What inputs a candidate is checked with depends on its own text, so that none can be written to fit them.
    """

    def __init__(self, evaluator: Evaluator, job: Job, seed: int, store: Store, purpose: str) -> None:
        self.job, self.purpose = job, purpose
        self._evaluator, self._store, self._seed = evaluator, store, seed
        self._known: dict[str, Verdict] = {}
        self._under_way: dict[str, tuple[int, Candidate]] = {}

    def begin(self, candidate: Candidate) -> bool:
        """Begin an evaluation; False where the verdict is known or under way already."""
        key = candidate.key
        if key in self._known or key in self._under_way:
            return False
        verdict = self._store.verdict(key, self.purpose)
        if verdict is None:
            job = self.job.of(candidate, secret_seed(self._seed, self.purpose, key))
            self._under_way[key] = (self._evaluator.submit(job), candidate)
        else:
            self._known[key] = verdict
        return True

    def verdict(self, candidate: Candidate) -> Verdict:
        """Wait for the verdict and keep it. Raises UserError where the task itself is at fault."""
        key = candidate.key
        self.begin(candidate)
        if key not in self._known:
            number, begun = self._under_way.pop(key)
            verdict = self._evaluator.wait(number)
            self._store.keep_verdict(begun, self.purpose, verdict)
            self._known[key] = verdict
        return self._known[key]
