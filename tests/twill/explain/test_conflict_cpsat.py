"""Conflicts found with the real solver on a loop of two loads and a product."""

from __future__ import annotations

from dataclasses import replace

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from twill.explain.conflict import explain_conflict, why_not_smaller
from twill.problem.problem import Pins, Problem
from twill.problem.verify import verify
from twill.solve.cpsat import CpSat
from twill.solve.protocol import Limits

KIB = 1024
MACHINE = Machine(
    "m",
    units={"tma": 1, "tensor": 1},
    smem_bytes=128 * KIB,
    registers_per_sm=65536,
    max_registers_per_thread=240,
    max_groups=4,
    max_warps=16,
)


def _load(name: str) -> Op:
    return Op(name, "tma", 40, 10, 1, smem_bytes=32 * KIB, variable_latency=True, streaming=True)


GRAPH = DependenceGraph(
    "pair",
    (_load("a"), _load("b"), Op("c", "tensor", 20, 20, 1, warps=4, registers=64)),
    (
        Edge("a", "c", blocking=True),
        Edge("b", "c", blocking=True),
        Edge("c", "c", distance=1, in_place=True),
    ),
)
LIMITS = {"time_s": 120.0}


def explained(problem: Problem):
    return explain_conflict(problem, CpSat(), Limits(**LIMITS))


def test_a_feasible_problem_has_no_conflict():
    assert explained(Problem(GRAPH, MACHINE, max_ii=20)) is None


def test_the_recurrence_rules_out_a_smaller_interval():
    conflict = explained(Problem(GRAPH, MACHINE, max_ii=19))
    assert conflict.families == ("dependence",) or conflict.families == ("unit",)
    assert "an II of 20 cycles instead of at most 19" in conflict.relaxations


def test_one_group_is_too_few_beside_the_loads():
    conflict = explained(Problem(GRAPH, MACHINE, max_groups=1))
    assert set(conflict.families) == {"groups", "variable_latency"}
    assert "1 more warp group (2 instead of 1), II 20" in conflict.relaxations
    assert "let the loads share a group with other ops, II 20" in conflict.relaxations


def test_the_shared_memory_that_is_missing_is_counted():
    problem = Problem(GRAPH, replace(MACHINE, smem_bytes=72 * KIB), max_ii=25)
    conflict = explained(problem)
    assert "smem" in conflict.families
    assert conflict.relaxations[0].startswith("24 KiB more shared memory (96 KiB instead of 72 KiB)")
    larger = replace(problem, machine=replace(MACHINE, smem_bytes=96 * KIB))
    schedule = CpSat().solve(larger, Limits(**LIMITS))
    assert schedule.found
    assert verify(schedule, larger) == ()


def test_a_pin_that_forces_a_stage_too_early_is_named():
    pins = Pins("early", {}, {"a": 1, "c": 0}, (), 20)
    conflict = explained(Problem(GRAPH, MACHINE, pins=pins))
    assert set(conflict.families) == {"pins", "dependence"}
    singles = [text for text in conflict.relaxations if text.startswith("drop only")]
    assert any("the pin of c to stage 0" in text for text in singles)
    assert not any("of the II" in text for text in singles)


def test_why_the_interval_is_not_smaller():
    problem = Problem(GRAPH, MACHINE)
    schedule = CpSat().solve(problem, Limits(**LIMITS))
    assert schedule.ii_cycles == 20
    conflict = why_not_smaller(schedule, problem, CpSat(), Limits(**LIMITS))
    assert conflict is not None
    assert set(conflict.families) <= {"unit", "dependence"}
