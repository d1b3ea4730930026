"""What the modulo solvers share: the range of intervals to search, and the answer with its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ir.diagnostics import fail
from ir.schedule import Bound, Certificate, Conflict, Level, Placement, Rejection, Schedule, Status
from twill.problem.bounds import all_bounds
from twill.problem.problem import Family, Problem
from twill.solve.modulo_system import System

_FAMILY_OF = {"unit": Family.UNIT, "recurrence": Family.DEPENDENCE}


@dataclass(frozen=True)
class Opening:
    """What is known before any search: intervals below `low` are rejected, none above `top` needs to be tried."""

    problem: Problem
    system: System
    bounds: tuple[Bound, ...]
    rejections: tuple[Rejection, ...]
    low: int
    top: int

    @staticmethod
    def of(problem: Problem) -> Opening:
        """From the bounds, the limit on II and a pinned II. Raises UserError for a joint problem."""
        if problem.joint:
            raise fail(
                "modulo-only",
                "this solver schedules one instruction stream, and the problem asks for warp groups",
                remedy="use the solver `cpsat`, or ask for a modulo schedule",
            )
        system, bounds = System.of(problem), applicable_bounds(problem)
        rejections = [Rejection(b.ii_cycles - 1, f"{b.kind} bound", b.detail) for b in bounds[:1] if b.ii_cycles > 1]
        top = min(problem.max_ii or system.enough_ii, system.enough_ii)
        pinned = problem.pins.ii_cycles if problem.has(Family.PINS) else None
        if pinned is not None:
            top = min(pinned, problem.max_ii or pinned)
            rejections.append(Rejection(pinned - 1, "pins", f"the II is pinned to {pinned}"))
        rejections = [r for r in rejections if r.ii_cycles > 0]
        low = 1 + max((r.ii_cycles for r in rejections), default=0)
        return Opening(problem, system, bounds, tuple(rejections), low, top)


@dataclass(frozen=True)
class Proven:
    """What a search ends with: rejected intervals, the levels reached ("ii" first), whether the user stopped it."""

    rejections: tuple[Rejection, ...]
    levels: tuple[Level, ...] = ()
    interrupted: bool = False

    @property
    def low(self) -> int:
        """The smallest interval that is not rejected."""
        return 1 + max((rejection.ii_cycles for rejection in self.rejections), default=0)


def applicable_bounds(problem: Problem) -> tuple[Bound, ...]:
    """The bounds of the families that the problem keeps, largest first."""
    bounds = all_bounds(problem.graph, problem.machine)
    return tuple(bound for bound in bounds if problem.has(_FAMILY_OF[bound.kind]))


def ii_level(ii: int, rejections: Sequence[Rejection]) -> Level:
    """The first level of the objective, with the strongest rejection as its proof."""
    strongest = max(rejections, key=lambda r: r.ii_cycles, default=Rejection(0, "no II below 1"))
    return Level("ii", ii, strongest.ii_cycles + 1, strongest.method)


def found(opening: Opening, solver: str, times: Sequence[int], proven: Proven, why_open: str) -> Schedule:
    """The schedule with these times; OPTIMAL where all levels are proven, else `why_open` says why not."""
    problem = opening.problem
    open_levels = [level.name for level in proven.levels if not level.proven]
    return replace(
        _empty(opening, solver, proven),
        status=Status.FEASIBLE if open_levels else Status.OPTIMAL,
        ii_cycles=proven.levels[0].value,
        length_cycles=opening.system.length(times),
        placements=tuple(Placement(op.name, t) for op, t in zip(problem.graph.ops, times, strict=True)),
        message=_message(open_levels, why_open, proven.interrupted),
    )


def not_found(opening: Opening, solver: str, proven: Proven, why_open: str) -> Schedule:
    """No schedule: INFEASIBLE where every interval up to the last that matters is rejected, else TIMEOUT."""
    draft = _empty(opening, solver, proven)
    if proven.low <= opening.top:
        return replace(draft, message=_message(["ii"], why_open, proven.interrupted))
    message = f"no schedule at any II up to {opening.top}"
    conflict = Conflict(_families(opening.problem), message)
    return replace(draft, status=Status.INFEASIBLE, message=message, conflict=conflict)


def _empty(opening: Opening, solver: str, proven: Proven) -> Schedule:
    problem = opening.problem
    capped = problem.max_stages is not None and problem.has(Family.STAGES)
    assumptions = (f"at most {problem.max_stages} stages, as the problem asks",) if capped else ()
    return Schedule(
        Status.TIMEOUT,
        problem.graph,
        problem.machine,
        solver,
        joint=False,
        certificate=Certificate(opening.bounds, proven.rejections, proven.levels, assumptions),
        lower_bound_cycles=proven.low,
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


def _message(open_levels: Sequence[str], why: str, interrupted: bool) -> str:
    if not open_levels:
        return ""
    return f"not proven: {', '.join(open_levels)}; {'stopped by the user' if interrupted else why}"
