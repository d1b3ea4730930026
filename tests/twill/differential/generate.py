"""Random small problems: every family of constraints occurs, most are tight, some have no schedule at all."""

from __future__ import annotations

import random
from dataclasses import replace

from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.machine import Machine
from twill.problem.problem import Family, OrderPin, Pins, Problem

LARGEST_II = 12


def random_problem(seed: int, joint: bool = True, max_ops: int = 5) -> Problem:
    """The problem of a seed; its stages and II are capped, so that brute force is finite."""
    rng = random.Random(seed)
    machine = _machine(rng)
    ops = tuple(_op(rng, machine, i) for i in range(rng.randint(2, max_ops)))
    graph = DependenceGraph(f"random {seed}", ops, _edges(rng, ops), _invariants(rng, ops))
    problem = Problem(
        graph,
        machine,
        joint=joint,
        max_groups=rng.choice((None, None, 2, 3)),
        max_stages=rng.choice((1, 2, 2, 3, 3)),
        max_ii=LARGEST_II,
        forbid_register_handoff=rng.random() < 0.2,
        relaxed=frozenset({rng.choice(list(Family))}) if rng.random() < 0.1 else frozenset(),
    )
    return replace(problem, pins=_pins(rng, problem)) if joint and rng.random() < 0.3 else problem


def _machine(rng: random.Random) -> Machine:
    return Machine(
        "random",
        {"a": rng.choice((1, 1, 2)), "b": rng.choice((1, 2, 3))},
        smem_bytes=rng.choice((None, rng.randint(4, 14))),
        tmem_columns=rng.choice((None, rng.randint(4, 10))),
        registers_per_sm=rng.choice((None, rng.randint(8, 60))),
        max_registers_per_thread=rng.randint(12, 24),
        min_registers_per_thread=rng.choice((1, 4)),
        register_granularity=rng.choice((1, 4)),
        reserved_registers=rng.choice((0, 0, 1)),
        threads_per_warp=1,
        max_warps=rng.choice((2, 4, 8)),
        max_groups=rng.choice((2, 3)),
        warp_specialization=rng.random() < 0.85,
        wait_cycles=rng.choice((0, 1, 1, 2)),
    )


def _op(rng: random.Random, machine: Machine, index: int) -> Op:
    loads = rng.random() < 0.3
    unit = rng.choice((*machine.units, None))
    return Op(
        f"o{index}",
        unit,
        latency_cycles=rng.randint(0, 4),
        occupancy_cycles=rng.choice((0, 1, 1, 2, 3, 7)) if unit else 0,
        issue_cycles=rng.choice((0, 1, 1, 2)),
        smem_bytes=rng.choice((0, 0, 1, 2, 3)),
        tmem_columns=rng.choice((0, 0, 1, 2)),
        registers=rng.choice((0, 0, 2, 4, 5)),
        warps=rng.choice((1, 1, 2)),
        variable_latency=loads,
        streaming=loads and rng.random() < 0.5,
        handoff_cycles=rng.choice((0, 1, 2)),
    )


def _edges(rng: random.Random, ops: tuple[Op, ...]) -> tuple[Edge, ...]:
    chosen = []
    for i, source in enumerate(ops):
        for j, target in enumerate(ops):
            # A forward edge may stay inside an iteration; a backward one and a loop cannot.
            if rng.random() < (0.45 if i < j else 0.15):
                chosen.append(_edge(rng, source, target, 0 if i < j and rng.random() < 0.8 else rng.randint(1, 2)))
    return tuple(chosen)


def _edge(rng: random.Random, source: Op, target: Op, distance: int) -> Edge:
    latency = rng.choice((None, None, rng.randint(0, 4)))
    kind = rng.choice(("data", "data", "order"))
    in_place = kind == "data" and rng.random() < 0.3
    return Edge(source.name, target.name, latency, distance, rng.random() < 0.25, kind, in_place)  # type: ignore[arg-type]


def _invariants(rng: random.Random, ops: tuple[Op, ...]) -> tuple[Invariant, ...]:
    readers = tuple(op.name for op in ops if rng.random() < 0.5)
    held = Invariant("held", rng.randint(0, 2), rng.randint(0, 2), rng.randint(0, 3), readers)
    return (held,) if rng.random() < 0.4 else ()


def _pins(rng: random.Random, problem: Problem) -> Pins:
    names = [op.name for op in problem.graph.ops]
    stages = {op: rng.randint(0, 1) for op in names if rng.random() < 0.3}
    groups = {op: rng.choice("xy") for op in names if rng.random() < 0.4}
    entries = tuple((op, rng.choice((0, 0, 1))) for op in rng.sample(names, k=2))
    orders = (OrderPin(entries, rng.random() < 0.5),) if rng.random() < 0.4 else ()
    return Pins("random", groups, stages, orders, rng.choice((None, None, None, rng.randint(2, 8))))
