"""Spaces with further edits of a candidate: asked for once all are tried and it is known what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from optiml.edit import Edit
from optiml.search.protocol import Scored
from optiml.search.strategies import STRATEGIES
from tests.optiml.landscape import Formula, Steps, baseline, best_time, passed, program, search


@dataclass
class Drops:
    """Has the edits of Steps, `drop` of them at a time."""

    drop: int = 1
    given: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def edits(self, at: Scored, failed: Sequence[str] = ()) -> Sequence[Edit]:
        self.asked.append(at.key)
        first = self.given.get(at.key, 0)
        self.given[at.key] = first + self.drop
        return Steps().edits(at)[first : first + self.drop]

    def more(self, at: Scored) -> Sequence[Edit]:
        return self.edits(at)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("width", [1, 4])
def test_the_budget_is_spent_on_one_who_always_has_something_else(strategy: str, width: int, tmp_path: Path) -> None:
    """N evaluations are N programs, whether what is new is better or not."""
    for judge in (lambda _point: passed(19.0), lambda point: passed(100.0 / (1 + point[0]))):
        numbers = count(1)

        class Endless:
            def edits(self, at: Scored, failed: Sequence[str] = ()) -> Sequence[Edit]:
                new = next(numbers)  # noqa: B023
                return (Edit(f"idea:{new}", "dram", "", program(new, 0), "model"),)

            more = edits

        evaluator = Formula(judge)
        path = tmp_path / f"{judge((1, 0)).time_us}"
        found = search(path, strategy, seed=0, budget=24, width=width, evaluator=evaluator, space=Endless())
        assert found.ended == "evaluations" and len({c.key for c in evaluator.asked}) == 24


@pytest.mark.parametrize("strategy", ["mcts", "greedy", "beam", "polca"])
@pytest.mark.parametrize("width", [1, 4])
def test_the_search_goes_on_where_a_first_answer_would_have_ended_it(strategy: str, width: int, tmp_path: Path) -> None:
    assert best_time(search(tmp_path / "r", strategy, seed=0, budget=60, width=width, space=Drops())) == 1.0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_has_been_exhausted_is_not_asked_again(strategy: str, tmp_path: Path) -> None:
    space = Drops(2)
    found = search(tmp_path / "r", strategy, seed=0, budget=2000, space=space)
    assert found.ended == "exhausted"
    assert all(space.asked.count(key) <= 6 // 2 + 1 for key in space.asked)


class Watching(Drops):
    """Notes how many evaluations were under way at a candidate when further edits of it were asked for."""

    def __init__(self, evaluator: Watched) -> None:
        super().__init__()
        self.evaluator = evaluator
        self.seen: list[int] = []

    def more(self, at: Scored) -> Sequence[Edit]:
        self.seen.append(self.evaluator.under_way)
        return super().more(at)


class Watched(Formula):
    under_way = 0

    def submit(self, job: object) -> int:
        self.under_way += 1
        return super().submit(job)  # type: ignore[arg-type]

    def wait(self, number: int) -> object:  # type: ignore[override]
        self.under_way -= 1
        return super().wait(number)


def test_greedy_waits_for_all_results_before_it_asks_again(tmp_path: Path) -> None:
    evaluator = Watched()
    space = Watching(evaluator)
    search(tmp_path / "r", "greedy", seed=0, evaluator=evaluator, space=space, width=4, root=baseline(0, 0))
    assert space.seen and set(space.seen) == {0}
