"""Every strategy: within the budget, deterministic for its seed and any number of workers, no program twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiml.search.strategies import STRATEGIES
from optiml.verdict import Status, failed
from tests.optiml.landscape import Formula, Steps, baseline, best_time, program, search, trace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.optiml"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_budget_is_kept_and_no_program_is_evaluated_twice(strategy: str, path: Path) -> None:
    evaluator = Formula()
    searched = search(path, strategy, seed=0, budget=25, evaluator=evaluator)
    assert len(evaluator.asked) == len({c.key for c in evaluator.asked}) <= 25
    assert searched.ended == ("evaluations" if len(evaluator.asked) == 25 else "exhausted")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_seed_gives_one_search(strategy: str, tmp_path: Path) -> None:
    first, second = (search(tmp_path / f"{n}.optiml", strategy, seed=5) for n in range(2))
    assert trace(first) == trace(second)


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s not in ("greedy", "beam")])
def test_another_seed_gives_another_search(strategy: str, tmp_path: Path) -> None:
    assert trace(search(tmp_path / "a.optiml", strategy, seed=1)) != trace(
        search(tmp_path / "b.optiml", strategy, seed=2)
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_gets_better_than_its_start(strategy: str, path: Path) -> None:
    assert best_time(search(path, strategy, seed=0, budget=40)) < 19.0 / 2


@pytest.mark.parametrize("strategy", ["mcts", "greedy", "beam", "polca"])
def test_guided_strategies_reach_the_bottom_of_a_bowl(strategy: str, path: Path) -> None:
    assert best_time(search(path, strategy, seed=0, budget=48)) == 1.0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_space_that_ends_ends_the_search(strategy: str, path: Path) -> None:
    searched = search(path, strategy, seed=0, budget=500, space=Steps(top=1))
    assert searched.ended == "exhausted"
    assert {t.result.key for t in searched.told} - {program(0, 0).key} <= {
        program(0, 1).key, program(1, 0).key, program(1, 1).key
    }  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_space_without_edits_is_exhausted_at_once(strategy: str, path: Path) -> None:
    class Nothing:
        def edits(self, *_at: object) -> tuple[()]:
            return ()

        more = edits

    searched = search(path, strategy, seed=0, space=Nothing())
    assert (searched.told, searched.ended) == ((), "exhausted")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_all_edits_failing_is_survived(strategy: str, path: Path) -> None:
    evaluator = Formula(lambda _point: failed(Status.COMPILE_ERROR, "compile", "never"))
    searched = search(path, strategy, seed=0, budget=30, evaluator=evaluator, root=baseline(3, 3))
    assert searched.ended == "exhausted"
    assert not any(t.result.verdict.is_ok for t in searched.told)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_results_are_told_in_the_order_of_asking(strategy: str, path: Path) -> None:
    evaluator = Formula()
    searched = search(path, strategy, seed=3, evaluator=evaluator, width=7)
    first_told = list(dict.fromkeys(t.result.key for t in searched.told))
    assert first_told == [c.key for c in evaluator.asked]


class _KilledError(Exception):
    pass


class Killed(Formula):
    """Ends the process, as it were, at the n-th verdict."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def wait(self, number: int) -> object:  # type: ignore[override]
        self.left -= 1
        if self.left < 0:
            raise _KilledError
        return super().wait(number)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(STRATEGIES), st.integers(0, 3), st.lists(st.integers(0, 12), max_size=4), st.integers(1, 6))
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    strategy: str, seed: int, stops: list[int], width: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = search(Path(folder) / "whole.optiml", strategy, seed, budget=25, width=width)
        path = Path(folder) / "stopped.optiml"
        known = set[str]()
        for at in stops:
            evaluator = Killed(at)
            with suppress(_KilledError):
                search(path, strategy, seed, budget=25, width=width, evaluator=evaluator)
            known |= {c.key for c in evaluator.asked[: max(at - 1, 0)]}
        last = Formula()
        assert trace(search(path, strategy, seed, budget=25, width=width, evaluator=last)) == trace(whole)
        assert not known & {c.key for c in last.asked}, "nothing that is known is evaluated again"


def counted(path: Path, width: int) -> Iterator[int]:
    searched = search(path, "mcts", seed=0, width=width)
    yield from (t.evaluations for t in searched.told if t.is_new)


def test_evaluations_are_counted_one_by_one(path: Path) -> None:
    assert list(counted(path, width=4)) == list(range(1, 41))
