"""Each rule of the check before a solve, with one minimal problem that breaks it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ir.diagnostics import Location
from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from ir.schedule import Status
from twill.problem.check import IMPOSSIBLE, MEANING, STRUCTURE, check, is_negative_answer
from twill.problem.problem import Family, OrderPin, Pins, Problem
from twill.solve.cpsat import CpSat
from twill.solve.protocol import Limits

PLACE = Location("gemm.py", 7, 3)
MACHINE = Machine(
    "toy", {"tensor": 1}, smem_bytes=100, tmem_columns=10, registers_per_sm=8192, max_warps=8, max_groups=3
)
LOAD = Op("load", "tensor", 4, 1, smem_bytes=10, variable_latency=True, location=PLACE)
DOT = Op("dot", "tensor", 4, 2, registers=16, location=PLACE)
GRAPH = DependenceGraph("g", (LOAD, DOT), (Edge("load", "dot"), Edge("dot", "dot", distance=1)))
GOOD = Problem(GRAPH, MACHINE)


def ops(*changed: Op) -> Problem:
    return replace(GOOD, graph=replace(GRAPH, ops=changed))


def edges(*more: Edge) -> Problem:
    return replace(GOOD, graph=replace(GRAPH, edges=(*GRAPH.edges, *more)))


def pinned(**pins: object) -> Problem:
    return replace(GOOD, pins=Pins(**pins))  # type: ignore[arg-type]


# Two accumulators of 136 registers in each of 32 threads.
CARRIED = replace(
    GOOD,
    graph=replace(
        GRAPH,
        ops=(LOAD, replace(DOT, registers=136), replace(DOT, name="sum", registers=136)),
        edges=(*GRAPH.edges, Edge("sum", "sum", distance=1, in_place=True)),
    ),
)
# Rule -> a problem that breaks it, and what the message must say.
BROKEN: Mapping[str, tuple[Problem, str]] = {
    "empty-graph": (Problem(DependenceGraph("none", ()), MACHINE), "graph `none` has no ops"),
    "duplicate-op": (ops(LOAD, DOT, DOT), "2 ops are called `dot`"),
    "unknown-edge-end": (edges(Edge("lod", "dot")), "names no op `lod`"),
    "unknown-reader": (
        replace(GOOD, graph=replace(GRAPH, invariants=(Invariant("q", readers=("dott",)),))),
        "`q` is read by `dott`",
    ),
    "unknown-pinned-op": (pinned(stages={"dat": 0}), "a pin names `dat`"),
    "zero-distance-cycle": (edges(Edge("dot", "load")), "dot -> load -> dot"),
    "unknown-unit": (ops(LOAD, replace(DOT, unit="tensr")), "unit `tensr`, which machine toy lacks"),
    "limit-below-one": (replace(GOOD, max_groups=0), "max_groups is 0"),
    "pins-without-groups": (replace(pinned(groups={"dot": "mma"}), joint=False), "modulo problem"),
    "contradicting-pins": (replace(pinned(ii_cycles=9), max_ii=8), "pinned to 9 and limited to 8"),
    "no-register-budget": (
        replace(GOOD, machine=replace(MACHINE, min_registers_per_thread=33, max_registers_per_thread=39)),
        "no multiple of 8 registers between 33 and 39",
    ),
    "smem-too-small": (ops(replace(LOAD, smem_bytes=101), DOT), "`load` needs 101 bytes of shared memory, 100 allowed"),
    "tmem-too-small": (ops(LOAD, replace(DOT, tmem_columns=11)), "`dot` needs 11 columns of tensor memory, 10 allowed"),
    "registers-too-few": (ops(LOAD, replace(DOT, registers=249)), "`dot` needs 249 registers of each thread"),
    "carried-registers": (CARRIED, "`dot`, `sum` are carried from iteration to iteration in 8704 registers, 8192"),
    "warps-too-few": (ops(LOAD, replace(DOT, warps=9, registers=0)), "`dot` needs 9 warps, 8 allowed"),
    "groups-too-few": (replace(GOOD, max_groups=1), "a load group and one other are needed, 1 group allowed"),
    "pinned-load-group": (pinned(groups={"load": "a", "dot": "a"}), "`load`, of variable latency, and `dot`"),
    "pinned-stage-order": (
        pinned(stages={"load": 2, "dot": 0}),
        "`dot` is pinned to stage 0 and needs `load` of stage 2",
    ),
}  # fmt: skip


def test_good_problem_has_no_findings() -> None:
    assert check(GOOD) == ()


def test_every_rule_has_a_broken_problem() -> None:
    assert set(BROKEN) == {*STRUCTURE, *MEANING, *IMPOSSIBLE}


@pytest.mark.parametrize("rule", BROKEN)
def test_broken_problem_is_named(rule: str) -> None:
    problem, text = BROKEN[rule]
    findings = check(problem)
    assert {finding.rule for finding in findings} == {rule}
    assert text in findings[0].message
    assert findings[0].remedy
    assert is_negative_answer(findings[0]) == (rule in IMPOSSIBLE)


@pytest.mark.parametrize("rule", ["duplicate-op", "unknown-unit", "zero-distance-cycle", *list(IMPOSSIBLE)[:4]])
def test_finding_stands_at_the_op(rule: str) -> None:
    assert check(BROKEN[rule][0])[0].location == PLACE


def test_nearest_names_are_suggested() -> None:
    assert check(BROKEN["unknown-unit"][0])[0].remedy == "nearest: tensor"
    assert check(BROKEN["unknown-edge-end"][0])[0].remedy == "nearest: load"


FAMILY_OF = {
    "smem-too-small": Family.SMEM,
    "tmem-too-small": Family.TMEM,
    "registers-too-few": Family.REGISTERS,
    "carried-registers": Family.REGISTERS,
    "warps-too-few": Family.GROUP_WARPS,
    "groups-too-few": Family.GROUPS,
    "pinned-load-group": Family.PINS,
    "pinned-stage-order": Family.PINS,
}


@pytest.mark.parametrize("rule", FAMILY_OF)
def test_relaxed_family_is_not_a_reason(rule: str) -> None:
    problem = BROKEN[rule][0]
    assert check(replace(problem, relaxed=frozenset({FAMILY_OF[rule]}))) == ()
    assert check(replace(problem, joint=False, pins=Pins())) == ()


def test_invariants_count_against_the_memory() -> None:
    held = Invariant("q", smem_bytes=95)
    findings = check(replace(GOOD, graph=replace(GRAPH, invariants=(held,))))
    assert [f.message for f in findings] == [
        "`load` needs 10 bytes of shared memory beside 95 of the loop's invariants, 100 allowed"
    ]
    alone = check(replace(GOOD, graph=replace(GRAPH, invariants=(replace(held, smem_bytes=101),))))
    assert [f.message for f in alone] == ["the loop's invariants take 101 bytes of shared memory, 100 allowed"]


def test_register_file_counts_warps_and_threads() -> None:
    wide = replace(GOOD, machine=replace(MACHINE, registers_per_sm=4 * 32 * 200))
    message = "`dot` needs 4 x 32 x 240 registers, 25600 allowed"
    dot = replace(DOT, registers=233, warps=4)
    assert [f.message for f in check(replace(wide, graph=replace(GRAPH, ops=(LOAD, dot))))] == [message]


@pytest.mark.parametrize("distance", [1, 2])
def test_carried_registers_are_counted_as_the_solver_counts_them(distance: int) -> None:
    """With a register fewer than what is carried there is no schedule at any II; with as many there is one."""
    adders = [Op(name, "tensor", 4, 2, registers=16, warps=2) for name in ("sum0", "sum1")]
    again = (Edge(op.name, op.name, distance=distance, in_place=True) for op in adders)
    graph = DependenceGraph("carried", tuple(adders), tuple(again))
    enough = 2 * 32 * 2 * 16 * distance
    machine = replace(MACHINE, min_registers_per_thread=8, reserved_registers=0, registers_per_sm=enough)
    assert check(Problem(graph, machine)) == ()
    assert CpSat().solve(Problem(graph, machine), Limits()).found
    tight = Problem(graph, replace(machine, registers_per_sm=enough - 1))
    assert "carried-registers" in {finding.rule for finding in check(tight)}
    assert CpSat().solve(tight, Limits()).status is Status.INFEASIBLE


LATE_LOAD = OrderPin((("load", 1), ("dot", 0)), cyclic=False)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (pinned(stages={"dot": -1}), "pinned to stage -1"),
        (replace(pinned(stages={"dot": 3}), max_stages=3), "stages run from 0 to 2"),
        (pinned(stages={"dot": 2, "load": 1}), "every op is pinned to stage 1 or later"),
        (pinned(orders=(LATE_LOAD, OrderPin((("dot", 0), ("load", 0))))), "before itself"),
        (pinned(orders=(OrderPin((("load", 0), ("load", 2))),)), "before itself"),
    ],
)  # fmt: skip
def test_pins_that_contradict_each_other(problem: Problem, text: str) -> None:
    findings = check(problem)
    assert {f.rule for f in findings} == {"contradicting-pins"}
    assert any(text in f.message for f in findings)


def test_equal_times_satisfy_two_opposite_orders() -> None:
    both = tuple(OrderPin(entries) for entries in ((("load", 0), ("dot", 0)), (("dot", 0), ("load", 0))))
    assert check(pinned(orders=both)) == ()


def test_more_pinned_labels_than_groups() -> None:
    graph = DependenceGraph("g", (DOT, replace(DOT, name="dot2")))
    problem = replace(GOOD, graph=graph, max_groups=1, pins=Pins(groups={"dot": "a", "dot2": "b"}))
    assert [f.message for f in check(problem)] == ["the pins name 2 groups (a, b), 1 allowed"]
