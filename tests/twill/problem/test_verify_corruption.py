"""Change one field of a valid schedule: the verifier must say exactly what the literal reading of the problem says.

The machines are cut to what the schedule uses, so that most changes break something.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ir.schedule import Schedule
from tests.twill.differential.generate import random_problem
from tests.twill.differential.oracle import Assignment
from twill.problem.problem import Pins, Problem
from twill.problem.verify import verify

SEEDS = range(60)


def tight_assignment(seed: int) -> Assignment:
    """Random times and groups, and the problem cut around them: edges that hold, capacities that are just enough."""
    rng = random.Random(seed)
    problem = replace(random_problem(seed), pins=Pins(), relaxed=frozenset(), forbid_register_handoff=False)
    ii = rng.randint(4, 9)
    times = {op.name: rng.randrange(3 * ii) for op in problem.graph.ops}
    times = {op: time - min(times.values()) for op, time in times.items()}
    loads = problem.has_load_group
    others = (1, 2) if loads else (0, 1)
    groups = {op.name: 0 if loads and op.variable_latency else rng.choice(others) for op in problem.graph.ops}
    if not problem.machine.warp_specialization:
        groups = dict.fromkeys(groups, 0)
    return tightened(Assignment(problem, ii, times, groups))


def tightened(loose: Assignment) -> Assignment:
    graph = loose.problem.graph
    kept = tuple(e for e in graph.edges if not alone(loose, e.source, e.target, e).broken())
    bare = replace(loose, problem=replace(loose.problem, graph=replace(graph, edges=kept)))
    slots = range(loose.ii)
    smem = max(sum(op.smem_bytes * bare.live(op, s) for op in bare.ops) for s in slots)
    tmem = max(sum(op.tmem_columns * bare.live(op, s) for op in bare.ops) for s in slots)
    machine = replace(
        loose.problem.machine,
        units={"a": 20, "b": 20},
        smem_bytes=smem + sum(v.smem_bytes for v in graph.invariants),
        tmem_columns=tmem + sum(v.tmem_columns for v in graph.invariants),
        max_registers_per_thread=200,
        registers_per_sm=sum(bare.warps(g) * budget for g, budget in bare.budgets().items()),
        max_warps=sum(bare.warps(g) for g in bare.used),
        max_groups=len(bare.used),
    )
    problem = replace(
        bare.problem, machine=machine, max_stages=1 + max(bare.times.values()) // bare.ii, max_groups=None
    )
    return replace(bare, problem=fewest_units(replace(bare, problem=problem)))


def alone(loose: Assignment, source: str, target: str, edge: object) -> Assignment:
    """The two ends of one edge on a machine without limits: does the edge itself hold?"""
    machine = replace(
        loose.problem.machine,
        units={"a": 99, "b": 99},
        smem_bytes=None,
        tmem_columns=None,
        registers_per_sm=None,
        max_warps=99,
        max_groups=9,
    )
    graph = replace(loose.problem.graph, edges=(edge,))
    return replace(
        loose, problem=replace(loose.problem, graph=graph, machine=machine, max_stages=None, max_groups=None)
    )


def fewest_units(assignment: Assignment) -> Problem:
    problem = assignment.problem
    for unit in problem.machine.units:
        for count in range(1, 21):
            units = {**problem.machine.units, unit: count}
            problem = replace(problem, machine=replace(problem.machine, units=units))
            if not replace(assignment, problem=problem).broken():
                break
    return problem


def corruptions(schedule: Schedule) -> Iterator[tuple[str, Schedule]]:
    """Every field that can be changed alone, each by a step or two; what changed, and the changed schedule."""
    ii = schedule.ii_cycles or 0
    yield from (("ii", replace(schedule, ii_cycles=ii + step)) for step in (-1, 1))
    yield from (("length", replace(schedule, length_cycles=(schedule.length_cycles or 0) + step)) for step in (-1, 1))
    yield "lower bound", replace(schedule, lower_bound_cycles=ii + 1)
    rows = {
        "placements": (("time_cycles", (-1, 1, -ii, ii)), ("group", (-1, 1))),
        "groups": (("index", (-1, 1)), ("warps", (-1, 1)), ("registers_per_thread", (-4, -1, 1, 4))),
        "buffers": (("size", (-1, 1)), ("live_cycles", (-1, 1)), ("needed_depth", (-1, 1)), ("depth", (-1, 1))),
    }
    for table, fields in rows.items():
        items = getattr(schedule, table)
        for i, item in enumerate(items):
            yield f"{table} removed", replace(schedule, **{table: items[:i] + items[i + 1 :]})
            yield f"{table} doubled", replace(schedule, **{table: (*items, item)})
            for name, steps in fields:
                for step in steps:
                    other = replace(item, **{name: getattr(item, name) + step})
                    yield f"{table} {name}", replace(schedule, **{table: (*items[:i], other, *items[i + 1 :])})
    for i, level in enumerate(schedule.certificate.levels):
        for name in ("value", "lower_bound"):
            levels = list(schedule.certificate.levels)
            levels[i] = replace(level, **{name: getattr(level, name) + 1})
            certificate = replace(schedule.certificate, levels=tuple(levels))
            yield f"level {name}", replace(schedule, certificate=certificate)


def expected_valid(problem: Problem, schedule: Schedule) -> bool:
    """By the oracle: the assignment holds, and the record is the one that belongs to it (but for roles and budgets)."""
    names = sorted(p.op for p in schedule.placements)
    times = {p.op: p.time_cycles for p in schedule.placements}
    groups = {p.op: p.group for p in schedule.placements}
    budgets = {g.index: g.registers_per_thread or 0 for g in schedule.groups}
    if names != sorted(problem.graph.by_name) or min(times.values()) or min(groups.values()) < 0:
        return False
    if set(budgets) != set(groups.values()) or not schedule.ii_cycles:
        return False
    assignment = Assignment(problem, schedule.ii_cycles, times, groups, budgets)
    if assignment.broken():
        return False
    truth = assignment.schedule()
    given = replace(schedule, groups=tuple(replace(g, role=f"group {g.index}") for g in schedule.groups))
    return given == truth


def test_the_verifier_judges_each_corruption_as_the_oracle_does() -> None:
    rejected: Counter[str] = Counter()
    kinds: set[str] = set()
    for seed in SEEDS:
        assignment = tight_assignment(seed)
        schedule = assignment.schedule()
        assert verify(schedule, assignment.problem) == (), seed
        for kind, corrupted in corruptions(schedule):
            kinds.add(kind)
            valid = not verify(corrupted, assignment.problem)
            assert valid == judged(assignment, kind, corrupted), (seed, kind, corrupted)
            rejected[kind] += not valid
    assert kinds <= set(rejected)
    assert min(rejected.values()) > 0, rejected
    assert rejected.total() > 2000


def judged(assignment: Assignment, kind: str, corrupted: Schedule) -> bool:
    """What the verdict must be; a deeper buffer is a second question: is there room for one copy more?"""
    needed = {(b.op, b.memory): b.depth for b in assignment.schedule().buffers}
    deeper = [b for b in corrupted.buffers if b.depth > needed[b.op, b.memory]]
    if kind != "buffers depth" or not deeper:
        return expected_valid(assignment.problem, corrupted)
    group = assignment.groups[deeper[0].op]
    more = assignment.peak_registers(group) + deeper[0].size
    return deeper[0].memory == "registers" and more <= assignment.budgets()[group]  # the memories are full


@pytest.mark.parametrize("field", ["ii_cycles", "length_cycles", "lower_bound_cycles"])
@pytest.mark.parametrize("seed", range(10))
def test_scalars_of_the_record_are_always_checked(seed: int, field: str) -> None:
    assignment = tight_assignment(seed)
    schedule = assignment.schedule()
    assert verify(replace(schedule, **{field: getattr(schedule, field) + 1}), assignment.problem)
