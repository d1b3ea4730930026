"""The tree under random searches: visits add up, nothing leads back, dead ends stay closed."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiml.evaluate.reward import reward_of
from optiml.search.mcts import Mcts, MctsSettings
from optiml.search.protocol import Scored, Step
from optiml.search.tree import Node
from optiml.verdict import Status, failed
from tests.optiml.landscape import Steps, baseline, bowl, point_of

ROOT = baseline(0, 0)


def told(search: Mcts, step: Step, judge=bowl) -> Scored:  # type: ignore[no-untyped-def]
    assert ROOT.verdict.metrics is not None
    verdict = judge(point_of(step.edit.result))
    result = Scored(step.edit.result, verdict, reward_of(verdict, ROOT.verdict.metrics), step.path)
    search.tell(step, result)
    return result


def run(search: Mcts, steps: int, width: int, judge=bowl) -> list[Scored]:  # type: ignore[no-untyped-def]
    pending: deque[Step] = deque()
    found = []
    for _ in range(steps):
        step = search.ask() if len(pending) < width else None
        if step is not None:
            pending.append(step)
        elif pending:
            found.append(told(search, pending.popleft(), judge))
        else:
            break
    while pending:
        found.append(told(search, pending.popleft(), judge))
    return found


def descends_to(node: Node, above: tuple[Node, ...] = ()) -> None:
    assert all(node is not a for a in above)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 1000),
    st.integers(1, 8),
    st.builds(
        MctsSettings,
        exploration=st.floats(0.0, 3.0),
        width=st.floats(0.5, 4.0),
        alpha=st.floats(0.2, 0.8),
        backup=st.sampled_from(["mean", "max"]),
        dead_end=st.integers(1, 5),
        noise=st.floats(0.0, 1.0),
        patience=st.integers(1, 10),
    ),
)
def test_the_tree_is_sound(seed: int, width: int, chosen: MctsSettings) -> None:
    search = Mcts(ROOT, Steps(), seed, chosen)
    found = run(search, 120, width)
    nodes = list(search.tree)
    assert len({s.key for s in found}) == len(found), "a program is evaluated once"
    assert {n.key for n in nodes} == {s.key for s in found} | {ROOT.key}, "a node for each program"
    assert all(n.in_flight == 0 for n in nodes), "nothing is under way at the end"
    for node in nodes:
        assert node.scored is not None
        assert node.best >= node.scored.reward
        assert node.mean <= node.best + 1e-9
        assert len({e.child.key for e in node.edges}) == len(node.edges), "an edge for each child"
        if not node.scored.verdict.is_ok:
            assert not node.edges, "a failure is never expanded"
    assert search.tree.root.visits >= len(found)


def test_an_edit_that_leads_back_is_no_child() -> None:
    search = Mcts(ROOT, Steps(), 0)
    run(search, 200, 1)
    assert all(e.child is not search.tree.root for n in search.tree for e in n.edges)


def test_the_same_program_by_two_ways_is_one_node() -> None:
    search = Mcts(ROOT, Steps(top=2), 0, MctsSettings(width=20.0))
    found = run(search, 400, 1)
    keys = [e.child.key for n in search.tree for e in n.edges]
    assert len(found) == 8, "all points of three by three but the root"
    assert len(keys) > len(set(keys)), "some have two parents"


def test_a_dead_end_is_closed_after_so_many_failures() -> None:
    def judge(point: tuple[int, ...]):  # type: ignore[no-untyped-def]
        return bowl(point) if sum(point) <= 1 else failed(Status.COMPILE_ERROR, "compile", "no")

    search = Mcts(baseline(0, 0, 0, 0), Steps(), 0, MctsSettings(dead_end=3, width=50.0))
    run(search, 400, 1, judge)
    for node in search.tree:
        if node is not search.tree.root:
            assert len(node.edges) <= 3 + 3, "at most the failures and ways back to what is known"
    assert search.tree.root.is_closed
    assert search.ask() is None


def test_a_cheat_closes_its_subtree() -> None:
    def judge(point: tuple[int, ...]):  # type: ignore[no-untyped-def]
        return failed(Status.CHEATING, "verify", "reads the answer") if point == (1, 0) else bowl(point)

    search = Mcts(ROOT, Steps(), 0)
    found = run(search, 150, 2, judge)
    (cheat,) = [s for s in found if s.verdict.status is Status.CHEATING]
    node = search.tree.nodes[cheat.key]
    assert node.is_closed and not node.edges
    assert cheat.reward < -1.0


def test_failures_count_as_visits() -> None:
    search = Mcts(ROOT, Steps(), 0)
    found = run(search, 60, 1, lambda _p: failed(Status.TIMEOUT, "verify", "late"))
    assert search.tree.root.visits == 1 + len(found)


def test_children_grow_with_visits() -> None:
    search = Mcts(ROOT, Steps(), 0, MctsSettings(width=1.0, alpha=0.5))
    run(search, 300, 1)
    for node in search.tree:
        open_edits = bool(node.edits)
        if open_edits:
            assert len(node.edges) <= max(1, int(node.visits**0.5)) + 1


@pytest.mark.parametrize("backup", ["mean", "max"])
def test_stagnation_widens_the_search_and_ends_with_a_better_one(backup: str) -> None:
    search = Mcts(ROOT, Steps(), 0, MctsSettings(patience=1, backup=backup))
    results = run(search, 120, 1)
    assert max(r.reward for r in results) > 2.0
