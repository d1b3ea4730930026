"""A made-up search problem: programs are points, edits move along an axis, times come from a formula."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.evaluate.job import Job
from optiml.evaluate.judge import Judge
from optiml.search.budget import Budget
from optiml.search.driver import Driver, Searched
from optiml.search.protocol import Scored, Space
from optiml.search.strategies import make_strategy
from optiml.store.store import Store
from optiml.verdict import Metrics, SizeTime, Status, Verdict, failed

SIZES = {"N": 1}
BASE_JOB = Job("task.toml", "", "a100", Candidate("triton", ""), 0, (SIZES,), (SIZES,))


def program(*point: int) -> Candidate:
    return Candidate("triton", f"AT = {point!r}")


def point_of(candidate: Candidate) -> tuple[int, ...]:
    found: tuple[int, ...] = ast.literal_eval(candidate.source.partition("=")[2].strip())
    return found


def passed(time_us: float, limiter: str = "dram") -> Verdict:
    return Verdict(
        Status.OK, "profile", metrics=Metrics("modelled", (SizeTime(SIZES, time_us, time_us, time_us),), limiter)
    )


def bowl(point: Sequence[int]) -> Verdict:
    """Fastest at (3, 3, ...); wrong where the coordinates add up to a multiple of 7."""
    if sum(point) and sum(point) % 7 == 0:
        return failed(Status.WRONG_RESULT, "verify", "a multiple of seven")
    return passed(1.0 + sum((x - 3) ** 2 for x in point))


@dataclass
class Formula:
    """An evaluator; `asked` has every job in order."""

    judge: Callable[[Sequence[int]], Verdict] = bowl
    asked: list[Candidate] = field(default_factory=list)

    def submit(self, job: Job) -> int:
        self.asked.append(job.candidate)
        return len(self.asked) - 1

    def wait(self, number: int) -> Verdict:
        return self.judge(point_of(self.asked[number]))

    def close(self) -> None: ...


@dataclass
class Steps:
    """A space: one up or down along each axis, within 0 to `top`."""

    top: int = 6
    asked: int = 0

    def edits(self, at: Scored, failed: Sequence[str] = ()) -> Sequence[Edit]:
        self.asked += 1
        return tuple(self._edits(point_of(at.candidate)))

    def more(self, at: Scored) -> Sequence[Edit]:
        """It says all at once."""
        return ()

    def _edits(self, point: tuple[int, ...]) -> Iterator[Edit]:
        for axis in range(len(point)):
            for change in (1, -1, 2):
                new = (*point[:axis], point[axis] + change, *point[axis + 1 :])
                if 0 <= new[axis] <= self.top:
                    yield Edit(f"axis{axis}:{change}", "dram", "to try it", program(*new), "steps")


def baseline(*point: int, judge: Callable[[Sequence[int]], Verdict] = bowl) -> Scored:
    return Scored(program(*point), judge(point), 0.0)


def search(
    path: Path, strategy: str, seed: int, budget: int = 40, width: int = 4, evaluator: Formula | None = None,
    space: Space | None = None, root: Scored | None = None,
) -> Searched:  # fmt: skip
    """A whole search in a store at `path`, which may be there already."""
    start = root or baseline(0, 0)
    assert start.verdict.metrics is not None
    with Store.open(path) if path.exists() else Store.create(path, {}) as store:
        judge = Judge(evaluator or Formula(), BASE_JOB, seed, store, "search")
        chosen = make_strategy(strategy, start, space or Steps(), seed)
        return Driver(chosen, judge, start.verdict.metrics, Budget(budget), store, width).run()


def best_time(searched: Searched) -> float:
    return min(t.result.verdict.time_us or float("inf") for t in searched.told)


def trace(searched: Searched) -> list[tuple[str, str, float]]:
    return [(t.step.parent.key, t.result.key, t.result.reward) for t in searched.told]
