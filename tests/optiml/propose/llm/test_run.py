"""Whole runs with a model on a real socket; only the evaluation is made up: money, interruptions, what is kept."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ir.diagnostics import Diagnostic, UserError
from optiml.api import Result, Settings, Watcher, optimize, resume
from optiml.evaluate.job import Job
from optiml.propose.llm.options import ModelOptions
from optiml.search.budget import Budget
from optiml.search.strategies import STRATEGIES
from optiml.store.store import Store
from optiml.verdict import Metrics, SizeTime, Status, Verdict, failed
from tests.optiml.propose.llm.server import Handler, Says, Server, serving, status
from tests.optiml.propose.llm.situations import KERNELS, answer

SECRET = "sk-secret-0123456789"
TASK = KERNELS / "transpose" / "task.toml"
SOURCE = (KERNELS / "transpose" / "kernel.cu").read_text()
# What the model tries, in this order: rows of a stripe.
IDEAS = [4, 2, 16, 32, 1, 64]


def stripes(count: int) -> str:
    return SOURCE.replace("constexpr int STRIPE = 8;", f"constexpr int STRIPE = {count};")


@dataclass
class ByStripe:
    """An evaluator: four rows are wrong, else the more rows the faster."""

    jobs: list[Job] = field(default_factory=list)

    def submit(self, job: Job) -> int:
        self.jobs.append(job)
        return len(self.jobs) - 1

    def wait(self, number: int) -> Verdict:
        job = self.jobs[number]
        rows = next(n for n in (8, *IDEAS) if f"STRIPE = {n};" in job.candidate.source)
        if rows == 4:
            return failed(Status.WRONG_RESULT, "verify", "at ROWS=31 COLS=67\ny[3, 1] is 0, should be 1.5")
        times = tuple(SizeTime(sizes, 8000.0 / rows, 8000.0 / rows, 8000.0 / rows) for sizes in job.profile)
        return Verdict(Status.OK, "profile", metrics=Metrics("modelled", times, "l1"))

    def close(self) -> None: ...


@dataclass
class Model:
    """Says the next of IDEAS to whoever asks for an edit; unavailable after `calls` answers."""

    calls: int = 10_000
    said: int = 0
    ideas: list[int] = field(default_factory=lambda: list(IDEAS))

    def __call__(self, handler: Handler) -> None:
        if self.said >= self.calls:
            return status(503, "no capacity")(handler)
        self.said += 1
        system = handler.server.asked[-1]["messages"][0]["content"]
        if "one bottleneck" in system:
            return Says(answer(limiter="l1", evidence="x", advice="y"), read=1000, written=100)(handler)
        text = answer(stripes(self.ideas.pop(0)), tag=f"try-{self.said}") if self.ideas else answer(tag="none")
        return Says(text, read=2000, written=400)(handler)


def settings(server: Server, cost: float | None = None) -> Settings:
    models = ModelOptions(server.url, input_price=1.0, output_price=10.0, edits=2, answer_s=10.0, retries=0)
    budget = Budget(20, cost=cost)
    return Settings(str(TASK), proposer="llm:openai:tiny", strategy="greedy", budget=budget, width=1, models=models)


def steps(result: Result) -> list[tuple[str, str]]:
    return [(t.step.edit.tag, str(t.result.verdict.status)) for t in result.searched.told]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_a_run_from_the_first_question_to_the_winner(tmp_path: Path) -> None:
    with serving() as server:
        server.otherwise = Model()
        result = optimize(settings(server), tmp_path / "r", evaluator=ByStripe())
    assert result.final.winner is not None
    assert "STRIPE = 64;" in result.final.winner.scored.candidate.source and result.speedup == pytest.approx(8.0)
    assert result.searched.ended == "exhausted"
    assert steps(result)[0][1] == "wrong-result", "the first idea fails and goes back"
    with Store.open(tmp_path / "r") as store:
        roles = [e.role for e in store.exchanges()]
    assert {"judge", "editor", "repair"} == set(roles) and len(roles) == len(server.asked)
    assert SECRET.encode() not in b"".join(f.read_bytes() for f in tmp_path.iterdir())


def test_a_limit_of_cost_ends_it(tmp_path: Path) -> None:
    """A judge's answer costs 0.002 USD, an editor's 0.006: the first question has cost 0.014 at its end."""
    with serving() as server:
        server.otherwise = Model()
        result = optimize(settings(server, cost=0.014), tmp_path / "r", evaluator=ByStripe())
    assert result.searched.ended == "cost" and len(server.asked) == 3
    with Store.open(tmp_path / "r") as store:
        assert sum(e.usage.cost or 0.0 for e in store.exchanges()) == pytest.approx(0.014)


@pytest.mark.parametrize("calls", [0, 3, 5])
def test_a_mixture_goes_on_without_a_model_that_went_away(calls: int, tmp_path: Path) -> None:
    warnings: list[Diagnostic] = []
    with serving() as server:
        server.otherwise = model = Model(calls)
        mixed = replace(settings(server), proposer="rules+llm:openai:tiny", strategy="mcts")
        result = optimize(mixed, tmp_path / "r", Watcher(warning=warnings.append), evaluator=ByStripe())
    assert result.searched.ended in ("evaluations", "exhausted") and model.said == calls
    assert warnings and {w.rule for w in warnings} == {"model-unreachable"}
    assert any(t.step.edit.proposer == "rules" for t in result.searched.told)


SCRIPT = """
import json, pathlib, sys
sys.stdin.read()
counter = pathlib.Path(sys.argv[1])
number = int(counter.read_text()) + 1 if counter.exists() else 1
counter.write_text(str(number))
print(f'```json\\n{json.dumps({"tag": f"try:{number}", "why": "x", "set": {"launch.smem_bytes": 16 * number}})}\\n```')
"""


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_command_that_says_something_else_each_time_spends_the_budget(strategy: str, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(SCRIPT)
    command = f"cmd:{sys.executable} {tmp_path / 'agent.py'} {tmp_path / 'count'}"
    models = ModelOptions(edits=1, diagnose=False)
    whole = Settings(str(TASK), proposer=command, strategy=strategy, budget=Budget(20), models=models)
    evaluator = ByStripe()
    result = optimize(whole, tmp_path / "r", evaluator=evaluator)
    assert result.searched.ended == "evaluations"
    assert len({t.result.key for t in result.searched.told}) == 20


@pytest.mark.parametrize("calls", range(10))
def test_a_run_whose_model_went_away_goes_on_and_pays_nothing_twice(calls: int, tmp_path: Path) -> None:
    with serving() as server:
        server.otherwise = Model()
        whole = optimize(settings(server), tmp_path / "whole", evaluator=ByStripe())
        needed, server.otherwise = len(server.asked), (model := Model(calls))
        with pytest.raises(UserError, match="model-unreachable"):
            optimize(settings(server), tmp_path / "cut", evaluator=ByStripe())
        assert model.said == calls
        model.calls = 10_000
        again = resume(tmp_path / "cut", evaluator=ByStripe())
    assert model.said == needed, "each answer was paid once"
    assert again.final.winner == whole.final.winner and steps(again) == steps(whole)
