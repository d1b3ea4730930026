"""A recorded run once more: the same steps for the same strategy and seed, with whatever it was that proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from backends.machines import load_machine
from ir.diagnostics import UserError
from ir.task import load_task
from optiml.edit import Edit
from optiml.evaluate.judge import Judge
from optiml.propose.bandit import Bandit
from optiml.propose.exchange import Exchange, Message, Usage
from optiml.propose.protocol import Context, Proposer
from optiml.propose.replay import ReplayProposer
from optiml.search.budget import Budget
from optiml.search.driver import Driver, Searched
from optiml.search.protocol import Scored
from optiml.search.space import RecordedSpace
from optiml.search.strategies import STRATEGIES, make_strategy
from optiml.store.store import Store
from optiml.verdict import Verdict
from tests.optiml.landscape import BASE_JOB, Formula, Steps, baseline, bowl, point_of, program, trace

ROOT = baseline(0, 0)
TASK = load_task(Path(__file__).parents[3] / "kernels" / "transpose")
MACHINE = load_machine("a100")


@dataclass
class Whimsical:
    """Proposes by chance, mends what failed, and pays for each question; asked again it says something else."""

    name: str = "whim"
    renews: bool = True
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    asked: int = 0

    def propose(self, context: Context, random: np.random.Generator) -> Sequence[Edit]:
        self._call(context, "editor")
        edits = Steps().edits(Scored(context.candidate, bowl(point_of(context.candidate)), 0.0))
        order = self.chance.permutation(len(edits))[:4]
        return [Edit(edits[i].tag, "dram", "why", edits[i].result, self.name) for i in order]

    def repair(self, context: Context, edit: Edit, verdict: Verdict) -> Sequence[Edit]:
        self._call(context, "repair")
        x, y = point_of(edit.result)
        return [Edit(f"{edit.tag}-mended", "l1", "why", program(x, y + 1), self.name)]

    def _call(self, context: Context, role: str) -> None:
        self.asked += 1
        messages = (Message("user", repr(context.history)),)
        usage = Usage(10, 5, 0.25)
        context.log.keep(0, Exchange(self.name, role, messages, "reply", "complete", "used", usage, 0.0))


@dataclass
class Dull:
    """Moves along one axis."""

    name: str = "dull"
    axis: str = "axis0"

    def propose(self, context: Context, random: np.random.Generator) -> Sequence[Edit]:
        edits = Steps().edits(Scored(context.candidate, bowl(point_of(context.candidate)), 0.0))
        mine = [e for e in edits if self.axis in e.tag]
        return [Edit(e.tag, "dram", "why", e.result, self.name) for e in mine]


def search(
    path: Path, strategy: str, proposer: Proposer, budget: Budget = Budget(40), evaluator: Formula | None = None  # noqa: B008
) -> Searched:  # fmt: skip
    with Store.open(path) if path.exists() else Store.create(path, {}) as store:
        judge = Judge(evaluator or Formula(), BASE_JOB, 0, store, "search")
        space = RecordedSpace(TASK, proposer, MACHINE, 0, store, ROOT, budget=budget)
        assert ROOT.verdict.metrics is not None
        chosen = make_strategy(strategy, ROOT, space, 0)
        return Driver(chosen, judge, ROOT.verdict.metrics, budget, store, 3, space).run()


def whole(searched: Searched) -> list[object]:
    return [(t.step.edit, t.result, t.evaluations, t.is_new) for t in searched.told]


MIXTURE = "mixture"


def recorded(path: Path, strategy: str, kind: str, budget: Budget = Budget(40)) -> Searched:  # noqa: B008
    return search(path, strategy, mixed() if kind == MIXTURE else Whimsical(), budget)


def mixed() -> Bandit:
    return Bandit([Dull(), Whimsical()], frozenset(["whim"]), Budget(40, cost=20.0))


@pytest.mark.parametrize("kind", ["alone", MIXTURE])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_replay_takes_the_same_steps(strategy: str, kind: str, tmp_path: Path) -> None:
    first = recorded(tmp_path / "run", strategy, kind)
    again = search(tmp_path / "again", strategy, ReplayProposer(str(tmp_path / "run")))
    assert whole(again) == whole(first)
    assert any("mended" in t.step.edit.tag for t in first.told)
    twice = search(tmp_path / "twice", strategy, ReplayProposer(str(tmp_path / "again")))
    assert whole(twice) == whole(first), "a replay can be replayed"


def test_another_strategy_chooses_among_the_same_edits(tmp_path: Path) -> None:
    first = recorded(tmp_path / "run", "random", "alone")
    with Store.open(tmp_path / "run") as store:
        offered = {e.result.key for _, edits in store.proposals() for e in edits}
    again = search(tmp_path / "again", "greedy", ReplayProposer(str(tmp_path / "run")))
    assert again.told and {t.result.key for t in again.told} <= offered
    assert trace(again) != trace(first)


def test_a_run_of_another_kernel_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path / "run", "greedy", "alone")
    replay = ReplayProposer(str(tmp_path / "run"))
    from tests.optiml.propose.llm.situations import context

    with pytest.raises(UserError, match="other-run"):
        replay.propose(context("transpose"), np.random.default_rng(0))


class _StopError(Exception):
    pass


class Stopping(Whimsical):
    """Is cut off at its n-th question, after the call and before the answer was kept."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def _call(self, context: Context, role: str) -> None:
        if context.log.recall(self.name, 0) is None:
            super()._call(context, role)
        if self.asked == self.at:
            self.at = -1
            raise _StopError


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "greedy"])
def test_money_is_counted_once_whatever_interrupts_a_run(strategy: str, tmp_path: Path) -> None:
    """A limit of cost ends the run that was cut off again and again where it ends one that was not."""
    budget = Budget(40, cost=2.5)
    uncut = search(tmp_path / "uncut", strategy, Whimsical(), budget)
    path = tmp_path / "cut"
    for at in (1, 2, 3):
        with pytest.raises(_StopError):
            search(path, strategy, Stopping(at), budget)
    ended = search(path, strategy, Stopping(-1), budget)
    assert ended.ended == uncut.ended == "cost"
    with Store.open(path) as store, Store.open(tmp_path / "uncut") as other:
        assert len(store.exchanges()) == len(other.exchanges()) == 10


class Killed(Formula):
    """Ends the process, as it were, at the n-th verdict."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def wait(self, number: int) -> Verdict:
        self.left -= 1
        if self.left < 0:
            raise _StopError
        return super().wait(number)


def two_axes() -> Bandit:
    return Bandit([Dull("a", "axis0"), Dull("b", "axis1")], frozenset(), Budget(40))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_bandit_chooses_as_before_when_a_run_goes_on(strategy: str, tmp_path: Path) -> None:
    uncut = search(tmp_path / "uncut", strategy, two_axes())
    for left in (2, 3, 1, 4):
        with pytest.raises(_StopError):
            search(tmp_path / "cut", strategy, two_axes(), evaluator=Killed(left))
    again = search(tmp_path / "cut", strategy, two_axes())
    assert [t.step.edit for t in again.told] == [t.step.edit for t in uncut.told]
