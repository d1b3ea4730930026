"""Answers that must come out: published toy instances, and attention on Hopper and Blackwell through Triton."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import twill
from ir.graph import DependenceGraph, Edge, Op
from ir.machine import Machine
from ir.schedule import Schedule, Status

ROOT = Path(__file__).parents[2]
ATTENTION = str(ROOT / "kernels" / "attention_forward")
PINS = Path(ATTENTION) / "pins"
HOPPER = {"target": "h100", "subtile": 2}
BLACKWELL = {"target": "b200", "subtile": 2, "constants": {"BLOCK_M": 256}}
FROM_SCORES_TO_OUTPUT = (
    "qk{}", "qk.tmem_load{}", "new_max.reduce{}", "new_max.mulf{}", "new_max{}",
    "p.subf{}", "p{}", "acc.truncf{}", "acc.truncf.tmem_store{}", "acc{}",
)  # fmt: skip
MACHINES = {"hopper": HOPPER, "blackwell": BLACKWELL}


def _graph(units: list[str | None], latency: int, edges: list[tuple[int, int, int]]) -> DependenceGraph:
    """Ops 0, 1, ... of one latency on their units, held one cycle; edges (source, target, distance)."""
    ops = tuple(
        Op(f"op{i}", unit, latency_cycles=latency, occupancy_cycles=int(unit is not None))
        for i, unit in enumerate(units)
    )
    return DependenceGraph("instance", ops, tuple(Edge(f"op{u}", f"op{v}", distance=d) for u, v, d in edges))


def _schedule(graph: DependenceGraph, **units: int) -> Schedule:
    return twill.schedule(graph, Machine("toy", units), joint=False)


def test_toy_attention() -> None:
    graph = _graph(["tensor", "exp", "tensor"], 1, [(0, 1, 0), (1, 2, 0), (2, 2, 1)])
    found = _schedule(graph, tensor=1, exp=1)
    assert (found.status, found.ii_cycles, found.length_cycles) == (Status.OPTIMAL, 2, 4)
    assert found.stage("op2") == 1, "the second product runs one iteration late"


def test_toy_attention_in_order_takes_three_cycles() -> None:
    graph = _graph(["tensor", "exp", "tensor"], 1, [(0, 1, 0), (1, 2, 0), (2, 2, 1)])
    found = twill.schedule(graph, Machine("toy", {"tensor": 1, "exp": 1}), joint=False, max_stages=1)
    assert (found.status, found.ii_cycles) == (Status.OPTIMAL, 3)


def test_canis_2014_figure_2() -> None:
    edges = [(3, 0, 1), (0, 2, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0)]
    found = _schedule(_graph(["mem", "mem", None, "mem", None], 1, edges), mem=1)
    assert (found.status, found.ii_cycles, found.length_cycles) == (Status.OPTIMAL, 3, 6)


def test_van_dongen() -> None:
    edges = [
        (0, 1, 0), (0, 1, 1), (1, 2, 0), (1, 2, 1), (2, 3, 0), (2, 3, 1), (3, 4, 1), (3, 4, 2), (4, 5, 2), (4, 5, 1),
        (5, 6, 0), (6, 7, 0), (7, 0, 1), (3, 8, 0), (8, 9, 0), (9, 8, 1),
    ]  # fmt: skip
    found = _schedule(_graph(["adder"] * 10, 2, edges), adder=3)
    bounds = {bound.kind: bound for bound in found.certificate.bounds}
    assert (bounds["unit"].ii_cycles, bounds["recurrence"].ii_cycles) == (4, 6)
    assert "10/3" in bounds["unit"].detail and "16/3" in bounds["recurrence"].detail
    assert (found.status, found.ii_cycles) == (Status.OPTIMAL, 6)


@cache
def _attention(machine: str, **changes: Any) -> Schedule:
    return twill.schedule(ATTENTION, **{**MACHINES[machine], "time_limit_s": 120.0, **changes})


def _busiest(schedule: Schedule) -> int:
    return max(bound.ii_cycles for bound in schedule.certificate.bounds if bound.kind == "unit")


def _products(schedule: Schedule) -> int:
    return sum(op.occupancy_cycles for op in schedule.graph.ops if op.unit == "tensor")


def test_hopper_attention_is_bound_by_the_tensor_core() -> None:
    found = _attention("hopper")
    assert found.status is Status.OPTIMAL
    assert found.ii_cycles == _products(found) == _busiest(found) == 2048


def test_flash_attention_3_is_optimal_in_the_model() -> None:
    pinned = _attention("hopper", pins=PINS / "flash_attention_3.toml")
    assert pinned.status is Status.OPTIMAL
    assert pinned.ii_cycles == _attention("hopper").ii_cycles
    assert len(pinned.groups) == 3


def test_hopper_attention_keeps_its_interval_without_register_handoff() -> None:
    found = _attention("hopper", forbid_register_handoff=True)
    assert (found.status, found.ii_cycles) == (Status.OPTIMAL, 2048)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.slow
def test_an_unpipelined_stage_costs_cycles(machine: str) -> None:
    found = _attention(machine, max_stages=1)
    assert found.found and found.ii_cycles is not None
    assert found.lower_bound_cycles > _busiest(found)


@pytest.mark.slow
def test_tritons_own_pipeline_of_hopper_attention_is_not_optimal() -> None:
    """Triton puts the loads a stage ahead and leaves the products and the softmax in one stage."""
    found = _attention("hopper", pins="triton")
    assert found.status is Status.OPTIMAL
    assert found.ii_cycles == _attention("hopper", max_stages=1).ii_cycles


@pytest.mark.slow
def test_hopper_attention_needs_two_subtiles() -> None:
    """Whole 128-row tiles of output and scores do not fit the registers of a group beside each other."""
    found = _attention("hopper", subtile=1, time_limit_s=40.0)
    assert found.lower_bound_cycles > 2048


@pytest.mark.slow
def test_hopper_attention_with_one_compute_group() -> None:
    found = _attention("hopper", max_groups=2, time_limit_s=40.0)
    assert found.lower_bound_cycles > 2048


@pytest.mark.slow
def test_blackwell_attention_is_bound_by_exponentials() -> None:
    """Both halves of the exponentials take as long as the products, and the corrections come on top."""
    found = _attention("blackwell")
    assert found.status is Status.OPTIMAL and found.ii_cycles is not None
    assert _products(found) == 2048
    assert found.lower_bound_cycles >= _busiest(found) == 2064
    assert found.ii_cycles < 1.02 * _busiest(found), "tensor memory costs less than 2 %"


@pytest.mark.slow
def test_the_published_order_of_flash_attention_4_is_not_free_in_the_model() -> None:
    """One score tile and one probability tile a sub-tile: the next scores wait for the product of the last."""
    found = _attention("blackwell", pins=PINS / "flash_attention_4.toml", time_limit_s=40.0)
    chain = _chain_cycles(found, [op.format("[0]") for op in FROM_SCORES_TO_OUTPUT])
    assert found.lower_bound_cycles >= chain > 2064


def _chain_cycles(schedule: Schedule, ops: list[str]) -> int:
    delays = {(e.source, e.target): schedule.graph.delay_cycles(e) for e in schedule.graph.edges if not e.distance}
    return sum(delays[pair] for pair in pairwise(ops))


def test_registers_can_bind_a_backward_like_loop() -> None:
    """Two tiles that must be live together do not fit; apart they do, at a larger interval."""
    ops = (
        Op("s", "tensor", 4, 4, registers=100, warps=4),
        Op("dp", "tensor", 4, 4, registers=100, warps=4),
        Op("ds", "alu", 4, 4, registers=100, warps=4),
        Op("dq", "tensor", 4, 4, warps=4),
    )
    edges = (Edge("s", "ds"), Edge("dp", "ds"), Edge("ds", "dq"))
    machine = Machine("m", {"tensor": 1, "alu": 1}, registers_per_sm=32 * 4 * 312, max_registers_per_thread=312)
    graph = DependenceGraph("backward", ops, edges)
    modulo = twill.schedule(graph, machine, joint=False)
    joint = twill.schedule(graph, machine)
    assert (modulo.status, modulo.ii_cycles) == (Status.OPTIMAL, 12)
    assert joint.status is Status.OPTIMAL and joint.ii_cycles is not None and joint.ii_cycles > 12
