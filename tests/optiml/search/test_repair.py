"""Edits that failed and were mended: one program in place of another, whatever the strategy, killed or not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from optiml.edit import Edit
from optiml.evaluate.judge import Judge
from optiml.search.budget import Budget
from optiml.search.driver import Driver, Searched
from optiml.search.mcts import Mcts
from optiml.search.protocol import Scored, Step
from optiml.search.strategies import STRATEGIES, make_strategy
from optiml.store.store import Store
from optiml.verdict import Status, Verdict, failed
from tests.optiml.landscape import BASE_JOB, Formula, Steps, baseline, passed, point_of, program, trace

ROOT = baseline(0, 0)
BUDGET = Budget(60)


def odd_fails(point: Sequence[int]) -> Verdict:
    """Wrong wherever the first coordinate is odd; the fastest is at (6, 6)."""
    wrong = failed(Status.WRONG_RESULT, "verify", "odd")
    return wrong if point[0] % 2 else passed(1.0 + sum((x - 6) ** 2 for x in point))


@dataclass
class Mender:
    """Makes the first coordinate even; `cost` grows with each."""

    price: float = 0.0
    asked: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    @property
    def cost(self) -> float:
        return self.price * len(self.asked)

    def tell(self, step: Step, result: Scored) -> None:
        self.heard.append(result.key)

    def repair(self, step: Step, result: Scored) -> Edit | None:
        self.asked.append(result.key)
        x, y = point_of(result.candidate)
        return None if x == 5 else Edit(f"{step.edit.tag}-mended", "dram", "even", program(x + 1, y), "mender")


def search(path: Path, strategy: str, mender: Mender, budget: Budget = BUDGET, evaluator: Any = None) -> Searched:
    with Store.open(path) if path.exists() else Store.create(path, {}) as store:
        judge = Judge(evaluator or Formula(odd_fails), BASE_JOB, 0, store, "search")
        chosen = make_strategy(strategy, ROOT, Steps(), 0)
        assert ROOT.verdict.metrics is not None
        return Driver(chosen, judge, ROOT.verdict.metrics, budget, store, 3, mender).run()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_failure_goes_back_once_and_both_are_steps(strategy: str, tmp_path: Path) -> None:
    mender = Mender()
    told = search(tmp_path / "r", strategy, mender).told
    failures = [t for t in told if not t.result.verdict.is_ok]
    assert failures and mender.asked == [t.result.key for t in failures]
    assert mender.heard == [t.result.key for t in told]
    for before, after in pairwise(told):
        is_mended = not before.result.verdict.is_ok and point_of(before.result.candidate)[0] != 5
        assert after.step.edit.proposer == ("mender" if is_mended else "steps")
        if is_mended:
            assert after.step.parent is before.step.parent and after.result.verdict.is_ok


def test_repairs_count_as_evaluations_and_end_with_the_budget(tmp_path: Path) -> None:
    evaluator = Formula(odd_fails)
    search(tmp_path / "r", "mcts", Mender(), Budget(9), evaluator)
    assert len({c.key for c in evaluator.asked}) == len(evaluator.asked) <= 9


def test_money_ends_the_search(tmp_path: Path) -> None:
    mender = Mender(price=0.5)
    found = search(tmp_path / "r", "mcts", mender, Budget(60, cost=2.0))
    assert found.ended == "cost" and len(mender.asked) == 4


def test_a_search_gets_past_failures_by_repairs(tmp_path: Path) -> None:
    times = [t.result.verdict.time_us or 99.0 for t in search(tmp_path / "r", "mcts", Mender()).told]
    assert min(times) == 1.0


class _KilledError(Exception):
    pass


class Killed(Formula):
    def __init__(self, after: int) -> None:
        super().__init__(odd_fails)
        self.left = after

    def wait(self, number: int) -> Verdict:
        self.left -= 1
        if self.left < 0:
            raise _KilledError
        return super().wait(number)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_interrupted_search_with_repairs_goes_on_as_if_it_had_not_been(strategy: str, tmp_path: Path) -> None:
    whole = search(tmp_path / "whole", strategy, Mender())
    for after in range(1, 12):
        with suppress(_KilledError):
            search(tmp_path / "cut", strategy, Mender(), evaluator=Killed(after))
    assert trace(search(tmp_path / "cut", strategy, Mender())) == trace(whole)


def test_the_tree_stays_sound_under_repairs(tmp_path: Path) -> None:
    with Store.create(tmp_path / "r", {}) as store:
        chosen = Mcts(ROOT, Steps(), 0)
        judge = Judge(Formula(odd_fails), BASE_JOB, 0, store, "search")
        assert ROOT.verdict.metrics is not None
        Driver(chosen, judge, ROOT.verdict.metrics, Budget(60), store, 4, Mender()).run()
    for node in chosen.tree.nodes.values():
        assert node.scored is not None and node.in_flight == 0
        assert node.key == node.scored.key and node.key in chosen.tree.nodes
        assert len({e.child.key for e in node.edges}) == len(node.edges), "an edge for each child"
        assert all(e.child.key != node.key for e in node.edges)
