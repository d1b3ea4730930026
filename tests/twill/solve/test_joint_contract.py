"""Contraction to one unit and one memory: a relaxation, never more than the problem allows, and what it is good for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from tests.twill.differential.compare import problem_of
from twill.problem.check import check
from twill.problem.problem import Problem
from twill.problem.verify import verify
from twill.solve import joint_search
from twill.solve.cpsat import CpSat
from twill.solve.joint_contract import Core, contracted, cores, first_open
from twill.solve.joint_instance import make_instance
from twill.solve.joint_question import Questions, Scope, Verdict
from twill.solve.joint_result import make_schedule
from twill.solve.protocol import Limits

# Two products of 4 cycles fill unit u in 8. Their tiles live 7 cycles (`c` also waits for `x`) and 6 cycles.
PRODUCTS = (Op("a", "u", 4, 4, tmem_columns=2), Op("b", "u", 4, 4, tmem_columns=2))
OTHERS = (Op("x", "w", 1, 1), Op("c", "w", 2, 1), Op("d", "w", 2, 1))
EDGES = (Edge("a", "x", kind="order"), Edge("x", "c"), Edge("a", "c"), Edge("b", "d"))
GRAPH = DependenceGraph("tight", (*PRODUCTS, *OTHERS), EDGES)
PROBLEM = Problem(GRAPH, Machine("m", {"u": 1, "w": 1}, tmem_columns=2))
CORE = Core("u", "tmem_columns")
_REGISTERS: dict[str, Any] = {
    "min_registers_per_thread": 1, "register_granularity": 1, "reserved_registers": 0, "threads_per_warp": 1
}  # fmt: skip


def test_full_units_and_tight_memories_make_the_cores() -> None:
    assert list(cores(make_instance(PROBLEM), 8)) == [CORE]
    assert not list(cores(make_instance(PROBLEM), 80))


def test_dropped_ops_leave_their_paths() -> None:
    small = contracted(make_instance(PROBLEM), CORE, 8)
    assert small is not None
    assert [op.name for op in small.graph.ops] == ["a", "b", "c", "d"]
    assert not check(small)
    assert max(e.latency_cycles or 0 for e in small.graph.edges if (e.source, e.target) == ("a", "c")) == 5
    assert {op.unit for op in small.graph.ops} == {"u", None}
    assert [op.span_cycles for op in small.graph.ops] == [4, 4, 2, 2]


def test_it_raises_the_bound_as_far_as_the_core_asks() -> None:
    """One place for both tiles takes 7 + 6 cycles."""
    assert first_open(make_instance(PROBLEM), CORE, 8, 100, 4, Limits()) == 13
    assert first_open(make_instance(PROBLEM), CORE, 8, 11, 4, Limits()) == 12


def test_the_search_says_which_core_refutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_search.screen, "first_open_ii", lambda _instance, low, _high, _stages: low)
    found = CpSat().solve(PROBLEM, Limits())
    assert found.ii_cycles == found.lower_bound_cycles == 13
    assert any("unit u and tmem_columns alone" in rejection.detail for rejection in found.certificate.rejections)


def test_every_contraction_is_open_where_there_is_a_schedule() -> None:
    # The last seed is one where the contraction once made a streaming op as long as its latency.
    problems = {seed: problem_of(seed) for seed in (*range(1, 90), 1671)}
    joint = {seed: problem for seed, problem in problems.items() if problem.joint and not check(problem)}
    closed = {seed: list(closed_cores(problem)) for seed, problem in joint.items()}
    assert not {seed: cores for seed, cores in closed.items() if any(cores)}
    assert sum(bool(cores) for cores in closed.values()) > 20, "too few problems have a schedule"


def closed_cores(problem: Problem) -> Iterator[Core | None]:
    """Cores that rule out the interval of a schedule that there is; None for each that does not."""
    found = CpSat().solve(problem, Limits(workers=1))
    if found.ii_cycles is None:
        return
    instance, stages = make_instance(problem), max(p.time_cycles for p in found.placements) // found.ii_cycles + 1
    used = {op.unit for op in problem.graph.ops}
    for unit in (unit for unit, count in problem.machine.units.items() if count == 1 and unit in used):
        for core in (Core(unit, memory) for memory in ("smem_bytes", "tmem_columns")):
            opened = first_open(instance, core, found.ii_cycles, found.ii_cycles, stages, Limits())
            yield None if opened == found.ii_cycles else core


def test_a_schedule_to_fall_back_on_comes_where_the_first_question_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CP-SAT kept from answering below the longest chain, there is a schedule at the chain all the same."""
    decide = joint_search.Questions.decide

    def silent_below_chain(self: joint_search.Questions, ii: int, *rest: object, **named: object) -> object:
        return decide(self, ii, *rest, **named) if ii >= 7 else Verdict()  # type: ignore[arg-type]

    graph = DependenceGraph("chain", (Op("a", "u", 3, 1), Op("b", "u", 4, 1)), (Edge("a", "b"),))
    monkeypatch.setattr(joint_search.Questions, "decide", silent_below_chain)
    monkeypatch.setattr(joint_search, "serial", lambda *_asked: None)
    search = joint_search.Search(Problem(graph, Machine("m", {"u": 1})), Limits(time_s=5.0))
    search.known.bounds["ii"], search.climbed = 2, True
    search._attempt(2, 0.1, 1)
    assert search.known.solution is not None
    assert search.known.solution.ii == search.chain == 7


def test_a_loose_schedule_is_kept_only_where_registers_fit() -> None:
    """The model without registers knows nothing of budgets: what it finds is checked."""
    ops = (Op("a", "u", 3, 1, registers=6, warps=1), Op("b", "u", 3, 1, registers=6, warps=1))
    graph = DependenceGraph("tiles", ops, ())
    roomy = Machine("m", {"u": 1}, registers_per_sm=12, max_registers_per_thread=12, **_REGISTERS)
    tight = Machine("m", {"u": 1}, registers_per_sm=5, max_registers_per_thread=5, **_REGISTERS)
    scopes = [Scope(20, 1)]
    found = Questions(Problem(graph, roomy), Limits()).find_loosely(20, scopes, 1.0)
    assert found is not None
    assert Questions(Problem(graph, tight), Limits()).find_loosely(20, scopes, 1.0) is None


def test_many_ops_get_a_schedule_to_fall_back_on_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CP-SAT kept from answering, the loose model alone gives a schedule, and the verifier accepts it."""
    monkeypatch.setattr(joint_search, "_LARGE", 1)
    monkeypatch.setattr(joint_search.Questions, "decide", lambda *_all, **_named: Verdict())
    ops = tuple(Op(f"o{i}", "u", 2, 1, registers=2, warps=1) for i in range(6))
    edges = tuple(Edge(f"o{i}", f"o{i + 1}") for i in range(5))
    machine = Machine("m", {"u": 1}, registers_per_sm=100, max_registers_per_thread=20, **_REGISTERS)
    problem = Problem(DependenceGraph("chain", ops, edges), machine)
    search = joint_search.Search(problem, Limits(time_s=5.0))
    search.known.bounds["ii"] = search.minimum
    search._climb(search.minimum, search.most_ii)
    assert search.known.solution is not None
    assert verify(make_schedule(search, "cpsat"), problem) == ()
