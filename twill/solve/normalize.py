"""Cost normalisation: solve over small integer costs in place of raw cycles, then time the result in raw cycles.

The costs minimise the largest |C_i C'_j - C_j C'_i| over all pairs of distinct costs, with a sum of at most a bound and
each at least 1 (without that floor small costs vanish). The normalised answer gives groups and stages; slots, II and
length are then found anew for the real costs. Nothing about optimality carries over: only II may meet a real bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ir.diagnostics import fail
from ir.graph import DependenceGraph, Edge, Op
from ir.schedule import Certificate, Level, Schedule, Status
from twill.problem.problem import Family, Pins, Problem
from twill.solve.protocol import Limits, Solver

_TIME_S = 5.0
_SOLVE_SHARE = 0.6


@dataclass(frozen=True)
class Costs:
    """Integer cost of each distinct raw cost; `optimal` where the fit is proven best."""

    of: Mapping[int, int]
    optimal: bool

    @property
    def distortion(self) -> float:
        """Largest relative error of a ratio of two costs; 0 where all ratios are kept."""
        ratios = [small / raw for raw, small in self.of.items()]
        return max(ratios) / min(ratios) - 1 if ratios else 0.0


def normalize(raw: Sequence[int], bound: int, time_s: float = _TIME_S) -> Costs:
    """Best costs for distinct positive raw costs, with a sum of at most `bound`.

    >>> normalize([100, 200, 300], 12).of
    {100: 1, 200: 2, 300: 3}

    Raises UserError where the bound is below the number of distinct costs.
    """
    distinct = sorted({cost for cost in raw if cost > 0})
    if len(distinct) > bound:
        message = f"{len(distinct)} distinct costs cannot have a sum of at most {bound}"
        raise fail("normalize-bound", message, remedy=f"give at least {len(distinct)}")
    if sum(distinct) <= bound:
        return Costs({cost: cost for cost in distinct}, True)
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    small = {cost: model.new_int_var(1, bound, f"cost {cost}") for cost in distinct}
    model.add(sum(small.values()) <= bound)
    error = model.new_int_var(0, distinct[-1] * bound, "error")
    for low, high in combinations(distinct, 2):
        difference = low * small[high] - high * small[low]
        model.add(difference <= error)
        model.add(-difference <= error)
        model.add(small[low] <= small[high])
    # Of equal fits the smallest costs: they are solved fastest, and the answer is unique.
    model.minimize(error * (bound * len(distinct) + 1) + sum(small.values()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_s
    solver.parameters.num_workers = 1
    # OR-Tools would leave Ctrl-C to end the process at once from then on.
    solver.parameters.catch_sigint_signal = False
    _hint(model, small, distinct, bound)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Costs(_rounded(distinct, bound), False)
    return Costs({cost: solver.value(v) for cost, v in small.items()}, status == cp_model.OPTIMAL)


def _hint(model: object, small: Mapping[int, object], distinct: Sequence[int], bound: int) -> None:
    for cost, value in _rounded(distinct, bound).items():
        model.add_hint(small[cost], value)  # type: ignore[attr-defined]


def _rounded(distinct: Sequence[int], bound: int) -> dict[int, int]:
    """Proportional costs, rounded down, at least 1: within the bound, and a start for the search."""
    scale = (bound - len(distinct)) / sum(distinct)
    return {cost: max(1, int(cost * scale)) for cost in distinct}


@dataclass(frozen=True)
class Normalized:
    """A solver behind normalised costs of sum at most `bound`. Never claims optimality."""

    solver: Solver
    bound: int
    exact: bool = False

    @property
    def name(self) -> str:
        """Name of the solver behind."""
        return self.solver.name

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """The normalised problem's groups and stages, timed in real cycles.

        Where they allow no real schedule first the stages, then the groups are given up.
        """
        costs = normalize(list(_raw_costs(problem)), self.bound)
        limits.progress(f"normalised {len(costs.of)} costs, largest relative distortion {costs.distortion:.1%}")
        first = replace(limits, time_s=limits.time_s - (1 - _SOLVE_SHARE) * limits.remaining_s)
        answer = self.solver.solve(_scaled(problem, costs.of), first)
        retimed = None
        for pins in _pins(problem, answer):
            retimed = self.solver.solve(_pinned(problem, pins), limits)
            if retimed.status is not Status.INFEASIBLE:
                break
        assert retimed is not None  # there is always the problem's own set of pins
        return _record(problem, retimed, costs, self.bound)


def _raw_costs(problem: Problem) -> Iterator[int]:
    for op in problem.graph.ops:
        yield from (op.latency_cycles, op.occupancy_cycles, op.issue_cycles, op.handoff_cycles)
    yield from (edge.latency_cycles or 0 for edge in problem.graph.edges)
    yield problem.machine.wait_cycles


def _scaled(problem: Problem, of: Mapping[int, int]) -> Problem:
    """The problem in small costs; what is given in real cycles (a cap on II, a pinned II) is left out."""
    graph = problem.graph
    scaled = replace(graph, ops=_scaled_ops(graph, of), edges=_scaled_edges(graph, of))
    machine = replace(problem.machine, wait_cycles=of.get(problem.machine.wait_cycles, 0))
    pins = replace(problem.pins, ii_cycles=None)
    return replace(problem, graph=scaled, machine=machine, max_ii=None, pins=pins)


def _scaled_ops(graph: DependenceGraph, of: Mapping[int, int]) -> tuple[Op, ...]:
    return tuple(
        replace(
            op,
            latency_cycles=of.get(op.latency_cycles, 0),
            occupancy_cycles=of.get(op.occupancy_cycles, 0),
            issue_cycles=of.get(op.issue_cycles, 0),
            handoff_cycles=of.get(op.handoff_cycles, 0),
        )
        for op in graph.ops
    )


def _scaled_edges(graph: DependenceGraph, of: Mapping[int, int]) -> tuple[Edge, ...]:
    return tuple(
        edge if edge.latency_cycles is None else replace(edge, latency_cycles=of.get(edge.latency_cycles, 0))
        for edge in graph.edges
    )


def _pins(problem: Problem, answer: Schedule) -> Iterator[Pins]:
    """The answer's groups and stages, its groups alone, and the user's own pins."""
    own = problem.pins if problem.has(Family.PINS) else Pins()
    if answer.found:
        groups = {p.op: f"group {p.group}" for p in answer.placements} if problem.joint else {}
        stages = {p.op: answer.stage(p.op) for p in answer.placements}
        yield replace(own, groups=groups, stages=stages)
        yield replace(own, groups=groups)
    yield own


def _pinned(problem: Problem, pins: Pins) -> Problem:
    return replace(problem, pins=pins, relaxed=problem.relaxed - {Family.PINS})


def _record(problem: Problem, retimed: Schedule, costs: Costs, bound: int) -> Schedule:
    """Keep what is proven of the problem itself: its bounds; what was proven under the pins is not."""
    fit = "the best fit" if costs.optimal else "a fit not proven best"
    note = f"solved over costs of sum at most {bound} ({fit}), largest relative distortion {costs.distortion:.1%}"
    if not retimed.found:
        return replace(retimed, message=f"{retimed.message}; {note}")
    lower = max([1, *(b.ii_cycles for b in retimed.certificate.bounds)])
    levels = tuple(_unproven(level, lower) for level in retimed.certificate.levels)
    certificate = Certificate(retimed.certificate.bounds, (), levels, (note, "groups and stages from that solution"))
    groups = tuple(replace(g, role=_role(problem, g.role, g.index, retimed)) for g in retimed.groups)
    return replace(
        retimed,
        status=Status.FEASIBLE,
        groups=groups,
        certificate=certificate,
        lower_bound_cycles=lower,
        message=f"{note}; times are in real cycles",
    )


def _unproven(level: Level, lower: int) -> Level:
    return replace(level, lower_bound=min(level.value, lower) if level.name == "ii" else 0)


def _role(problem: Problem, role: str, index: int, retimed: Schedule) -> str:
    """The user's label where the group has one; labels made here say nothing."""
    labels = problem.pins.groups if problem.has(Family.PINS) else {}
    named = [labels[p.op] for p in retimed.placements if p.group == index and p.op in labels]
    loads = index == 0 and problem.has_load_group
    return named[0] if named else ("load" if loads else f"compute{index}" if role.startswith("group ") else role)
