"""Exact modulo scheduling: the smallest interval, then the shortest schedule at it, each with its proof.

The interval is searched for by `modulo_search`, the length minimised by `modulo_whole`; both ask CP-SAT.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ir.diagnostics import fail
from ir.schedule import Bound, Certificate, Conflict, Level, Placement, Rejection, Schedule, Status
from twill.problem.bounds import all_bounds
from twill.problem.problem import Family, Problem
from twill.solve.modulo_length import LengthSearch
from twill.solve.modulo_search import IntervalSearch
from twill.solve.modulo_system import System
from twill.solve.protocol import Limits

_FAMILY_OF = {"unit": Family.UNIT, "recurrence": Family.DEPENDENCE}


@dataclass(frozen=True)
class ModuloSolver:
    """The exact solver of stage-1 problems, for those who take any solver."""

    name: str = "modulo"
    exact: bool = True

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """As `solve_modulo` with both levels."""
        return solve_modulo(problem, limits)


def solve_modulo(problem: Problem, limits: Limits, levels: Sequence[str] = ("ii", "length")) -> Schedule:
    """The smallest II and at it the smallest length; without "length" in `levels` the first schedule at that II.

    Honours the cap on stages, `max_ii`, and pinned stages, orders and II; pinned groups do not concern one stream.
    Raises UserError for a joint problem, ValueError for a cycle of distance 0.
    """
    if problem.joint:
        raise fail("modulo-only", "this solver schedules one instruction stream; the problem asks for warp groups")
    began = time.monotonic()
    bounds, search = applicable_bounds(problem), _search(problem, limits)
    search.run()
    found_s = time.monotonic() - began
    length = _length(search, limits if "length" in levels else None)
    total_s = time.monotonic() - began
    timing = {"ii_s": found_s, "length_s": total_s - found_s, "total_s": total_s}
    return _schedule(problem, bounds, search, length, timing)


def applicable_bounds(problem: Problem) -> tuple[Bound, ...]:
    """The bounds of the families that the problem keeps, largest first."""
    bounds = all_bounds(problem.graph, problem.machine)
    return tuple(bound for bound in bounds if problem.has(_FAMILY_OF[bound.kind]))


def modulo_schedule(problem: Problem, solver: str, ii: int, times: Sequence[int]) -> Schedule:
    """A feasible schedule from the ops' times; status and certificate are the caller's to fill in."""
    placements = tuple(Placement(op.name, t) for op, t in zip(problem.graph.ops, times, strict=True))
    return Schedule(
        Status.FEASIBLE,
        problem.graph,
        problem.machine,
        solver,
        joint=False,
        ii_cycles=ii,
        length_cycles=System.of(problem).length(times),
        placements=placements,
    )


def _search(problem: Problem, limits: Limits) -> IntervalSearch:
    system, bounds = System.of(problem), applicable_bounds(problem)
    search = IntervalSearch(system, limits, low=1, top=min(problem.max_ii or system.enough_ii, system.enough_ii))
    if bounds and bounds[0].ii_cycles > 1:
        search.low = bounds[0].ii_cycles
        search.rejections.append(Rejection(search.low - 1, f"{bounds[0].kind} bound", bounds[0].detail))
    pinned = problem.pins.ii_cycles if problem.has(Family.PINS) else None
    if pinned is not None:
        search.top = min(pinned, problem.max_ii or pinned)
        if search.low < pinned:
            search.low = pinned
            search.rejections.append(Rejection(pinned - 1, "pins", f"the II is pinned to {pinned}"))
    return search


def _length(search: IntervalSearch, limits: Limits | None) -> LengthSearch | None:
    """Minimise the length at the interval found; without limits only compare it with the critical path."""
    if search.high is None:
        return None
    length = LengthSearch(search.system, search.high, tuple(search.times), interrupted=search.interrupted)
    if limits is not None:
        length.run(limits)
    return length


def _schedule(
    problem: Problem,
    bounds: tuple[Bound, ...],
    search: IntervalSearch,
    length: LengthSearch | None,
    timing: Mapping[str, float],
) -> Schedule:
    if length is None:
        return _unsolved(problem, bounds, search, timing)
    draft = modulo_schedule(problem, ModuloSolver.name, length.ii, length.times)
    levels = (
        Level("ii", length.ii, search.low, search.rejections[-1].method if search.rejections else "trivial bound"),
        Level("length", length.high, length.low, length.method),
    )
    open_levels = [level.name for level in levels if not level.proven]
    return replace(
        draft,
        status=Status.FEASIBLE if open_levels else Status.OPTIMAL,
        certificate=Certificate(bounds, tuple(search.rejections), levels, _assumptions(problem)),
        lower_bound_cycles=search.low,
        message=_message(open_levels, length.interrupted),
        timing=timing,
    )


def _unsolved(
    problem: Problem, bounds: tuple[Bound, ...], search: IntervalSearch, timing: Mapping[str, float]
) -> Schedule:
    settled = search.is_settled
    message = f"no schedule at any II up to {search.top}" if settled else _message(["ii"], search.interrupted)
    return Schedule(
        Status.INFEASIBLE if settled else Status.TIMEOUT,
        problem.graph,
        problem.machine,
        ModuloSolver.name,
        joint=False,
        certificate=Certificate(bounds, tuple(search.rejections), (), _assumptions(problem)),
        conflict=Conflict(_families(problem), message) if settled else None,
        lower_bound_cycles=search.low,
        message=message,
        timing=timing,
    )


def _families(problem: Problem) -> tuple[str, ...]:
    """The families in force; all of them together are what has no schedule."""
    pins = problem.pins
    in_force = {
        Family.DEPENDENCE: bool(problem.graph.edges),
        Family.UNIT: any(op.unit for op in problem.graph.ops),
        Family.STAGES: problem.max_stages is not None,
        Family.PINS: bool(pins.stages or pins.orders or pins.ii_cycles),
    }
    return tuple(str(family) for family, there in in_force.items() if there and problem.has(family))


def _assumptions(problem: Problem) -> tuple[str, ...]:
    if problem.max_stages is None or not problem.has(Family.STAGES):
        return ()
    return (f"at most {problem.max_stages} stages, as the problem asks",)


def _message(open_levels: Sequence[str], interrupted: bool) -> str:
    if not open_levels:
        return ""
    why = "stopped by the user" if interrupted else "the time limit was reached or the level was not asked for"
    return f"not proven: {', '.join(open_levels)}; {why}"
