"""The explanation: what sets II and L, groups, memory, assumed dependences, negative answers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Certificate, Placement, Schedule, Status
from tests.twill.report import examples
from twill.explain.explain import explain
from twill.explain.interval import Cause
from twill.explain.steady import covers, lifetimes, memory_profiles, register_profiles, utilisations
from twill.problem.problem import OrderPin, Pins, Problem


@pytest.mark.parametrize("case", examples.CASES)
def test_golden(case, golden):
    golden(f"{case}.txt", "\n".join(explain(examples.CASES[case]()).lines) + "\n")


def test_a_unit_sets_the_interval_op_by_op():
    interval = explain(examples.attention()).interval
    assert interval.cause is Cause.UNIT
    assert [bound.name for bound in interval.binding] == ["tensor"]
    text = "\n".join(interval.lines)
    assert text.count("512 cycles (kernel.py:") == 4
    assert "tensor 2048 of 2048 cycles (100%); next: sfu 1040 of 2048 cycles" in text


def _loop(latency: int, distance: int, ii: int, status: Status = Status.OPTIMAL) -> Schedule:
    graph = DependenceGraph(
        "loop", (Op("a", "x", latency, 1), Op("b", None, 2)), (Edge("a", "b"), Edge("b", "a", distance=distance))
    )
    placements = (Placement("a", 0), Placement("b", latency))
    machine = Machine("m", units={"x": 1})
    return Schedule(status, graph, machine, "hand", False, ii, latency + 2, placements, lower_bound_cycles=1)


def test_a_recurrence_sets_the_interval_edge_by_edge():
    interval = explain(_loop(7, 1, 9)).interval
    assert interval.cause is Cause.RECURRENCE
    text = "\n".join(interval.lines)
    assert "a -> b: 7 cycles" in text
    assert "b -> a: 2 cycles, 1 iteration later" in text
    assert "together 9 cycles over 1 iteration" in text


def test_above_every_bound_it_says_whether_that_is_proven():
    proven = explain(_loop(7, 1, 12)).interval
    assert proven.cause is Cause.CONSTRAINTS
    open_question = explain(_loop(7, 1, 12, Status.FEASIBLE)).interval
    assert open_question.cause is Cause.UNPROVEN
    assert "at least 9" in open_question.lines[0]


def test_both_bounds_are_named_where_both_bind():
    graph = DependenceGraph("both", (Op("a", "x", 5, 5),), (Edge("a", "a", distance=1),))
    schedule = Schedule(
        Status.OPTIMAL, graph, Machine("m", units={"x": 1}), "hand", False, 5, 5, (Placement("a", 0),)
    )  # fmt: skip
    assert len(explain(schedule).interval.binding) == 2


def test_the_chain_is_in_order_of_time_and_ends_last():
    rng = random.Random(5)
    for _ in range(40):
        schedule = examples.random_schedule(rng, rng.randint(1, 20), rng.choice((3, 50)))
        chain = explain(schedule).length.chain
        assert [link.time_cycles for link in chain] == sorted(link.time_cycles for link in chain)
        last = chain[-1]
        span = schedule.graph.by_name[last.op].span_cycles
        assert schedule.by_op[last.op].time_cycles + span == schedule.length_cycles


def test_the_chain_follows_tight_dependences():
    chain = explain(_loop(7, 1, 9)).length.chain
    assert [(link.op, link.reason) for link in chain][-1] == ("b", "dependence")


def test_a_hand_off_is_named_in_the_chain():
    graph = DependenceGraph("h", (Op("a", None, 3, handoff_cycles=4), Op("b", None, 1)), (Edge("a", "b"),))
    schedule = Schedule(
        Status.FEASIBLE, graph, Machine("m", units={}), "hand", True, 10, 8,
        (Placement("a", 0, 0), Placement("b", 7, 1)),
    )  # fmt: skip
    assert [link.reason for link in explain(schedule).length.chain] == ["start", "handoff"]


def test_groups_say_why_not_fewer():
    text = "\n".join(explain(examples.attention()).groups.lines)
    assert "Fewer than 3 groups are impossible" in text
    assert "349 registers a thread, 240 allowed" in text
    bare = replace(examples.attention(), certificate=Certificate())
    assert "is not proven" in "\n".join(explain(bare).groups.lines)


def test_memory_says_what_would_fit():
    memory = explain(examples.attention()).memory
    [smem] = memory.headroom
    assert (smem.peak, smem.allocated) == (96 * 1024, 160 * 1024)
    assert smem.free == examples.HOPPER.smem_bytes - 160 * 1024
    assert [row.depth_fits for row in memory.deeper] == [4, 4]
    assert memory.registers_used == 32 * 24 + 2 * 4 * 32 * 240


def test_assumed_dependences_are_listed_with_their_reason():
    explanation = explain(examples.attention())
    assert [edge.target for edge in explanation.assumed] == ["v"]
    assert any("k_ptrs and v_ptrs may alias" in line for line in explanation.lines)


def test_a_timeout_is_never_called_infeasible():
    text = "\n".join(explain(examples.timeout()).lines)
    assert "does not show that there is none" in text
    assert "proven" not in text


def test_limits_and_pins_are_repeated():
    pins = Pins("fa3", {"k": "load"}, {"k": 0}, (OrderPin((("k", 0),)),), 2048)
    schedule = examples.attention()
    problem = Problem(schedule.graph, schedule.machine, max_groups=3, forbid_register_handoff=True, pins=pins)
    text = "\n".join(explain(schedule, problem).lines)
    for part in ("At most 3 warp groups", "in registers", "Pins of fa3: 1 group pin, 1 stage pin, 1 order pin", "2048"):
        assert part in text


def test_utilisation_is_busy_over_interval_times_count():
    graph = DependenceGraph("u", (Op("a", "x", 4, 4), Op("b", "x", 2, 2), Op("c", "y", 1, 1)))
    rows = utilisations(graph, Machine("m", units={"y": 1, "x": 2, "idle": 1}), 4)
    assert [(row.unit, row.busy_cycles, row.fraction) for row in rows] == [("x", 6, 0.75), ("y", 1, 0.25)]


def test_profiles_agree_with_a_count_slot_by_slot():
    rng = random.Random(11)
    for _ in range(50):
        ii = rng.randint(1, 12)
        spans = [(a, a + rng.randint(1, 40), rng.randint(1, 9)) for a in (rng.randint(0, 30) for _ in range(6))]
        steps = covers(spans, ii, 3)
        assert steps[0][0] == 0
        for slot in range(ii):
            expected = 3 + sum(size for a, b, size in spans for t in range(a, b) if t % ii == slot)
            assert [amount for start, amount in steps if start <= slot][-1] == expected


def test_lifetimes_follow_the_problem_statement():
    rows = {row.op: row for row in lifetimes(examples.attention())}
    assert (rows["k"].start_cycles, rows["k"].end_cycles) == (0, 1124 + 576)
    # In place: free when the exponential takes it over.
    assert rows["shifted[0]"].end_cycles == 813 + 0
    # Read by the next iteration's rescaling, in place.
    assert rows["acc[0]"].end_cycles == 1391 + 2048


def test_profiles_of_registers_count_reserved_ones():
    profiles = {profile.group: profile for profile in register_profiles(examples.attention())}
    assert profiles[0].peak == examples.HOPPER.reserved_registers
    assert memory_profiles(examples.modulo()) == ()


def test_a_serial_loop_is_told_that_overlap_gains_little():
    lines = explain(_loop(7, 1, 9)).lines
    assert "Little to gain from overlap:" in lines
    assert any("a -> b: 7 cycles; b -> a: 2 cycles" in line for line in lines)
    assert "Little to gain from overlap:" not in explain(examples.attention()).lines
