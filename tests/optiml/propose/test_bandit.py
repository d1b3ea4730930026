"""The bandit: it finds out who is worth asking, minds what they cost, and is the same for the same evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from ir.diagnostics import Diagnostic
from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.propose.bandit import Bandit
from optiml.propose.protocol import Context, Learner, Repairer, SilentError
from optiml.search.budget import Budget
from optiml.verdict import Status, Verdict, failed
from tests.optiml.propose.llm.situations import context

ASKED = context("transpose")


def edit(name: str, number: int) -> Edit:
    return Edit(f"{name}:{number}", "dram", "", Candidate("triton", f"AT = {name!r}, {number}"), name)


@dataclass
class Member:
    """Has `edits` to offer, and counts how often it is asked."""

    name: str
    edits: int = 3
    asked: int = 0
    offset: int = 0
    mended: list[str] = field(default_factory=list)

    def propose(self, given: Context, random: np.random.Generator) -> Sequence[Edit]:
        self.asked += 1
        return [edit(self.name, self.offset + n) for n in range(self.edits)]

    def repair(self, given: Context, failed: Edit, verdict: Verdict) -> Sequence[Edit]:
        self.mended.append(failed.tag)
        return [edit(self.name, 99)]


@dataclass
class Plain:
    name: str = "plain"

    def propose(self, given: Context, random: np.random.Generator) -> Sequence[Edit]:
        return [edit(self.name, 0)]


def bandit(*members: object, paid: Sequence[str] = (), budget: Budget = Budget(100)) -> Bandit:  # noqa: B008
    return Bandit(members, frozenset(paid), budget)  # type: ignore[arg-type]


def asked(chosen: Bandit, seed: int = 0) -> list[str]:
    return [e.tag for e in chosen.propose(ASKED, np.random.default_rng(seed))]


def firsts(chosen: Bandit, count: int = 200) -> list[str]:
    return [asked(chosen, seed)[0].partition(":")[0] for seed in range(count)]


def test_it_is_a_proposer_that_repairs_and_learns() -> None:
    assert isinstance(bandit(Member("a")), Repairer) and isinstance(bandit(Member("a")), Learner)


def test_all_edits_come_once_each_member_s_in_its_order() -> None:
    tags = asked(bandit(Member("a"), Member("b", 2), Member("c", 0)))
    assert sorted(tags) == ["a:0", "a:1", "a:2", "b:0", "b:1"]
    assert [t for t in tags if t[0] == "a"] == ["a:0", "a:1", "a:2"]


def test_one_program_comes_once() -> None:
    class Copy(Member):
        def propose(self, given: Context, random: np.random.Generator) -> Sequence[Edit]:
            return [edit("a", 1)]

    assert len(asked(bandit(Member("a"), Copy("b")))) == 3


def test_at_first_nobody_is_preferred() -> None:
    share = firsts(bandit(Member("a"), Member("b"))).count("a") / 200
    assert 0.4 < share < 0.6


def test_who_gains_more_is_drawn_more_often() -> None:
    chosen = bandit(Member("good"), Member("bad"))
    for number in range(30):
        chosen.learn(edit("good", number), 0.3)
        chosen.learn(edit("bad", number), -1.0)
    assert firsts(chosen).count("good") > 190


def test_a_failure_is_worth_no_less_than_nothing_and_a_leap_no_more_than_all() -> None:
    chosen = bandit(Member("a"))
    chosen.learn(edit("a", 0), -5.0)
    chosen.learn(edit("a", 1), 50.0)
    arm = chosen.arms["a"]
    assert (arm.told, arm.worth) == (2, 1.0)


@pytest.mark.parametrize(("limit", "favours"), [(1000.0, "paid"), (0.5, "free")])
def test_money_counts_as_its_share_of_the_limit(limit: float, favours: str) -> None:
    """The paid one gains twice as much for 0.1 USD an edit: worth it out of 1000 USD, not out of half a dollar."""
    chosen = bandit(Member("free"), Member("paid"), paid=["paid"], budget=Budget(100, cost=limit))
    for number in range(40):
        chosen.learn(edit("free", number), 0.2)
        chosen.learn(edit("paid", number), 0.4)
        chosen.charge("paid", 0.1)
    share = firsts(chosen).count("paid") / 200
    assert share > 0.8 if favours == "paid" else share < 0.05


def test_without_a_limit_money_is_no_reason() -> None:
    chosen = bandit(Member("free"), Member("paid"), paid=["paid"])
    chosen.charge("paid", 1e9)
    assert 0.3 < firsts(chosen).count("paid") / 200 < 0.7


def test_who_costs_money_is_asked_only_when_drawn_first_or_when_nobody_else_has_anything() -> None:
    free, paid = Member("free"), Member("paid")
    chosen = bandit(free, paid, paid=["paid"])
    for seed in range(100):
        asked(chosen, seed)
    assert free.asked == 100 and 30 < paid.asked < 70
    silent, alone = Member("free", 0), Member("paid")
    assert asked(bandit(silent, alone, paid=["paid"])) == ["paid:0", "paid:1", "paid:2"]


def test_only_one_of_two_that_cost_money_is_asked() -> None:
    one, two = Member("one"), Member("two")
    chosen = bandit(one, two, paid=["one", "two"])
    for seed in range(50):
        asked(chosen, seed)
    assert one.asked + two.asked == 50


def test_the_same_evidence_and_seed_give_the_same_order_whoever_was_asked_before() -> None:
    first, second = (bandit(Member("a"), Member("b"), paid=["b"]) for _ in range(2))
    for seed in range(20):
        asked(first, seed)
    for chosen in (first, second):
        chosen.learn(edit("a", 0), 0.5)
        chosen.charge("b", 0.01)
    assert [asked(first, s) for s in range(30)] == [asked(second, s) for s in range(30)]


def test_a_repair_goes_to_whose_edit_it_is() -> None:
    a, b = Member("a"), Member("b")
    chosen = bandit(a, b, Plain())
    wrong = failed(Status.CRASH, "compile", "")
    assert [e.tag for e in chosen.repair(ASKED, edit("b", 1), wrong)] == ["b:99"]
    assert (a.mended, b.mended) == ([], ["b:1"])
    assert chosen.repair(ASKED, edit("plain", 0), wrong) == () == chosen.repair(ASKED, edit("stranger", 0), wrong)


@dataclass
class Away(Member):
    """Does not answer the questions of these numbers."""

    silent: range = range(0)

    def propose(self, given: Context, random: np.random.Generator) -> Sequence[Edit]:
        found = super().propose(given, random)
        if self.asked - 1 in self.silent:
            raise SilentError(Diagnostic("model-unreachable", f"{self.name} does not answer"))
        return found

    def repair(self, given: Context, failed: Edit, verdict: Verdict) -> Sequence[Edit]:
        raise SilentError(Diagnostic("model-unreachable", f"{self.name} does not answer"))


def test_who_is_silent_is_set_aside_with_a_message_and_asked_again_later() -> None:
    away, warnings = Away("away", silent=range(2)), list[str]()
    chosen = bandit(Member("here"), away)
    chosen.watch(lambda _line: None, lambda problem: warnings.append(problem.render("warning")))
    heard = [any(t.startswith("away") for t in asked(chosen, seed)) for seed in range(10)]
    assert heard == [False] * 8 + [True] * 2, "2 questions after the first silence, 4 after the second"
    assert away.asked == 4
    assert all("away does not answer" in w and "the others go on" in w for w in warnings) and len(warnings) == 2


def test_the_longer_the_silence_the_rarer_the_question() -> None:
    away = Away("away", silent=range(1000))
    chosen = bandit(Member("here"), away)
    assert all(asked(chosen, seed) for seed in range(200)) and away.asked < 12


def test_a_mixture_in_which_nobody_answers_stops() -> None:
    one, two = Away("one", silent=range(1000)), Away("two", silent=range(1000))
    with pytest.raises(SilentError):
        asked(bandit(one, two, paid=["one", "two"]))


def test_a_repair_that_nobody_answers_is_none() -> None:
    chosen = bandit(Member("here"), Away("away"))
    assert chosen.repair(ASKED, edit("away", 1), failed(Status.CRASH, "compile", "")) == ()


def test_an_answer_without_an_edit_is_worth_nothing() -> None:
    chosen = bandit(Member("free"), Member("paid"), paid=["paid"])
    for number in range(30):
        chosen.learn(edit("free", number), 0.3)
        chosen.charge("paid", 0.0, helped=False)
    assert firsts(chosen).count("free") > 190
