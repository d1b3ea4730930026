"""The comparison of searches: verdicts found once, means that are right, intervals that cover, pairs of the same."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.search import Options, cell_of, document, tables
from bench.search_statistics import Cell, complete, duel, estimate, speedups
from bench.search_verdicts import SharedVerdicts, digest
from optiml.store.reading import read_run
from tests.optiml.landscape import BASE_JOB, Formula, bowl, program, search
from tests.optiml.report.test_report import begun

OPTIONS = Options(("a", "b"), ("mcts", "random"), 2, 8, "a100", None, Path("none"))


def cells(task: str = "a", **by_strategy: list[float]) -> list[Cell]:
    return [
        Cell(task, strategy, seed, (1.0, speedup))
        for strategy, values in by_strategy.items()
        for seed, speedup in enumerate(values)
    ]


def test_a_program_is_evaluated_once_whatever_the_seed(tmp_path: Path) -> None:
    inner = Formula()
    for seed in range(3):
        shared = SharedVerdicts(lambda: inner, tmp_path)
        job = BASE_JOB.of(program(2, 1), seed)
        assert shared.wait(shared.submit(job)) == bowl((2, 1))
        assert (shared.asked, shared.evaluated) == (1, int(seed == 0))
    assert len(inner.asked) == 1


@pytest.mark.parametrize(
    "change", [{"profile": ({"N": 2},)}, {"target": "h100"}, {"floors_us": (1.0,)}, {"variant": "v"}, {"task": "other"}]
)
def test_another_question_has_another_name(change: dict[str, Any]) -> None:
    job = BASE_JOB.of(program(2, 1), 0)
    assert digest(job) == digest(replace(job, seed=5, timing_seed=6, memo="elsewhere"))
    assert digest(job) != digest(replace(job, **change))
    assert digest(job) != digest(job.of(program(1, 2), 0))


def test_a_search_over_shared_verdicts_is_the_same_search(tmp_path: Path) -> None:
    traces = []
    for name in ("one", "two"):
        shared = SharedVerdicts(Formula, tmp_path / "verdicts")
        found = search(tmp_path / name, "mcts", 0, evaluator=shared)  # type: ignore[arg-type]
        traces.append([(t.result.key, t.result.reward) for t in found.told])
        assert shared.evaluated == (shared.asked if name == "one" else 0)
    assert traces[0] == traces[1]


def test_a_run_becomes_a_cell(tmp_path: Path) -> None:
    cell = cell_of(read_run(begun(tmp_path / "r.optiml")), "bowl", "mcts", 3)
    assert cell.speedup == pytest.approx(19.0) and cell.curve[0] == 1.0 and cell.curve[-1] == pytest.approx(19.0)
    assert cell.after(0) == 1.0 and cell.after(10_000) == cell.curve[-1]


def test_every_task_counts_the_same() -> None:
    found = estimate({"a": [4.0] * 9, "b": [1.0]})
    assert found.value == pytest.approx(2.0) and found.low == 1.0 and found.high == pytest.approx(4.0)


def test_the_interval_covers_what_it_should() -> None:
    random, covered = np.random.default_rng(1), 0
    for _ in range(40):
        values = {str(t): np.exp(random.normal(0.5 + random.normal(0, 0.3), 0.2, 5)).tolist() for t in range(10)}
        found = estimate(values)
        assert found.low <= found.value <= found.high
        covered += found.low <= exp(0.5) <= found.high
    assert covered >= 32


def test_a_duel_pairs_the_same_task_and_seed() -> None:
    found = duel(cells(mcts=[2.0, 8.0, 1.0], random=[1.0, 8.0, 2.0]), "mcts", "random")
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.ratio.value == pytest.approx(1.0)
    assert duel(cells(mcts=[4.0, 4.0], random=[2.0]), "mcts", "random").ratio.value == pytest.approx(2.0)


def test_only_what_every_strategy_has_is_compared() -> None:
    whole = complete(cells(mcts=[2.0, 3.0], random=[1.0]), ("mcts", "random"))
    assert [(c.strategy, c.seed) for c in whole] == [("mcts", 0), ("random", 0)]
    assert speedups(whole, "mcts") == {"a": [2.0]} and speedups(whole, "mcts", 0) == {"a": [1.0]}


def test_the_tables_say_what_was_run() -> None:
    found = cells(mcts=[2.0, 2.0], random=[1.0, 2.0]) + cells("b", mcts=[4.0, 4.0], random=[2.0, 2.0])
    first, *rest = tables(found, OPTIONS, "abc")
    assert "commit abc" in str(first) and "modelled" in str(first) and len(rest) == 3
    assert [str(t) for t in tables([], OPTIONS, "abc")][1:] == []
    told = document(found, OPTIONS, "abc")
    assert told["commit"] == "abc" and told["mean"]["mcts"]["value"] == pytest.approx(8.0**0.5)  # type: ignore[index]
    assert document([], OPTIONS, "abc")["mean"] == {}
