"""Exhaustive search: each family of constraints binds on a tiny instance whose answer is worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from ir.schedule import Status
from twill.problem.problem import Family, OrderPin, Pins, Problem
from twill.problem.verify import verify
from twill.solve.brute import Brute
from twill.solve.protocol import Limits

MACHINE = Machine("m", {"u": 1, "w": 1}, max_warps=16, wait_cycles=1)


def problem_of(ops, edges=(), invariants=(), machine=MACHINE, **options):
    return Problem(DependenceGraph("test", tuple(ops), tuple(edges), tuple(invariants)), machine, **options)


def solve(problem, max_stages=3):
    schedule = Brute(max_stages=max_stages).solve(problem, Limits(60.0))
    assert verify(schedule, problem) == ()
    return schedule


def answer(schedule):
    """The values of all levels."""
    assert schedule.status is Status.OPTIMAL
    return tuple(level.value for level in schedule.certificate.levels)


def test_units_and_dependences_set_interval_and_length():
    ops = [Op("a", "u", 2, 1), Op("b", "u", 1, 1)]
    assert answer(solve(problem_of(ops, [Edge("a", "b")], joint=False))) == (2, 4)
    assert answer(solve(problem_of(ops, [Edge("a", "b")]))) == (2, 4, 1, 0)


def test_capped_stages_cost_interval():
    ops = [Op("a", "u", 2, 1), Op("b", "w", 1, 1)]
    problem = problem_of(ops, [Edge("a", "b")], joint=False)
    assert answer(solve(problem)) == (1, 3)
    assert answer(solve(replace(problem, max_stages=1))) == (3, 3)
    assert solve(replace(problem, max_stages=1)).certificate.assumptions == ("at most 1 stages",)


@pytest.mark.parametrize(
    ("field", "limit"), [("smem_bytes", {"smem_bytes": 100}), ("tmem_columns", {"tmem_columns": 100})]
)
def test_memory_stretches_the_interval_to_the_lifetime(field, limit):
    # The value lives from the issue of a to the end of b: 3 cycles. One copy fits, so II is 3, and 2 with two copies.
    ops = [Op("a", latency_cycles=2, **{field: 60}), Op("b", latency_cycles=1)]
    problem = problem_of(ops, [Edge("a", "b")], machine=replace(MACHINE, **limit))
    schedule = solve(problem)
    assert answer(schedule)[:2] == (3, 3)
    assert [(b.op, b.live_cycles, b.depth) for b in schedule.buffers] == [("a", 3, 1)]
    roomy = replace(problem, machine=replace(MACHINE, **dict.fromkeys(limit, 120)))
    assert answer(solve(roomy))[:2] == (2, 3)
    family = Family.SMEM if field == "smem_bytes" else Family.TMEM
    assert answer(solve(replace(problem, relaxed=frozenset({family}))))[:2] == (1, 3)
    held = replace(problem, graph=replace(problem.graph, invariants=(Invariant("q", **{field: 41}),)), max_ii=4)
    assert solve(held).status is Status.INFEASIBLE


def test_a_reader_in_place_frees_the_value_at_its_issue():
    ops = [Op("a", latency_cycles=2, smem_bytes=60), Op("b", latency_cycles=1)]
    problem = problem_of(ops, [Edge("a", "b", in_place=True)], machine=replace(MACHINE, smem_bytes=100))
    assert answer(solve(problem))[:2] == (2, 3)


def test_variable_latency_makes_up_a_load_group():
    ops = [Op("load", latency_cycles=2, variable_latency=True), Op("use", latency_cycles=1)]
    problem = problem_of(ops, [Edge("load", "use")])
    schedule = solve(problem)
    assert answer(schedule) == (1, 3, 2, 1)
    assert [(g.index, g.role) for g in schedule.groups] == [(0, "load"), (1, "compute")]
    assert [p.group for p in schedule.placements] == [0, 1]
    assert answer(solve(replace(problem, relaxed=frozenset({Family.VARIABLE_LATENCY})))) == (1, 3, 1, 0)
    assert answer(solve(replace(problem, machine=replace(MACHINE, warp_specialization=False)))) == (1, 3, 1, 0)
    assert solve(replace(problem, max_groups=1, max_ii=3)).status is Status.INFEASIBLE
    assert answer(solve(replace(problem, max_groups=1, relaxed=frozenset({Family.GROUPS})))) == (1, 3, 2, 1)


def test_hand_off_costs_length_and_is_charged_between_groups_only():
    ops = [Op("load", latency_cycles=2, variable_latency=True, handoff_cycles=3), Op("use", latency_cycles=1)]
    problem = problem_of(ops, [Edge("load", "use")])
    assert answer(solve(problem, max_stages=6)) == (1, 6, 2, 1)
    assert answer(solve(replace(problem, relaxed=frozenset({Family.HANDOFF})))) == (1, 3, 2, 1)


def test_group_warps_add_up():
    ops = [Op("load", variable_latency=True, warps=2), Op("use", warps=4)]
    problem = problem_of(ops, [Edge("load", "use")], machine=replace(MACHINE, max_warps=5), max_ii=2)
    assert solve(problem).status is Status.INFEASIBLE
    relaxed = replace(problem, relaxed=frozenset({Family.GROUP_WARPS}))
    assert [g.warps for g in solve(relaxed).groups] == [2, 4]


def test_register_budgets_are_granular_and_shared_by_the_machine():
    # Each result lives 2 cycles: at II 1 two copies are 40 registers + 4 reserved = 48 by eights, at II 2 one: 24.
    machine = replace(
        MACHINE, registers_per_sm=32 * 32, min_registers_per_thread=8, reserved_registers=4, threads_per_warp=32
    )
    problem = problem_of([Op("a", latency_cycles=2, registers=20)], machine=machine)
    schedule = solve(problem)
    assert answer(schedule)[0] == 2
    assert schedule.groups[0].registers_per_thread == 24
    assert answer(solve(replace(problem, relaxed=frozenset({Family.REGISTERS}))))[0] == 1
    tight = replace(problem, machine=replace(machine, registers_per_sm=23 * 32), max_ii=4)
    assert solve(tight).status is Status.INFEASIBLE
    capped = replace(problem, machine=replace(machine, max_registers_per_thread=16), max_ii=4)
    assert solve(capped).status is Status.INFEASIBLE
    read = replace(problem, graph=replace(problem.graph, invariants=(Invariant("q", registers=8, readers=("a",)),)))
    assert solve(read).groups[0].registers_per_thread == 32


def test_forbidden_register_hand_off_keeps_ops_together():
    ops = [Op("a", registers=1), Op("b")]
    pins = Pins(groups={"a": "first", "b": "second"})
    problem = problem_of(ops, [Edge("a", "b")], pins=pins, max_ii=3)
    assert answer(solve(problem))[2:] == (2, 1)
    forbidden = replace(problem, forbid_register_handoff=True)
    assert solve(forbidden).status is Status.INFEASIBLE
    assert answer(solve(replace(forbidden, relaxed=frozenset({Family.REGISTER_HANDOFF}))))[2:] == (2, 1)
    assert answer(solve(replace(forbidden, relaxed=frozenset({Family.PINS}))))[2:] == (1, 0)
    ordered = replace(forbidden, graph=replace(forbidden.graph, edges=(Edge("a", "b", kind="order"),)))
    assert answer(solve(ordered))[2:] == (2, 1)


def test_a_wait_keeps_the_whole_group_from_issuing():
    ops = [Op("a", latency_cycles=1), Op("b", latency_cycles=1)]
    problem = problem_of(ops, [Edge("a", "b", blocking=True)])
    schedule = solve(problem)
    # b may not issue in the slot of its own wait; a may share b's slot, one cycle before the next wait.
    assert answer(schedule)[0] == 2
    alone = solve(problem_of(ops, [Edge("a", "b", blocking=True)], machine=replace(MACHINE, wait_cycles=0)))
    assert answer(alone)[0] == 1
    relaxed = replace(problem, relaxed=frozenset({Family.BLOCKING}))
    assert answer(solve(relaxed))[0] == 1
    long = replace(problem, graph=replace(problem.graph, ops=(ops[0], replace(ops[1], issue_cycles=3))))
    assert answer(solve(long))[0] == 4


def test_fewer_groups_come_before_fewer_crossings():
    ops = [Op("load", variable_latency=True), Op("x"), Op("y")]
    schedule = solve(problem_of(ops, [Edge("load", "x"), Edge("load", "y"), Edge("x", "y")]))
    assert answer(schedule)[2:] == (2, 2)


def test_pinned_stages_orders_groups_and_interval_are_kept():
    ops = [Op("a", "u", 1, 1), Op("b", "u", 1, 1)]
    staged = solve(problem_of(ops, [Edge("a", "b")], pins=Pins(stages={"b": 2})))
    assert answer(staged)[0] == 2
    assert staged.stage("b") == 2
    order = OrderPin((("b", 0), ("a", 1)))
    ordered = solve(problem_of(ops, [Edge("a", "b")], pins=Pins(orders=(order,))))
    assert answer(ordered)[:2] == (2, 2)
    backwards = Pins(orders=(OrderPin((("b", 0), ("a", 0))),))
    assert solve(problem_of(ops, [Edge("a", "b")], pins=backwards, max_ii=4)).status is Status.INFEASIBLE
    assert answer(solve(problem_of(ops, [Edge("a", "b")], pins=Pins(ii_cycles=3))))[0] == 3
    together = solve(problem_of(ops, pins=Pins(groups={"a": "one", "b": "two"})))
    assert answer(together)[2] == 2


def test_time_out_is_no_proof_of_infeasibility():
    ops = [Op(f"n{i}", "u", 3, 2, smem_bytes=10) for i in range(5)]
    problem = problem_of(ops, [Edge("n0", "n1")], machine=replace(MACHINE, smem_bytes=5))
    schedule = Brute().solve(problem, Limits(time_s=0.2))
    assert schedule.status is Status.TIMEOUT
    assert "stopped" in schedule.message
    assert verify(schedule, problem) == ()


def test_six_ops_on_three_groups_take_seconds_at_most():
    ops = [
        Op("k", "w", 2, 1, variable_latency=True, smem_bytes=8, streaming=True),
        Op("s", "u", 2, 1),
        Op("p", None, 1, 0, registers=8, warps=4),
        Op("o", "u", 2, 1),
        Op("v", "w", 2, 1, variable_latency=True, smem_bytes=8, streaming=True),
        Op("r", None, 1, 0, registers=8, warps=4),
    ]
    edges = [
        Edge("k", "s"), Edge("s", "p", blocking=True), Edge("p", "o"), Edge("v", "o"), Edge("o", "o", distance=1),
        Edge("p", "r"), Edge("r", "r", distance=1),
    ]  # fmt: skip
    machine = replace(MACHINE, smem_bytes=64, registers_per_sm=65536, max_groups=3)
    schedule = solve(problem_of(ops, edges, machine=machine))
    assert answer(schedule)[0] == 2
    assert len(schedule.groups) >= 2


@st.composite
def joint_problems(draw):
    n = draw(st.integers(1, 3))
    size = st.integers(0, 2)
    ops = tuple(
        Op(
            f"n{i}",
            draw(st.sampled_from(["u", "w", None])),
            draw(st.integers(0, 2)),
            draw(st.integers(0, 2)),
            draw(st.integers(0, 2)),
            smem_bytes=draw(size),
            tmem_columns=draw(size),
            registers=draw(size),
            warps=draw(st.integers(1, 2)),
            variable_latency=draw(st.booleans()),
            handoff_cycles=draw(size),
        )
        for i in range(n)
    )
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 1), st.booleans(), st.booleans())
    edges = tuple(
        Edge(f"n{u}", f"n{v}", distance=distance if u < v else distance + 1, blocking=blocking, in_place=in_place)
        for u, v, distance, blocking, in_place in draw(st.lists(ends, max_size=n + 1))
    )
    machine = replace(
        MACHINE,
        smem_bytes=draw(st.integers(2, 6)),
        tmem_columns=draw(st.integers(2, 6)),
        registers_per_sm=draw(st.integers(4, 12)),
        threads_per_warp=1,
        register_granularity=2,
        min_registers_per_thread=2,
        max_registers_per_thread=8,
        max_warps=draw(st.integers(2, 4)),
        max_groups=3,
    )
    return Problem(DependenceGraph("g", ops, edges), machine, max_ii=4, max_stages=2)


@settings(max_examples=60, deadline=None)
@given(joint_problems())
def test_the_verifier_accepts_every_answer(problem):
    assert solve(problem).status in (Status.OPTIMAL, Status.INFEASIBLE)


@settings(max_examples=40, deadline=None)
@given(joint_problems(), st.sampled_from(sorted(Family)))
def test_relaxing_a_family_never_makes_the_answer_worse(problem, family):
    strict, relaxed = solve(problem), solve(replace(problem, relaxed=frozenset({family})))
    if strict.status is Status.OPTIMAL:
        assert answer(relaxed) <= answer(strict)
