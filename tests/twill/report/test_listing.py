"""The listing: executed as text for every small trip count, each (op, iteration) runs once, and no hand-over fails."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Buffer, Placement, Schedule, Status, WarpGroup
from tests.twill.report import examples
from tests.twill.report.machine import Race
from twill.report.listing import listing


def check(schedule: Schedule, n: int, seed: int = 0) -> None:
    race = Race(schedule, listing(schedule), n, random.Random(seed))
    race.run()
    assert sorted(race.issued) == sorted((op.name, i) for op in schedule.graph.ops for i in range(n))


@pytest.mark.parametrize("case", examples.CASES)
def test_golden(case, golden):
    golden(f"{case}.listing.txt", listing(examples.CASES[case]()))


@pytest.mark.parametrize("n", range(8))
@pytest.mark.parametrize("case", ["attention", "modulo", "one_cycle"])
def test_examples_run_for_every_trip_count(case, n):
    for seed in range(5):
        check(examples.CASES[case](), n, seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 12), st.sampled_from([1, 2, 5, 16, 100]), st.integers(1, 4))
def test_random_schedules_cover_each_iteration_once(seed, count, ii_cycles, groups):
    schedule = examples.random_schedule(
        random.Random(seed), count, ii_cycles, groups, span=random.Random(seed).choice((1, 2, 3))
    )
    for n in range(schedule.stages + 4):
        check(schedule, n, seed)


def _hand_over(depth: int) -> Schedule:
    """A load that an asynchronous product in another group reads for longer than one II."""
    ops = (Op("load", "tma", 4, 2, 1, smem_bytes=64), Op("dot", "tensor", 30, 8, 1))
    graph = DependenceGraph("pair", ops, (Edge("load", "dot", blocking=True),))
    return Schedule(
        Status.FEASIBLE, graph, Machine("m", units={"tma": 1, "tensor": 1}), "hand", True, 10, 34,
        (Placement("load", 0, 0), Placement("dot", 4, 1)), (WarpGroup(0, "load", 1), WarpGroup(1, "consumer", 4)),
        (Buffer("load", "smem", 64, 34, 4, depth),),
    )  # fmt: skip


def test_depth_never_falls_below_what_the_lifetime_needs():
    assert "depth 4" in listing(_hand_over(4))
    for n in range(12):
        check(_hand_over(4), n)
        check(_hand_over(6), n)


def test_a_buffer_in_one_group_waits_for_its_asynchronous_reader():
    schedule = _hand_over(4)
    alone = replace(schedule, placements=(Placement("load", 0, 0), Placement("dot", 4, 0)), groups=schedule.groups[:1])
    text = listing(alone)
    assert "wait for dot (i - 4), if i >= 4" in text
    assert "issue load (i) into buffer i % 4" in text
    for n in range(10):
        check(alone, n)


@pytest.mark.parametrize("broken", ["arrive empty of load", "wait full of load", "wait empty of load"])
def test_the_race_finds_what_is_missing(broken):
    """The checker itself: without one kind of barrier action some interleaving deadlocks or reads too early."""
    schedule = _hand_over(4)
    text = "\n".join(line for line in listing(schedule).splitlines() if broken not in line)

    def run() -> None:
        for seed in range(20):
            Race(schedule, text, 12, random.Random(seed)).run()

    with pytest.raises(AssertionError):
        run()


def test_deep_pipelines_are_listed_by_name():
    graph = DependenceGraph("deep", tuple(Op(f"o{i}", "alu", 1, 1) for i in range(40)))
    placements = tuple(Placement(f"o{i}", 2 * i) for i in range(40))
    schedule = Schedule(Status.FEASIBLE, graph, Machine("m", units={"alu": 80}), "hand", False, 1, 79, placements)
    text = listing(schedule)
    assert "each where N > its iteration" in text
    assert max(map(len, text.splitlines())) < 2000
    assert len(text.splitlines()) < 400


def test_edges_on_the_same_cycle_keep_sources_first():
    ops = (Op("late", None, 0), Op("early", None, 0))
    graph = DependenceGraph("tie", ops, (Edge("early", "late"),))
    placements = (Placement("late", 3), Placement("early", 3))
    schedule = Schedule(Status.FEASIBLE, graph, Machine("m", units={}), "hand", False, 5, 4, placements)
    text = listing(schedule)
    assert text.index("issue early") < text.index("issue late")
