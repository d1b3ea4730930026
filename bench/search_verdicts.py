"""Verdicts on disk that many searches share: what a program came to for a job is found out once.

The key leaves out the seed of the inputs, so that searches with different seeds share verdicts: a program is verified
with one set of inputs in the whole comparison. What is compared is strategies, not verification. Verdicts on timeouts
are shared like the others: every strategy meets the same program with the same fate.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from optiml.evaluate.job import Job, job_document
from optiml.evaluate.pool import Evaluator
from optiml.verdict import Verdict, document_of, verdict_of

# Of a job, what does not change the question, or is made up by the pool.
_LEFT_OUT = ("seed", "timing_seed", "memo", "artifacts", "artifact_at", "candidate")


class SharedVerdicts:
    """An evaluator that asks another one, made when it is needed, only for what the folder does not have."""

    def __init__(self, make: Callable[[], Evaluator], folder: Path) -> None:
        self.asked = self.evaluated = 0
        self._make, self._folder = make, folder
        self._evaluator: Evaluator | None = None
        self._jobs: dict[int, tuple[Path, int | None]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def submit(self, job: Job) -> int:
        """Begin, unless the verdict is known."""
        self.asked += 1
        file = self._folder / digest(job)
        under_way = None if file.exists() else self._asked().submit(job)
        self.evaluated += under_way is not None
        self._jobs[self.asked] = (file, under_way)
        return self.asked

    def wait(self, number: int) -> Verdict:
        """The verdict. Raises UserError where the task itself is at fault."""
        file, under_way = self._jobs.pop(number)
        if under_way is None:
            return verdict_of(json.loads(file.read_text()))
        verdict = self._asked().wait(under_way)
        beside = file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(document_of(verdict)))
        beside.replace(file)
        return verdict

    def close(self) -> None:
        """Stop what is under way."""
        if self._evaluator is not None:
            self._evaluator.close()

    def _asked(self) -> Evaluator:
        self._evaluator = self._evaluator or self._make()
        return self._evaluator


def digest(job: Job) -> str:
    """A name for the program and what is asked about it."""
    asked: Mapping[str, object] = {k: v for k, v in job_document(job).items() if k not in _LEFT_OUT}
    text = json.dumps([job.candidate.key, asked], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
