"""Conflicts: minimal cores, smallest relaxations by bisection, honesty about timeouts."""

from __future__ import annotations

import pytest

from tests.twill.explain.oracle import GRAPH, SMALL, Ruled
from twill.explain.conflict import Answer, Oracle, explain_conflict, families, find_core, why_not_smaller
from twill.explain.relax import Found, knobs, relaxations, smallest
from twill.problem.problem import Family, OrderPin, Pins, Problem
from twill.solve.protocol import Limits

PROBLEM = Problem(GRAPH, SMALL, forbid_register_handoff=True, max_stages=4)


def core_of(rule, problem=PROBLEM):
    return find_core(problem, Oracle(Ruled(rule), Limits(time_s=60)))


def conflict_of(rule, problem=PROBLEM):
    return explain_conflict(problem, Ruled(rule), Limits(time_s=60))


def test_the_core_is_exactly_the_families_that_conflict():
    needed = {Family.SMEM, Family.STAGES}
    core = core_of(lambda p: bool(needed & p.relaxed))
    assert set(core.families) == needed
    assert core.minimal


def test_a_feasible_problem_has_no_conflict():
    assert core_of(lambda p: True) is None
    assert conflict_of(lambda p: True) is None


def test_a_timeout_is_no_conflict():
    assert core_of(lambda p: None) is None


def test_a_heuristic_cannot_prove_a_conflict():
    solver = Ruled(lambda p: False, exact=False)
    assert find_core(PROBLEM, Oracle(solver, Limits(time_s=60))) is None


def test_a_family_without_an_answer_is_kept_and_named():
    def rule(problem: Problem) -> bool | None:
        if Family.SMEM in problem.relaxed:
            return True
        return None if Family.HANDOFF in problem.relaxed else False

    core = core_of(rule)
    assert set(core.families) == {Family.SMEM, Family.HANDOFF}
    assert core.unknown == (Family.HANDOFF,)
    assert "no answer in time whether handoff matter" in conflict_of(rule).message


def test_time_that_is_up_proves_nothing():
    solver = Ruled(lambda p: False)
    assert find_core(PROBLEM, Oracle(solver, Limits(time_s=0.0))) is None
    assert solver.asked == []


def test_absent_families_are_not_asked():
    modulo = Problem(GRAPH, SMALL, joint=False)
    assert set(families(modulo)) == {Family.UNIT, Family.DEPENDENCE}
    joint = set(families(Problem(GRAPH, SMALL)))
    assert not joint & {Family.PINS, Family.TMEM, Family.REGISTER_HANDOFF, Family.STAGES, Family.BLOCKING}
    assert {Family.SMEM, Family.REGISTERS, Family.VARIABLE_LATENCY} <= joint


@pytest.mark.parametrize("needed_kib", [49, 50, 63, 64, 97, 144, 300])
def test_the_smallest_shared_memory_is_found(needed_kib):
    conflict = conflict_of(lambda p: Family.SMEM in p.relaxed or p.machine.smem_bytes >= needed_kib * 1024)
    assert conflict.families == ("smem",)
    [text] = conflict.relaxations
    assert text.startswith(f"{needed_kib - 48} KiB more shared memory ({needed_kib} KiB instead of 48 KiB)")
    assert "a 3 x 32 KiB" in text
    assert "less is not ruled out" not in text


@pytest.mark.parametrize("needed", [4, 5, 9])
def test_the_fewest_further_groups_are_found(needed):
    conflict = conflict_of(lambda p: Family.GROUPS in p.relaxed or p.group_limit >= needed)
    assert f"{needed - 3} more warp group" in conflict.relaxations[0]


@pytest.mark.parametrize(
    ("family", "rule", "text"),
    [
        (Family.STAGES, lambda p: p.max_stages >= 6, "2 more stages (6 instead of 4)"),
        (Family.GROUP_WARPS, lambda p: p.machine.max_warps >= 9, "1 more warp (9 instead of 8)"),
        (Family.REGISTERS, lambda p: p.machine.max_registers_per_thread >= 80, "80 registers a thread instead of 64"),
        (Family.REGISTERS, lambda p: p.machine.registers_per_sm >= 2048, "1024 more registers an SM"),
        (Family.REGISTER_HANDOFF, lambda p: False, "allow values to go from group to group in registers, II 7"),
        (Family.VARIABLE_LATENCY, lambda p: False, "let the loads share a group"),
        (Family.HANDOFF, lambda p: False, "hand-offs between groups that cost nothing"),
    ],
)  # fmt: skip
def test_each_family_has_its_relaxation(family, rule, text):
    conflict = conflict_of(lambda p: family in p.relaxed or rule(p))
    assert conflict.families == (str(family),)
    assert any(text in relaxation for relaxation in conflict.relaxations)


def test_what_never_helps_is_not_offered():
    conflict = conflict_of(lambda p: Family.SMEM in p.relaxed)
    assert conflict.relaxations == ()


def test_a_relaxation_without_an_answer_says_so():
    conflict = conflict_of(
        lambda p: True if Family.SMEM in p.relaxed else None if p.machine.smem_bytes > 48 * 1024 else False
    )
    assert conflict.relaxations == (
        "1 KiB more shared memory (49 KiB instead of 48 KiB), or yet more: no answer in time",
    )


def test_an_unanswered_step_below_the_smallest_is_admitted():
    def rule(problem: Problem) -> bool | None:
        size = problem.machine.smem_bytes // 1024
        return True if size >= 60 or Family.SMEM in problem.relaxed else None if size == 55 else False

    oracle = Oracle(Ruled(rule), Limits(time_s=60))
    [knob] = [k for k in knobs(PROBLEM, core_of(rule)) if k.family is Family.SMEM]
    outcome = smallest(PROBLEM, knob, oracle)
    assert isinstance(outcome, Found)
    assert outcome.value == 60 * 1024
    steps = [p.machine.smem_bytes // 1024 for p in oracle.solver.asked]
    assert outcome.exact is (55 not in steps)


def test_a_limit_on_the_interval_is_relaxed_to_the_smallest_interval():
    problem = Problem(GRAPH, SMALL, max_ii=5)
    conflict = conflict_of(lambda p: p.max_ii is None or Family.UNIT in p.relaxed, problem)
    assert conflict.families == ("unit",)
    assert conflict.relaxations == ("an II of 7 cycles instead of at most 5",)
    assert "at an II of at most 5" in conflict.message


def test_the_single_pins_that_help_are_named():
    pins = Pins("x", {"a": "one", "b": "two"}, {"a": 0, "b": 1}, (OrderPin((("a", 0), ("b", 0))),), 9)
    problem = Problem(GRAPH, SMALL, pins=pins)
    rule = lambda p: Family.PINS in p.relaxed or "b" not in p.pins.stages or not p.pins.orders  # noqa: E731
    conflict = conflict_of(rule, problem)
    assert conflict.families == ("pins",)
    assert conflict.relaxations == (
        "drop the pins, II 7",
        "drop only the pin of b to stage 1, II 7",
        "drop only the order a, b, II 7",
    )


def test_why_not_smaller_asks_one_cycle_below():
    solver = Ruled(lambda p: p.max_ii is None or p.max_ii >= 7 or Family.BLOCKING in p.relaxed)
    feasible = solver.solve(PROBLEM, Limits())
    conflict = why_not_smaller(feasible, PROBLEM, solver, Limits(time_s=60))
    assert {p.max_ii for p in solver.asked[1:]} == {6}
    assert conflict is not None
    assert "at an II of at most 6" in conflict.message


def test_problems_that_the_check_refutes_need_no_solver():
    problem = Problem(GRAPH, SMALL, max_groups=1)
    solver = Ruled(lambda p: True)
    assert Oracle(solver, Limits()).ask(problem) == (Answer.INFEASIBLE, None)
    assert solver.asked == []
    conflict = explain_conflict(problem, solver, Limits(time_s=60))
    assert set(conflict.families) == {"groups", "variable_latency"}
    assert any("1 more warp group (2 instead of 1)" in text for text in conflict.relaxations)


def test_relaxations_stop_when_the_time_is_up():
    solver = Ruled(lambda p: False)
    oracle = Oracle(solver, Limits(time_s=0.0))
    core = core_of(lambda p: Family.SMEM in p.relaxed)
    assert all("no answer in time" in text for text in relaxations(PROBLEM, core, oracle))
    assert solver.asked == []
