"""The solver as its callers see it: dispatch, limits, interrupts, reproducibility, what it records."""

from __future__ import annotations

import pytest

from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Schedule, Status
from twill.problem.problem import OrderPin, Pins, Problem
from twill.problem.verify import verify
from twill.solve.cpsat import CpSat
from twill.solve.protocol import Limits

UNITS = Machine("toy", {"tensor": 1, "sfu": 1}, wait_cycles=0)
ATTENTION = DependenceGraph(
    "toy attention",
    (
        Op("qk", "tensor", latency_cycles=1, occupancy_cycles=1),
        Op("exp", "sfu", latency_cycles=1, occupancy_cycles=1),
        Op("pv", "tensor", latency_cycles=1, occupancy_cycles=1),
    ),
    (Edge("qk", "exp"), Edge("exp", "pv"), Edge("pv", "pv", distance=1)),
)


def solve(problem: Problem, limits: Limits | None = None) -> Schedule:
    schedule = CpSat().solve(problem, limits or Limits(time_s=30))
    assert verify(schedule, problem) == ()
    return schedule


@pytest.mark.parametrize("joint", [False, True])
def test_toy_attention_runs_the_second_product_one_iteration_late(joint: bool) -> None:
    schedule = solve(Problem(ATTENTION, UNITS, joint=joint))
    assert (schedule.status, schedule.ii_cycles, schedule.length_cycles) == (Status.OPTIMAL, 2, 4)
    assert schedule.stage("pv") - schedule.stage("qk") == 1


@pytest.mark.parametrize("joint", [False, True])
def test_in_order_it_takes_three_cycles(joint: bool) -> None:
    assert solve(Problem(ATTENTION, UNITS, joint=joint, max_stages=1)).ii_cycles == 3


@pytest.mark.parametrize("joint", [False, True])
def test_pinned_stages_and_orders_are_kept(joint: bool) -> None:
    pins = Pins(stages={"qk": 0, "pv": 0}, orders=(OrderPin((("qk", 0), ("pv", 0))),))
    assert solve(Problem(ATTENTION, UNITS, joint=joint, pins=pins)).ii_cycles == 3


def test_no_time_is_a_timeout_and_never_infeasible() -> None:
    schedule = solve(Problem(ATTENTION, UNITS), Limits(time_s=0))
    assert (schedule.status, schedule.lower_bound_cycles) == (Status.TIMEOUT, 2)


def test_an_interrupt_keeps_the_best_so_far() -> None:
    def interrupt(line: str) -> None:
        if "found" in line:
            raise KeyboardInterrupt

    schedule = solve(Problem(ATTENTION, UNITS), Limits(time_s=30, progress=interrupt))
    assert schedule.status is Status.FEASIBLE
    assert schedule.message.startswith("interrupted")
    assert [level.proven for level in schedule.certificate.levels][:2] == [True, False]


def test_the_same_seed_gives_the_same_schedule() -> None:
    runs = [solve(Problem(ATTENTION, UNITS), Limits(time_s=30, workers=workers, seed=3)) for workers in (1, 2, 2)]
    assert len({(run.placements, run.groups, run.buffers) for run in runs}) == 1


def test_certificate_names_bounds_levels_and_the_assumed_stages() -> None:
    certificate = solve(Problem(ATTENTION, UNITS)).certificate
    assert next((b.name, b.ii_cycles) for b in certificate.bounds) == ("tensor", 2)
    assert [level.name for level in certificate.levels] == ["ii", "length", "groups", "crossings"]
    assert all(level.proven for level in certificate.levels)
    assert "no proof rests on it" in certificate.assumptions[0]


def test_a_streaming_load_gets_the_depth_that_hides_its_latency() -> None:
    load = Op("k", latency_cycles=20, smem_bytes=10, variable_latency=True, streaming=True, handoff_cycles=4)
    graph = DependenceGraph("stream", (load, Op("use", "tensor", occupancy_cycles=8)), (Edge("k", "use"),))
    depths = {
        smem: solve(Problem(graph, Machine("toy", {"tensor": 1}, smem_bytes=smem))).buffers[0].depth
        for smem in (20, 30, 1000)
    }
    # ceil((20 + 4) / 8) + 1 where there is room, never less than the two copies that liveness needs.
    assert depths == {20: 2, 30: 3, 1000: 4}


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="no ops"):
        CpSat().solve(Problem(DependenceGraph("empty", ()), UNITS), Limits())
