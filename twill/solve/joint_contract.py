"""A bound on II from one nearly full unit and one tight memory: all other ops are contracted to longest paths.

A relaxation of few ops, which CP-SAT decides far sooner than the problem itself: what a dropped op asks of the kept
ones is the longest path through it. On attention for Blackwell the tensor cores and the tensor memory are 12 ops of 36,
and rule out in half a second an II that the problem without groups leaves open for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

from ir.graph import DependenceGraph, Edge, Op
from twill.problem.bounds import resource_bounds
from twill.problem.problem import Family, Problem
from twill.solve.joint_instance import Instance, make_instance
from twill.solve.joint_model import base_model
from twill.solve.joint_paths import NEVER, Matrix, average_use, longest_paths
from twill.solve.joint_relax import without_groups
from twill.solve.joint_run import Task, race
from twill.solve.protocol import Limits

_NEARLY_FULL = 32  # a unit is nearly full where at most this part of its slots is free
_TIGHT = 0.75  # average use, by the shortest lifetimes, from which a memory may bind
_LOOK = 2.0  # deterministic seconds for one II


@dataclass(frozen=True)
class Core:
    """What a contraction keeps: the ops of one unit, and the values of one memory (the attribute of their size)."""

    unit: str
    memory: str

    def __str__(self) -> str:
        return f"unit {self.unit} and {self.memory}"


def cores(instance: Instance, ii: int) -> Iterator[Core]:
    """Nearly full units of one instance with tight memories, at an II."""
    problem = instance.problem
    units = resource_bounds(problem.graph, problem.machine) if problem.has(Family.UNIT) else ()
    full = [b.name for b in units if _NEARLY_FULL * b.ii_cycles >= (_NEARLY_FULL - 1) * ii]
    paths = longest_paths(instance, ii)
    tight = [] if paths is None else [m for m, use in average_use(instance, ii, paths).items() if use >= _TIGHT]
    yield from (Core(unit, memory) for unit, memory in product(full, tight) if problem.machine.units[unit] == 1)


def contracted(instance: Instance, core: Core, ii: int) -> Problem | None:
    """The relaxation at one II; None where the dependences alone refute it.

    Each schedule of the instance at `ii` is one of the relaxation: paths hold in every schedule, and what a dropped op
    holds is given back. Paths through distances are edges of that distance, so that no delay is negative.
    """
    paths = longest_paths(instance, ii)
    if paths is None:
        return None
    graph = instance.problem.graph
    stored = {op.name for op in graph.ops if getattr(op, core.memory)}
    read = [e for e in graph.edges if e.kind == "data" and e.source in stored]
    data = [replace(e, latency_cycles=graph.delay_cycles(e)) for e in read]
    names = {*stored, *(e.target for e in data), *(op.name for op in graph.ops if op.unit == core.unit)}
    kept = [v for v, op in enumerate(graph.ops) if op.name in names]
    orders = [_edge(graph, paths, u, v, ii) for u, v in _reduced(paths, kept)]
    small = DependenceGraph(
        graph.name,
        tuple(_bare(graph.ops[v], core) for v in kept),
        (*data, *orders),
        tuple(replace(i, readers=tuple(r for r in i.readers if r in names)) for i in graph.invariants),
    )
    problem = without_groups(instance.problem)
    return replace(problem, graph=small, pins=replace(problem.pins, stages={}, orders=()))


def _bare(op: Op, core: Core) -> Op:
    """The op with what the core keeps of it, and its span; its edges already say what streaming asks for."""
    smem, tmem = (getattr(op, memory) if memory == core.memory else 0 for memory in ("smem_bytes", "tmem_columns"))
    unit = op.unit if op.unit == core.unit else None
    bare = replace(op, unit=unit, latency_cycles=op.span_cycles, variable_latency=False, streaming=False)
    return replace(bare, smem_bytes=smem, tmem_columns=tmem, registers=0)


def _reduced(paths: Matrix, kept: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of kept ops whose longest path is not made of two others."""
    for u, v in permutations(kept, 2):
        through = (paths[u, w] + paths[w, v] for w in kept if w not in (u, v))
        if paths[u, v] > NEVER and paths[u, v] > max(through, default=NEVER):
            yield u, v


def _edge(graph: DependenceGraph, paths: Matrix, u: int, v: int, ii: int) -> Edge:
    """The longest path as one edge: its delay less distance * II."""
    delay = int(paths[u, v])
    distance = max(0, -(delay // ii))
    return Edge(graph.ops[u].name, graph.ops[v].name, delay + distance * ii, distance, kind="order")


def first_open(instance: Instance, core: Core, low: int, high: int, stages: int, limits: Limits) -> int:
    """Smallest II of low .. high that the relaxation leaves open, `high` + 1 where there is none.

    Steps double until one stays open, then are halved: feasible at II is feasible at II + 1 with as many stages.
    """
    first, ii, step = low, low, max(1, low // 64)
    last = high + 1
    while ii < last:
        if core_refutes(instance, core, ii, stages, limits):
            limits.progress(f"II {ii}: refuted by {core} alone")
            first = ii + 1
        else:
            last = ii
        ii = min(ii + step, (first + last) // 2)
        step *= 2
    return last


def core_refutes(instance: Instance, core: Core, ii: int, stages: int, limits: Limits) -> bool:
    """Whether the core alone, with at most so many stages, has no schedule at `ii`; False where that stays open."""
    problem = contracted(instance, core, ii)
    if problem is None:
        return True
    small, length = make_instance(problem), stages * ii + max(instance.spans)
    task = Task(str(core), lambda: base_model(small, ii, length, anchored=True))
    return any(answer.refuted for answer in race([[task]], limits, _LOOK))
