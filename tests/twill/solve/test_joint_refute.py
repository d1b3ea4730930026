"""The second refuter of the joint search: it proves what has no schedule, and claims nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Schedule
from twill.problem.problem import Pins, Problem
from twill.problem.verify import verify
from twill.solve import joint_prove, joint_search
from twill.solve.certify import ContradictionError, certify
from twill.solve.cpsat import CpSat
from twill.solve.joint_question import Verdict
from twill.solve.joint_refute import ask, refuted
from twill.solve.joint_relax import Floor, climb, floor_of
from twill.solve.protocol import Limits
from twill.solve.smt import Smt
from twill.solve.smt_query import Question
from twill.solve.smt_query import Verdict as Answer

# Two tiles of 3 live cycles each in a memory for one: II is 6, where the unit alone would allow 2.
GRAPH = DependenceGraph(
    "tight",
    (Op("a", "u", 2, 1, tmem_columns=1), Op("b", "u", 2, 1, tmem_columns=1), Op("c"), Op("d")),
    (Edge("a", "c"), Edge("b", "d")),
)
PROBLEM = Problem(GRAPH, Machine("m", {"u": 1}, tmem_columns=1))


@pytest.mark.parametrize(("ii", "impossible"), [(2, True), (5, True), (6, False), (9, False)])
def test_it_refutes_what_has_no_schedule(ii: int, impossible: bool) -> None:
    assert refuted(PROBLEM, Question(ii), 10**8, Limits()) is impossible


def test_without_time_it_claims_nothing() -> None:
    assert not refuted(PROBLEM, Question(2), 10**8, Limits(time_s=0.0))
    assert not refuted(PROBLEM, Question(2), 0, Limits())


def test_the_search_takes_its_word_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CP-SAT kept from answering below the optimum, the bound comes from the other refuter."""
    decide = joint_search.Questions.decide

    def silent_below_six(self: object, ii: int, *rest: object, **named: object) -> object:
        return decide(self, ii, *rest, **named) if ii >= 6 else Verdict()  # type: ignore[arg-type]

    monkeypatch.setattr(joint_search.Questions, "decide", silent_below_six)
    monkeypatch.setattr(joint_search, "cores", lambda _instance, _ii: ())
    monkeypatch.setattr(joint_search.screen, "first_open_ii", lambda _instance, low, _high, _stages: low)
    found = CpSat().solve(PROBLEM, Limits())
    assert found.ii_cycles == found.lower_bound_cycles == 6
    assert {r.method for r in found.certificate.rejections if r.ii_cycles == 5} == {"SMT"}


def test_its_schedules_are_taken_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CP-SAT kept from answering at all, II and length are found and proven by the other solver."""
    monkeypatch.setattr(joint_search.Questions, "decide", lambda *_asked, **_named: Verdict())
    monkeypatch.setattr(joint_search.Questions, "find_loosely", lambda *_asked: None)
    monkeypatch.setattr(joint_search, "cores", lambda _instance, _ii: ())
    monkeypatch.setattr(joint_search.screen, "first_open_ii", lambda _instance, low, _high, _stages: low)
    found = CpSat().solve(PROBLEM, Limits())
    assert (found.ii_cycles, found.length_cycles) == (6, 6)
    assert [(level.method, level.proven) for level in found.certificate.levels[:2]] == [("SMT", True), ("SMT", True)]
    assert not verify(found, PROBLEM)


def test_what_it_learnt_of_registers_serves_its_next_question() -> None:
    """Two tiles of 6 registers, of which 8 are there: at II 5 they fit only where their lives do not overlap."""
    ops = (Op("a", "u", 3, 1, registers=6, warps=1), Op("b", "u", 3, 1, registers=6, warps=1))
    machine = Machine(
        "m", {"u": 1}, registers_per_sm=8, max_registers_per_thread=8, register_granularity=1, reserved_registers=0,
        min_registers_per_thread=1, threads_per_warp=1, warp_specialization=False,
    )  # fmt: skip
    problem = Problem(DependenceGraph("tiles", ops, ()), machine)
    floor = climb(problem, 2, 100, Limits())
    assert (floor.refuted, floor.fits) == (5, 6)
    assert floor.cuts
    assert ask(problem, Question(5), 10**8, Limits(), floor.cuts) is Answer.REFUTED


def told_by_smt(problem: Problem) -> Schedule:
    """The optimum, with the SMT solver named as the one who proved the II."""
    found = CpSat().solve(problem, Limits())
    levels = tuple(replace(level, method="SMT" if level.name == "ii" else "x") for level in found.certificate.levels)
    return replace(found, certificate=replace(found.certificate, levels=levels))


def test_what_the_smt_solver_told_is_cross_checked_by_cpsat() -> None:
    lines = certify(PROBLEM, told_by_smt(PROBLEM), Limits()).certificate.cross_checks
    assert lines[0].startswith("cpsat: II <= 5 infeasible with at most")
    assert lines[1].startswith("smt: length") and lines[1].endswith("unsat")


def test_without_time_for_cpsat_the_claim_is_called_open() -> None:
    lines = certify(PROBLEM, told_by_smt(PROBLEM), Limits(time_s=0.0)).certificate.cross_checks
    assert lines and all(line.endswith("not cross-checked") for line in lines)
    assert lines[0] == "cpsat, cvc5: II <= 5 no answer within the time limit: not cross-checked"


def test_where_cpsat_leaves_a_claim_open_another_smt_solver_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_prove, "prove", lambda *_asked: "")
    lines = certify(PROBLEM, told_by_smt(PROBLEM), Limits()).certificate.cross_checks
    assert lines[0] == "cvc5: II <= 5 unsat"


def test_modulo_problems_and_crossings_are_cross_checked_too() -> None:
    """CP-SAT's proof takes neither; the SMT solver's own claims about them are for the other SMT solver."""
    modulo = replace(PROBLEM, joint=False, max_stages=3)
    lines = certify(modulo, Smt().solve(modulo, Limits()), Limits()).certificate.cross_checks
    assert "cvc5: length <= 3 at II 2 unsat" in lines
    apart = replace(PROBLEM, pins=Pins(groups={"a": "one", "c": "two"}))
    lines = certify(apart, Smt().solve(apart, Limits()), Limits()).certificate.cross_checks
    assert "cvc5: crossings <= 0 at II 6, length 6, groups 2 unsat" in lines


@pytest.mark.parametrize("silent", [False, True])
def test_others_contradict_a_false_claim_of_the_smt_solver(monkeypatch: pytest.MonkeyPatch, silent: bool) -> None:
    """A certificate that says II 8 is the least, where 6 is possible."""
    if silent:
        monkeypatch.setattr(joint_prove, "prove", lambda *_asked: "")
    told = told_by_smt(PROBLEM)
    levels = tuple(
        replace(level, value=8, lower_bound=8) if level.name == "ii" else level for level in told.certificate.levels
    )
    false = replace(told, ii_cycles=8, certificate=replace(told.certificate, levels=levels))
    with pytest.raises(ContradictionError, match="cvc5" if silent else "cpsat"):
        certify(PROBLEM, false, Limits())


@pytest.mark.parametrize("low", [1, 2, 5])
def test_the_floor_without_groups_is_the_smallest_interval_that_it_leaves_open(low: int) -> None:
    assert floor_of(PROBLEM, low, 100, Limits()) == Floor(refuted=5, fits=6)


def test_the_floor_ends_at_the_largest_interval_asked_for() -> None:
    assert floor_of(PROBLEM, 2, 4, Limits()) == Floor(refuted=4)


def test_the_floor_forgets_what_concerns_groups_alone() -> None:
    """One group of ops that wait all the time: infeasible as it is, open without groups."""
    ops = (Op("a", issue_cycles=4), Op("b", issue_cycles=4))
    problem = Problem(
        DependenceGraph("waits", ops, (Edge("a", "b", blocking=True),)), Machine("m", {"u": 1}, wait_cycles=9)
    )
    assert floor_of(problem, 1, 20, Limits()) == Floor(fits=1)


def test_without_time_the_floor_claims_nothing() -> None:
    assert floor_of(PROBLEM, 2, 100, Limits(time_s=0.0)) == Floor()
