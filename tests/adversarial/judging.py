"""Judges fixtures as `optiml optimize` judges candidates: the same pool, the same job as after the baseline.

The baselines of the suite's tasks touch all of their data, which is all that a job takes from them; a test of its own
says so, and spares the others to model them again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from backends.machines import load_machine
from optiml.evaluate.floors import distinct_bytes
from optiml.evaluate.job import Job, Limits
from optiml.evaluate.pool import Pool
from optiml.evaluate.questions import guarded, question
from optiml.verdict import Metrics, SizeTime, Verdict
from tests.adversarial.fixtures import Fixture, task_of

TARGET = "a100"
SEED = 20


class Court:
    """One pool, and for each task the job that follows from its baseline."""

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self._jobs: dict[str, Job] = {}

    @cached_property
    def pool(self) -> Pool:
        """Started when it is needed."""
        return Pool(self._workers, "triton")

    def job(self, name: str) -> Job:
        """The job for a task's candidates."""
        if name not in self._jobs:
            task, first = task_of(name), self.question(name)
            size = first.profile[0]
            counters = {"unique_bytes": float(distinct_bytes(task, size))}
            touches_all = Metrics("modelled", (SizeTime(size, 1.0, 1.0, 1.0),), counters=counters)
            self._jobs[name] = guarded(first, task, load_machine(TARGET), touches_all)
        return self._jobs[name]

    def question(self, name: str) -> Job:
        """The job for a task's own kernel."""
        task = task_of(name)
        return question(task, TARGET, task.sizes["report"][:1], SEED, Limits())

    def baseline(self, name: str) -> Verdict:
        """The verdict on a task's own kernel."""
        return self.end(self.pool.submit(self.question(name)))

    def begin(self, fixture: Fixture) -> int:
        """Begin to judge it; `end` takes the number."""
        job = self.job(fixture.task)
        limits = replace(job.limits, **fixture.limits)
        return self.pool.submit(replace(job, candidate=fixture.candidate, seed=SEED + 1, limits=limits))

    def end(self, number: int) -> Verdict:
        """The verdict."""
        return self.pool.wait(number)

    def close(self) -> None:
        """End the pool."""
        if "pool" in self.__dict__:
            self.pool.close()
