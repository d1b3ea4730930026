"""Iterative modulo scheduling: always valid, never below the optimum, honest about what is proven."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.diagnostics import UserError
from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Status
from twill.problem.problem import Pins, Problem
from twill.problem.verify import verify
from twill.solve.ims import Ims
from twill.solve.modulo import solve_modulo
from twill.solve.protocol import Limits


def problem_of(ops, edges=(), units=None, **options):
    return Problem(
        DependenceGraph("test", tuple(ops), tuple(edges)), Machine("m", units or {"u": 1}), joint=False, **options
    )


CHAIN = problem_of([Op("a", "u", 2, 1), Op("b", "u", 3, 1)], [Edge("a", "b"), Edge("b", "a", distance=2)])


def test_meeting_both_bounds_is_a_proof():
    schedule = Ims().solve(CHAIN, Limits())
    assert verify(schedule, CHAIN) == ()
    assert (schedule.status, schedule.ii_cycles, schedule.length_cycles) == (Status.OPTIMAL, 3, 5)


def test_a_schedule_that_meets_no_bound_says_that_a_heuristic_made_it():
    # The recurrence would put both ops into one slot at the bound of 2.
    problem = problem_of([Op("a", "u", 2, 1), Op("b", "u", 2, 1)], [Edge("a", "b"), Edge("b", "a", distance=2)])
    schedule = Ims().solve(problem, Limits())
    assert verify(schedule, problem) == ()
    assert (schedule.status, schedule.ii_cycles, schedule.lower_bound_cycles) == (Status.FEASIBLE, 3, 2)
    assert "heuristic" in schedule.message
    assert not Ims().exact


def test_the_limit_on_the_interval_holds():
    schedule = Ims().solve(replace(CHAIN, max_ii=2), Limits())
    assert schedule.status is Status.INFEASIBLE
    assert schedule.certificate.rejections[-1].ii_cycles == 2


def test_pinned_interval_and_capped_stages_hold():
    pinned = replace(CHAIN, pins=Pins(ii_cycles=5))
    assert Ims().solve(pinned, Limits()).ii_cycles == 5
    one_stage = Ims().solve(replace(CHAIN, max_stages=1), Limits())
    assert verify(one_stage, replace(CHAIN, max_stages=1)) == ()
    assert one_stage.stages == 1


def test_failing_within_the_limits_is_not_infeasible():
    # Stage 1 for the first op of a chain is impossible, which the heuristic cannot prove.
    schedule = Ims().solve(replace(CHAIN, pins=Pins(stages={"a": 1, "b": 0})), Limits())
    assert schedule.status is Status.TIMEOUT
    assert verify(schedule, replace(CHAIN, pins=Pins(stages={"a": 1, "b": 0}))) == ()


def test_a_joint_problem_is_refused():
    with pytest.raises(UserError, match="warp groups"):
        Ims().solve(replace(CHAIN, joint=True), Limits())


def test_two_thousand_ops_take_little_time():
    ops = [Op(f"n{i}", "u" if i % 7 == 0 else None, i % 4, 1 if i % 7 == 0 else 0) for i in range(2000)]
    edges = [Edge(f"n{i}", f"n{i + 1}") for i in range(1999)]
    edges += [Edge(f"n{i + 20}", f"n{i}", distance=1) for i in range(0, 1900, 100)]
    problem = problem_of(ops, edges)
    schedule = Ims().solve(problem, Limits())
    assert verify(schedule, problem) == ()
    assert schedule.ii_cycles == schedule.lower_bound_cycles == 286
    assert schedule.timing["total_s"] < 5


@st.composite
def loops(draw):
    n = draw(st.integers(1, 8))
    units = {"u": draw(st.integers(1, 2)), "w": 1}
    ops = []
    for i in range(n):
        unit = draw(st.sampled_from(["u", "w", None]))
        occupancy = draw(st.integers(1, 4)) if unit else 0
        ops.append(Op(f"n{i}", unit, draw(st.integers(0, 4)), occupancy))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 4), st.integers(0, 2))
    edges = [
        Edge(f"n{u}", f"n{v}", delay, distance if u < v else distance + 1)
        for u, v, delay, distance in draw(st.lists(ends, max_size=2 * n))
    ]
    return problem_of(ops, edges, units)


@settings(max_examples=60, deadline=None)
@given(loops())
def test_schedules_are_valid_and_never_below_the_optimum(problem):
    schedule, optimum = Ims().solve(problem, Limits()), solve_modulo(problem, Limits(20.0))
    assert verify(schedule, problem) == ()
    assert schedule.ii_cycles >= optimum.ii_cycles >= schedule.lower_bound_cycles
    if schedule.status is Status.OPTIMAL:
        assert (schedule.ii_cycles, schedule.length_cycles) == (optimum.ii_cycles, optimum.length_cycles)
