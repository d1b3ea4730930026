"""Each rule of the verifier, with one schedule that breaks it and (as far as it can be) nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ir.diagnostics import Location
from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from ir.schedule import Bound, Buffer, Certificate, Conflict, Level, Placement, Rejection, Schedule, Status, WarpGroup
from tests.twill.differential.oracle import Assignment
from twill.problem.problem import Family, OrderPin, Pins, Problem
from twill.problem.verify import RULES, verify

MACHINE = Machine(
    "toy",
    {"tma": 1, "tensor": 1, "exp": 1},
    smem_bytes=60,
    tmem_columns=8,
    registers_per_sm=32 * (1 * 24 + 1 * 24 + 4 * 40),
    reserved_registers=4,
    max_warps=6,
    max_groups=3,
)
GRAPH = DependenceGraph(
    "toy",
    (
        Op("load", "tma", 3, 1, smem_bytes=20, variable_latency=True, handoff_cycles=1),
        Op("dot", "tensor", 2, 2, tmem_columns=4, handoff_cycles=1),
        Op("soft", "exp", 2, 2, issue_cycles=2, registers=15, warps=4, handoff_cycles=1),
    ),
    (Edge("load", "dot", blocking=True), Edge("dot", "soft", blocking=True), Edge("soft", "dot", distance=2)),
    (Invariant("scale", smem_bytes=10, registers=2, readers=("soft",)),),
)
PROBLEM = Problem(GRAPH, MACHINE, max_stages=2, max_ii=9, pins=Pins(groups={"dot": "mma"}, stages={"soft": 1}))
TIMES = {"load": 0, "dot": 4, "soft": 7}
GROUPS = {"load": 0, "dot": 1, "soft": 2}
GOOD = Assignment(PROBLEM, 4, TIMES, GROUPS).schedule()


def with_machine(**changes: Any) -> tuple[Schedule, Problem]:
    machine = replace(MACHINE, **changes)
    return replace(GOOD, machine=machine), replace(PROBLEM, machine=machine)


def placed(**times: int) -> tuple[Schedule, Problem]:
    """The same record for other times: made complete again, so that only the constraints can be broken."""
    return Assignment(PROBLEM, 4, TIMES | times, GROUPS).schedule(), PROBLEM


def grouped(problem: Problem = PROBLEM, **groups: int) -> tuple[Schedule, Problem]:
    return Assignment(problem, 4, TIMES, GROUPS | groups).schedule(), problem


def changed(**fields: Any) -> tuple[Schedule, Problem]:
    return replace(GOOD, **fields), PROBLEM


def certified(**fields: Any) -> tuple[Schedule, Problem]:
    return changed(certificate=replace(GOOD.certificate, **fields))


def problem_with(**fields: Any) -> tuple[Schedule, Problem]:
    problem = replace(PROBLEM, **fields)
    return GOOD, problem


INFEASIBLE = replace(
    GOOD,
    status=Status.INFEASIBLE,
    ii_cycles=None,
    length_cycles=None,
    placements=(),
    groups=(),
    buffers=(),
    certificate=Certificate(rejections=(Rejection(9, "smt"),)),
)
NO_WARP_LIMIT = replace(PROBLEM, pins=Pins())

# Rule -> a schedule that breaks it, what the message must say, and the rules that cannot but break with it.
BROKEN: Mapping[str, tuple[tuple[Schedule, Problem], str, set[str]]] = {
    "problem": (changed(machine=replace(MACHINE, name="other")), "made for another machine", set()),
    "bound": (certified(bounds=(Bound("unit", 3, "tensor"),)), "unit bound II >= 3 of tensor does not follow", set()),
    "answer": ((replace(INFEASIBLE, ii_cycles=4), PROBLEM), "infeasible, and yet the schedule has an II", set()),
    "placement": (changed(placements=GOOD.placements[:2]), "not placed: `soft`", set()),
    "dependence": (placed(dot=2), "`dot` issues at 2, 1 cycle too early", {"iterations", "handoff"}),
    "unit": (with_machine(units={"tma": 1, "tensor": 1}), "unit exp: slot 0 holds 1, 0 allowed", {"iterations"}),
    "stages": (problem_with(max_stages=1), "`dot` is in stage 1, at most 1 stages allowed", set()),
    "smem": (with_machine(smem_bytes=49), "slot 0 holds 50, 49 allowed (2 such slots): `load`", set()),
    "tmem": (with_machine(tmem_columns=7), "slot 0 holds 8, 7 allowed (1 such slot): `dot`", set()),
    "group_warps": (with_machine(max_warps=5), "1 + 1 + 4 = 6 warps, 5 allowed", set()),
    "variable_latency": (grouped(load=1), "`load` has variable latency and is in group 1", {"blocking"}),
    "registers": (with_machine(reserved_registers=9), "registers of group 2: slot 0 holds 41, 40 allowed", set()),
    "handoff": (placed(soft=6), "`soft` issues at 6, 1 cycle too early", set()),
    "register_handoff": (problem_with(forbid_register_handoff=True), "`soft` keeps 15 registers in group 2", set()),
    "blocking": (with_machine(wait_cycles=3), "`soft` in [4, 7) modulo 4 while `soft` issues in [7, 9)", set()),
    "pins": (problem_with(pins=Pins(stages={"soft": 0})), "`soft` is in stage 1 and pinned to stage 0", set()),
    "groups": (problem_with(max_groups=2), "3 warp groups in use, 2 allowed", set()),
    "extent": (changed(length_cycles=10), "as 10, the last op ends at 9", {"certificate"}),
    "group_table": (changed(groups=GOOD.groups[:2]), "lists groups [0, 1], ops are in groups [0, 1, 2]", set()),
    "buffer": (changed(buffers=GOOD.buffers[1:]), "none where one is needed: `load (smem)`", set()),
    "certificate": (certified(rejections=(Rejection(4, "cpsat"),)), "every II up to 4 is said to be refuted", set()),
    "iterations": (placed(dot=2), "`dot` of iteration 0 issues at cycle 2", {"dependence", "handoff"}),
}  # fmt: skip


def test_good_schedule_is_valid() -> None:
    assert verify(GOOD, PROBLEM) == ()
    assert verify(INFEASIBLE, PROBLEM) == ()


def test_every_rule_has_a_broken_schedule() -> None:
    assert set(BROKEN) == set(RULES)


def test_every_family_is_a_rule() -> None:
    assert {str(family) for family in Family} <= set(RULES)


@pytest.mark.parametrize("rule", BROKEN)
def test_broken_schedule_is_named(rule: str) -> None:
    (schedule, problem), text, allowed = BROKEN[rule]
    findings = verify(schedule, problem)
    assert any(f.rule == rule and text in f.message for f in findings), [f.render() for f in findings]
    assert {f.rule for f in findings} - {rule} <= allowed


@pytest.mark.parametrize("family", [f for f in Family if f is not Family.GROUPS])
def test_relaxed_family_is_not_checked(family: Family) -> None:
    (schedule, problem), _, _ = BROKEN[family]
    relaxed = replace(problem, relaxed=frozenset({family}))
    assert family not in {f.rule for f in verify(schedule, relaxed)}


def test_groups_can_be_relaxed_only_where_groups_exist() -> None:
    schedule, problem = BROKEN["groups"][0]
    assert verify(schedule, replace(problem, relaxed=frozenset({Family.GROUPS}))) == ()
    schedule, problem = with_machine(warp_specialization=False)
    assert {f.rule for f in verify(schedule, replace(problem, relaxed=frozenset({Family.GROUPS})))} == {"groups"}


def test_modulo_schedule_needs_no_groups_and_no_memory() -> None:
    problem = replace(PROBLEM, joint=False, machine=replace(MACHINE, smem_bytes=1), pins=Pins())
    schedule = Assignment(problem, 4, TIMES, dict.fromkeys(TIMES, 0)).schedule()
    assert verify(schedule, problem) == ()
    assert verify(schedule) == ()  # without a problem: the schedule's own graph and machine


def test_default_problem_has_no_pins() -> None:
    assert verify(BROKEN["pins"][0][0]) == ()


def rules(schedule: Schedule, problem: Problem = PROBLEM) -> set[str]:
    return {finding.rule for finding in verify(schedule, problem)}


PLACEMENTS: Mapping[str, Callable[[tuple[Placement, ...]], tuple[Placement, ...]]] = {
    "not placed": lambda p: p[1:],
    "placed more than once": lambda p: (*p, p[0]),
    "not in the graph": lambda p: (*p, Placement("ghost", 3)),
    "placed before cycle 0": lambda p: (replace(p[0], time_cycles=-1), *p[1:]),
    "in a negative group": lambda p: (replace(p[0], group=-1), *p[1:]),
}


@pytest.mark.parametrize("text", PLACEMENTS)
def test_incomplete_placements_stop_the_check(text: str) -> None:
    findings = verify(replace(GOOD, placements=PLACEMENTS[text](GOOD.placements)), PROBLEM)
    assert {f.rule for f in findings} == {"placement"}
    assert any(text in f.message for f in findings)


@pytest.mark.parametrize("ii", [None, 0, -4])
def test_an_ii_below_one_is_no_ii(ii: int | None) -> None:
    assert rules(replace(GOOD, ii_cycles=ii)) == {"placement"}


def test_unknown_names_in_edges_and_pins_are_findings() -> None:
    graph = replace(GRAPH, edges=(*GRAPH.edges, Edge("ghost", "dot")))
    assert rules(replace(GOOD, graph=graph), replace(PROBLEM, graph=graph)) == {"placement"}
    assert rules(GOOD, replace(PROBLEM, pins=Pins(stages={"ghost": 1}))) == {"placement"}


def test_times_start_at_zero() -> None:
    late = Assignment(PROBLEM, 4, {op: time + 4 for op, time in TIMES.items()}, GROUPS).schedule()
    assert "extent" in rules(late)


def test_ii_limit() -> None:
    assert rules(GOOD, replace(PROBLEM, max_ii=3)) == {"extent"}


BUFFERS: Mapping[str, dict[str, int]] = {
    "has size 21, the value 20": {"size": 21},
    "is said to live 7 cycles, the value lives 6": {"live_cycles": 7},
    "is said to need depth 1, 6 cycles at II 4 need 2": {"needed_depth": 1},
    "has depth 1, 2 needed: fewer deadlock": {"depth": 1},
}


@pytest.mark.parametrize("text", BUFFERS)
def test_buffer_fields(text: str) -> None:
    first, *rest = GOOD.buffers
    findings = verify(replace(GOOD, buffers=(replace(first, **BUFFERS[text]), *rest)), PROBLEM)
    assert any(f.rule == "buffer" and text in f.message for f in findings)


def test_spare_copies_take_memory() -> None:
    first, *rest = GOOD.buffers
    deeper = (replace(first, depth=first.depth + 1), *rest)
    assert rules(replace(GOOD, buffers=deeper)) == {"smem"}
    schedule, problem = with_machine(smem_bytes=70)
    assert verify(replace(schedule, buffers=deeper), problem) == ()


def test_buffers_of_nothing_and_twice() -> None:
    assert rules(replace(GOOD, buffers=(*GOOD.buffers, GOOD.buffers[0]))) == {"buffer"}
    assert rules(replace(GOOD, buffers=(*GOOD.buffers, Buffer("load", "tmem", 4, 1, 1, 1)))) == {"buffer"}


TABLE: Mapping[str, tuple[dict[str, Any], set[str]]] = {
    "warps too many": ({"warps": 5}, {"group_table"}),
    "budget off the granularity": ({"registers_per_thread": 39}, {"registers"}),
    "budget below what is live": ({"registers_per_thread": 32}, {"registers"}),
    "budget below the minimum": ({"registers_per_thread": 16}, {"registers"}),
    "budget above the maximum": ({"registers_per_thread": 256}, {"registers"}),
    "budgets above the register file": ({"registers_per_thread": 48}, {"registers"}),
    "no budget": ({"registers_per_thread": None}, {"registers"}),
}


@pytest.mark.parametrize("case", TABLE)
def test_group_rows(case: str) -> None:
    fields, expected = TABLE[case]
    assert rules(replace(GOOD, groups=(*GOOD.groups[:2], replace(GOOD.groups[2], **fields)))) == expected


def test_group_without_ops() -> None:
    assert rules(replace(GOOD, groups=(*GOOD.groups, WarpGroup(3, "idle", 1, 24)))) == {"group_table"}


CERTIFICATES: Mapping[str, dict[str, Any]] = {
    "no proof is given for: crossings": {"levels": GOOD.certificate.levels[:3]},
    "no proof is given for: length": {
        "levels": (GOOD.certificate.levels[0], Level("length", 9, 8, "smt"), *GOOD.certificate.levels[2:])
    },
    "bound 10 exceeds value 9": {
        "levels": (GOOD.certificate.levels[0], Level("length", 9, 10, "smt"), *GOOD.certificate.levels[2:])
    },
    "given as 2, the schedule has 3": {"levels": (*GOOD.certificate.levels[:3], Level("crossings", 2, 2, "smt"))},
    "bounds and refutations reach 1": {"rejections": ()},
    "every II up to 7 is said to be refuted": {"rejections": (Rejection(3, "smt"), Rejection(7, "smt"))},
}


@pytest.mark.parametrize("text", CERTIFICATES)
def test_certificate(text: str) -> None:
    findings = verify(*certified(**CERTIFICATES[text]))
    assert any(f.rule == "certificate" and text in f.message for f in findings), [f.render() for f in findings]


def test_contradictory_answers() -> None:
    assert rules(replace(GOOD, lower_bound_cycles=5)) == {"certificate"}
    assert rules(replace(GOOD, conflict=Conflict(("unit",), "no"))) == {"certificate"}
    assert rules(replace(INFEASIBLE, certificate=Certificate())) == {"answer"}
    assert rules(replace(INFEASIBLE, placements=GOOD.placements)) == {"answer"}


BOUNDS: Mapping[str, tuple[Bound, bool]] = {
    "work of one unit": (Bound("unit", 2, "tensor", ("dot",)), True),
    "more than the work": (Bound("unit", 3, "tensor", ("dot",)), False),
    "ops of another unit": (Bound("unit", 2, "tensor", ("load", "soft")), False),
    "unknown op": (Bound("unit", 1, "tensor", ("ghost",)), False),
    "recurrence": (Bound("recurrence", 2, "dot soft", ("dot", "soft")), True),
    "more than the recurrence": (Bound("recurrence", 3, "dot soft", ("dot", "soft")), False),
    "no such cycle": (Bound("recurrence", 2, "load dot", ("load", "dot")), False),
    "above the II": (Bound("recurrence", 5, "dot soft", ("dot", "soft")), False),
}


@pytest.mark.parametrize("case", BOUNDS)
def test_bounds(case: str) -> None:
    bound, holds = BOUNDS[case]
    assert rules(*certified(bounds=(bound,))) == (set() if holds else {"bound"})


@pytest.mark.parametrize("family", [Family.UNIT, Family.DEPENDENCE])
def test_a_relaxed_family_bounds_nothing(family: Family) -> None:
    case = {Family.UNIT: "work of one unit", Family.DEPENDENCE: "recurrence"}[family]
    schedule, _ = certified(bounds=(BOUNDS[case][0],))
    assert rules(schedule, replace(PROBLEM, relaxed=frozenset({family}))) == {"bound"}


PINS: Mapping[str, tuple[Pins, bool]] = {
    "other II": (Pins(ii_cycles=5), False),
    "its II": (Pins(ii_cycles=4), True),
    "one label, two groups": (Pins(groups={"dot": "a", "soft": "a"}), False),
    "two labels, one group": (Pins(groups={"dot": "a", "load": "b"}), True),
    "order kept": (Pins(orders=(OrderPin((("load", 1), ("dot", 0), ("soft", 0)), cyclic=False),)), True),
    "order broken": (Pins(orders=(OrderPin((("soft", 0), ("dot", 0)), cyclic=False),)), False),
    "cyclic order broken": (Pins(orders=(OrderPin((("load", 0), ("dot", 0), ("soft", 0))),)), False),
}


@pytest.mark.parametrize("case", PINS)
def test_pins(case: str) -> None:
    pins, holds = PINS[case]
    assert rules(*problem_with(pins=pins)) == (set() if holds else {"pins"})


def test_two_labels_in_one_group() -> None:
    problem = replace(PROBLEM, pins=Pins(groups={"dot": "a", "soft": "b"}))
    assert "pins" in rules(*grouped(problem, soft=1))


def test_occupancy_longer_than_the_ii_wraps() -> None:
    graph = DependenceGraph("long", (Op("a", "u", 1, 5),))
    machine = Machine("m", {"u": 2})
    problem = Problem(graph, machine, joint=False)
    schedules = {ii: Assignment(problem, ii, {"a": 0}, {"a": 0}).schedule() for ii in (2, 3)}
    assert rules(schedules[2], problem) == {"unit", "iterations"}
    assert rules(schedules[3], problem) == set()
    assert "slot 0 holds 3, 2 allowed (1 such slot): `a`" in verify(schedules[2], problem)[0].message


def test_finding_stands_at_the_late_op() -> None:
    place = Location("gemm.py", 3, 5)
    ops = tuple(replace(op, location=place) if op.name == "dot" else op for op in GRAPH.ops)
    problem = replace(PROBLEM, graph=replace(GRAPH, ops=ops))
    late = Assignment(problem, 4, TIMES | {"dot": 2}, GROUPS).schedule()
    assert verify(late, problem)[0].location == place


def test_thousands_of_ops_are_verified_in_a_second() -> None:
    count, ii = 3000, 20_000
    ops = tuple(Op(f"o{i}", "u", 7, 3) for i in range(count))
    edges = tuple(Edge(f"o{i}", f"o{i + 1}") for i in range(count - 1))
    problem = Problem(DependenceGraph("chain", ops, edges), Machine("m", {"u": 1}), joint=False)
    times = tuple(Placement(op.name, 7 * i) for i, op in enumerate(ops))
    schedule = Schedule(Status.FEASIBLE, problem.graph, problem.machine, "t", False, ii, 7 * count, times)
    started = time.process_time()
    # At stage 1 the slots are shifted by 20000 mod 7, and meet those of stage 0: the unit is held twice.
    assert rules(schedule, problem) == {"unit", "iterations"}
    assert verify(replace(schedule, ii_cycles=7 * count), problem) == ()
    assert time.process_time() - started < 1.0
