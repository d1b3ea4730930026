"""Each family of constraints on the smallest loop in which it sets the II: the answer with it, and without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from ir.schedule import Schedule, Status
from twill.problem.problem import Family, OrderPin, Pins, Problem
from twill.problem.verify import verify
from twill.solve.cpsat import CpSat
from twill.solve.protocol import Limits

MACHINE = Machine("toy", {"u": 1}, wait_cycles=0, registers_per_sm=None)


def machine(**changes: object) -> Machine:
    return replace(MACHINE, **changes)


def loop(ops: list[Op], edges: list[Edge] = [], invariants: tuple[Invariant, ...] = ()) -> DependenceGraph:  # noqa: B006
    return DependenceGraph("toy", tuple(ops), tuple(edges), invariants)


def solve(problem: Problem) -> Schedule:
    schedule = CpSat().solve(problem, Limits(time_s=30))
    assert verify(schedule, problem) == ()
    return schedule


def ii(problem: Problem) -> int | None:
    schedule = solve(problem)
    assert schedule.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return schedule.ii_cycles


RING = loop(
    [Op("a", latency_cycles=1, handoff_cycles=4), Op("b", latency_cycles=1, handoff_cycles=4)],
    [Edge("a", "b"), Edge("b", "a", distance=1)],
)
HELD = loop([Op("a", latency_cycles=3, smem_bytes=8, tmem_columns=8, registers=8), Op("b")], [Edge("a", "b")])
CHASE = loop(
    [
        Op("load", latency_cycles=2, handoff_cycles=5, variable_latency=True),
        Op("use", latency_cycles=1, handoff_cycles=3),
    ],
    [Edge("load", "use"), Edge("use", "load", distance=1)],
)
TWINS = loop(
    [
        Op(f"{kind}{i}", latency_cycles=4 if kind == "a" else 1, registers=8 * (kind == "a"))
        for i in "01"
        for kind in "ab"
    ],
    [Edge("a0", "b0"), Edge("a1", "b1")],
)
APART = Pins(groups={"a": "one", "b": "other"})
TIGHT = {"registers_per_sm": 4096, "max_registers_per_thread": 8, "min_registers_per_thread": 8}

CASES: dict[Family, tuple[Problem, int | None, int | None]] = {
    Family.DEPENDENCE: (Problem(RING, machine(max_groups=1)), 2, 1),
    Family.UNIT: (Problem(loop([Op(x, "u", occupancy_cycles=2) for x in "ab"]), MACHINE), 4, 1),
    Family.STAGES: (Problem(loop([Op("a", latency_cycles=4), Op("b")], [Edge("a", "b")]), MACHINE, max_stages=1), 5, 1),
    Family.SMEM: (Problem(HELD, machine(smem_bytes=8)), 4, 1),
    Family.TMEM: (Problem(HELD, machine(tmem_columns=8)), 4, 1),
    Family.GROUP_WARPS: (
        Problem(loop([Op("a", warps=4), Op("b", warps=2)]), machine(max_warps=5), pins=APART),
        None,
        1,
    ),
    Family.VARIABLE_LATENCY: (Problem(CHASE, MACHINE), 11, 3),
    Family.REGISTERS: (Problem(HELD, machine(**TIGHT)), 4, 1),
    Family.HANDOFF: (Problem(RING, MACHINE, pins=APART), 10, 2),
    Family.REGISTER_HANDOFF: (Problem(HELD, MACHINE, pins=APART, forbid_register_handoff=True), None, 1),
    Family.BLOCKING: (
        Problem(
            loop([Op("a"), Op("b", issue_cycles=3)], [Edge("a", "a", distance=1, blocking=True)]),
            machine(wait_cycles=2, max_groups=1),
        ),
        5,
        1,
    ),
    Family.PINS: (Problem(loop([Op("a")]), MACHINE, pins=Pins(ii_cycles=7)), 7, 1),
    Family.GROUPS: (Problem(TWINS, machine(**TIGHT), max_groups=1), 10, 5),
}


def test_every_family_has_a_case() -> None:
    assert set(CASES) == set(Family)


@pytest.mark.parametrize("family", CASES)
def test_family_binds_and_its_relaxation_does_not(family: Family) -> None:
    problem, with_family, without = CASES[family]
    assert ii(problem) == with_family
    assert ii(replace(problem, relaxed=frozenset({family}))) == without


def test_a_value_larger_than_every_budget_is_refused_before_any_search() -> None:
    schedule = solve(Problem(loop([Op("a", registers=9)]), machine(**TIGHT)))
    assert schedule.status is Status.INFEASIBLE
    assert schedule.conflict is not None
    assert schedule.conflict.families == (Family.REGISTERS,)
    assert "`a` needs 16 registers per thread (9 for its result" in schedule.conflict.message


def test_a_value_larger_than_the_memory_is_refused_with_numbers() -> None:
    graph = loop([Op("a", smem_bytes=5)], invariants=(Invariant("i", smem_bytes=4),))
    schedule = solve(Problem(graph, machine(smem_bytes=8)))
    assert schedule.conflict is not None
    assert schedule.conflict.families == (Family.SMEM,)
    assert schedule.conflict.message.startswith("`a` takes 5 bytes of shared memory, 4 are held")


def test_max_ii_below_the_optimum_is_infeasible() -> None:
    problem, optimum, _ = CASES[Family.UNIT]
    assert optimum is not None
    assert solve(replace(problem, max_ii=optimum - 1)).status is Status.INFEASIBLE
    assert ii(replace(problem, max_ii=optimum)) == optimum


def test_no_schedule_at_any_ii_is_proven() -> None:
    """Both values live at once at every II: the op that reads them needs both."""
    graph = loop([Op("a", registers=8), Op("b", registers=8), Op("c")], [Edge("a", "c"), Edge("b", "c")])
    schedule = solve(Problem(graph, machine(**TIGHT), max_groups=1))
    assert schedule.status is Status.INFEASIBLE


def test_occupancy_longer_than_the_ii_on_a_unit_of_several() -> None:
    graph = loop([Op("a", "u", occupancy_cycles=7), Op("b", "u", occupancy_cycles=2)])
    assert ii(Problem(graph, machine(units={"u": 3}))) == 3


def test_in_place_values_hold_one_storage() -> None:
    ops = [Op("a", latency_cycles=2, smem_bytes=8), Op("b", latency_cycles=2, smem_bytes=8), Op("c")]
    apart = [Edge("a", "b"), Edge("b", "c")]
    in_place = [Edge("a", "b", in_place=True), Edge("b", "c")]
    assert ii(Problem(loop(ops, in_place), machine(smem_bytes=8))) == 5
    assert solve(Problem(loop(ops, apart), machine(smem_bytes=8))).status is Status.INFEASIBLE


def test_an_in_place_ring_holds_its_storage_for_ever() -> None:
    ring = [Edge("a", "b", in_place=True), Edge("b", "a", distance=1, in_place=True)]
    ops = [Op("a", latency_cycles=2, smem_bytes=8), Op("b", latency_cycles=2, smem_bytes=8), Op("c", smem_bytes=1)]
    assert ii(Problem(loop(ops, ring), machine(smem_bytes=9))) == 4
    assert solve(Problem(loop(ops, ring), machine(smem_bytes=8))).status is Status.INFEASIBLE


def test_invariant_registers_count_in_the_groups_of_their_readers() -> None:
    graph = loop([Op("a", registers=8), Op("b")], [], (Invariant("i", registers=8, readers=("b",)),))
    both = solve(Problem(graph, machine(**TIGHT)))
    assert both.by_op["a"].group != both.by_op["b"].group
    assert solve(Problem(graph, machine(**TIGHT), max_groups=1)).status is Status.INFEASIBLE


def test_order_pin_fixes_who_comes_first() -> None:
    graph = loop(
        [Op("a", "u", occupancy_cycles=2), Op("b", "u", occupancy_cycles=2), Op("c")], [Edge("a", "c"), Edge("b", "c")]
    )
    for first, second in ("ab", "ba"):
        schedule = solve(Problem(graph, MACHINE, pins=Pins(orders=(OrderPin(((first, 0), (second, 0))),))))
        assert schedule.by_op[first].time_cycles < schedule.by_op[second].time_cycles


def test_stage_pin_delays_an_op() -> None:
    schedule = solve(Problem(loop([Op("a"), Op("b")], [Edge("a", "b")]), MACHINE, pins=Pins(stages={"a": 0, "b": 2})))
    assert schedule.ii_cycles is not None
    assert schedule.stage("b") - schedule.stage("a") == 2


def test_a_label_may_be_the_load_group_but_not_hold_other_ops() -> None:
    loads = solve(Problem(CHASE, MACHINE, pins=Pins(groups={"load": "producer", "use": "consumer"})))
    assert [group.role for group in loads.groups] == ["producer", "consumer"]
    clash = solve(Problem(CHASE, MACHINE, pins=Pins(groups={"load": "all", "use": "all"})))
    assert clash.conflict is not None
    assert set(clash.conflict.families) == {Family.PINS, Family.VARIABLE_LATENCY}


def test_one_group_without_warp_specialization() -> None:
    schedule = solve(Problem(CHASE, machine(warp_specialization=False)))
    assert (schedule.ii_cycles, len(schedule.groups)) == (3, 1)


def test_registers_left_over_are_handed_out_within_the_file() -> None:
    problem = Problem(HELD, machine(registers_per_sm=1024, max_registers_per_thread=24, min_registers_per_thread=8))
    (group,) = solve(problem).groups
    assert group.registers_per_thread == 24
