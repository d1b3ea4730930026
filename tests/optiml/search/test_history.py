"""The history: the path in its order, what was tried beside it, and nothing of other branches."""

from __future__ import annotations

import pytest

from optiml.edit import Edit
from optiml.search.history import History
from optiml.search.protocol import Scored, Step
from optiml.verdict import Status, Verdict, failed
from tests.optiml.landscape import baseline, passed, program

ROOT = baseline(0, 0)
WRONG = failed(Status.WRONG_RESULT, "verify", "3 elements wrong")


def step(parent: Scored, tag: str, *point: int, verdict: Verdict | None = None) -> tuple[Step, Scored]:
    found = Step(parent, Edit(tag, "dram", "", program(*point), "p"))
    return found, Scored(found.edit.result, verdict or passed(9.5), 0.5, found.path)


def test_a_program_s_history() -> None:
    history = History(ROOT)
    first, one = step(ROOT, "a", 1, 0)
    failing, wrong = step(ROOT, "b", 0, 1, verdict=WRONG)
    other, elsewhere = step(ROOT, "c", 5, 5)
    second, two = step(one, "d", 2, 0)
    below, deep = step(elsewhere, "e", 6, 6)
    after, three = step(two, "f", 3, 0, verdict=WRONG)
    for each in ((first, one), (failing, wrong), (other, elsewhere), (second, two), (below, deep), (after, three)):
        history.note(*each)
    found = history.of(two.key)
    assert [(a.tag, a.is_on_path, a.status) for a in found] == [
        ("b", False, "wrong-result"), ("c", False, "ok"), ("a", True, "ok"), ("d", True, "ok"),
        ("f", False, "wrong-result"),
    ]  # fmt: skip
    assert found[0].evidence == "3 elements wrong" and found[0].speedup is None
    assert found[2].speedup == pytest.approx(2.0) and found[2].limiter == "dram"


def test_the_root_has_what_was_tried_on_it() -> None:
    history = History(ROOT)
    assert history.of(ROOT.key) == ()
    for number in range(10):
        history.note(*step(ROOT, f"t{number}", number, 1))
    assert [a.tag for a in history.of(ROOT.key)] == [f"t{n}" for n in range(4, 10)], "the latest alone"


def test_a_way_back_to_the_root_or_round_in_a_circle_ends() -> None:
    history = History(ROOT)
    _, one = (first := step(ROOT, "a", 1, 0))
    history.note(*first)
    history.note(*step(one, "back", 0, 0))
    _, two = (second := step(one, "b", 2, 0))
    history.note(*second)
    history.note(*step(two, "again", 1, 0))
    assert [a.tag for a in history.of(ROOT.key)] == ["a"]
    assert [a.tag for a in history.of(two.key) if a.is_on_path] == ["a", "b"]
