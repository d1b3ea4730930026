"""The schedule to fall back on: valid or none, in an order that keeps little alive, and there where nothing else is."""

from __future__ import annotations

import pytest

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Status
from tests.twill.differential.compare import problem_of
from twill.problem.check import check
from twill.problem.problem import Problem
from twill.problem.verify import verify
from twill.solve import joint_search
from twill.solve.cpsat import CpSat
from twill.solve.joint_instance import make_instance
from twill.solve.joint_question import Verdict
from twill.solve.joint_screen import most_useful_ii
from twill.solve.joint_serial import serial, thrifty_order
from twill.solve.protocol import Limits
from twill.solve.smt_record import assignment

# Four tiles of 8 registers, each read once: one at a time they take 16 with the sum, all before the first sum 32.
TILES = tuple(Op(f"tile{i}", "alu", 4, 4, registers=8) for i in range(4))
SUMS = tuple(Op(f"sum{i}", "alu", 2, 2, registers=1) for i in range(4))
EDGES = tuple(Edge(f"tile{i}", f"sum{i}") for i in range(4))
MACHINE = Machine(
    "m", {"alu": 1}, registers_per_sm=32 * 16, max_registers_per_thread=16, min_registers_per_thread=8,
    reserved_registers=0, warp_specialization=False,
)  # fmt: skip
PROBLEM = Problem(DependenceGraph("tiles", (*TILES, *SUMS), EDGES), MACHINE)


def test_each_tile_is_used_before_the_next_is_made() -> None:
    order = thrifty_order(make_instance(PROBLEM))
    assert [PROBLEM.graph.ops[v].name for v in order] == [f"{kind}{i}" for i in range(4) for kind in ("tile", "sum")]


def test_too_few_registers_for_any_order_give_nothing() -> None:
    tile = Op("tile", "alu", 4, 4, registers=12)
    graph = DependenceGraph("two", (tile, Op("other", "alu", 4, 4, registers=12), Op("sum", "alu", 2, 2)),
                            (Edge("tile", "sum"), Edge("other", "sum")))  # fmt: skip
    assert serial(make_instance(Problem(graph, MACHINE)), 1000) is None


def test_no_interval_above_the_limit_is_proposed() -> None:
    instance = make_instance(PROBLEM)
    found = serial(instance, 1000)
    assert found is not None
    assert serial(instance, found.ii - 1) is None


def test_it_finds_a_schedule_for_most_problems_that_have_one() -> None:
    missed, found = [], 0
    for seed in range(150):
        problem = problem_of(seed)
        if not problem.joint or check(problem):
            continue
        instance = make_instance(problem)
        solution = None if instance.conflict else serial(instance, problem.max_ii or most_useful_ii(instance))
        if solution is not None:
            found += 1
            proposed = assignment(problem, solution.ii, solution.times, solution.groups)
            assert not verify(proposed.schedule(Status.FEASIBLE, "serial"), problem)
        elif CpSat().solve(problem, Limits(workers=1)).found:
            missed.append(seed)
    assert found > 4 * len(missed) > 0, (found, missed)


def test_the_search_falls_back_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both solvers kept from answering there is a schedule all the same."""
    monkeypatch.setattr(joint_search.Questions, "decide", lambda *_asked, **_named: Verdict())
    monkeypatch.setattr(joint_search.Questions, "find_loosely", lambda *_asked: None)
    search = joint_search.Search(PROBLEM, Limits())
    search.known.bounds["ii"], search.climbed = 24, True
    search._attempt(24, 0.1, 1)
    assert search.known.solution is not None
    assert search.known.solution.ii >= 24
