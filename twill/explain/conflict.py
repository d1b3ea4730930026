"""Why a problem has no schedule: the families of constraints that conflict, and the least that would help.

The core is found by a deletion filter (J. W. Chinneck and E. W. Dravnieks, "Locating minimal infeasible constraint
sets in linear programs", ORSA J. Computing 3(2), 1991): drop families and keep dropped those without which the problem
is still infeasible. A family whose test ends in a timeout is kept and named as such.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from ir.schedule import Conflict, Schedule, Status
from twill.explain.words import names_text
from twill.problem.check import check, is_negative_answer
from twill.problem.problem import Family, Problem
from twill.solve.protocol import Limits, Solver

MODULO_FAMILIES = (Family.STAGES, Family.UNIT, Family.DEPENDENCE)
JOINT_FAMILIES = (
    Family.PINS,
    Family.REGISTER_HANDOFF,
    Family.BLOCKING,
    Family.HANDOFF,
    Family.GROUPS,
    Family.GROUP_WARPS,
    Family.VARIABLE_LATENCY,
    Family.TMEM,
    Family.SMEM,
    Family.REGISTERS,
    *MODULO_FAMILIES,
)
# Part of the time that the search for the core may take; the rest is for relaxations.
CORE_SHARE = 0.6
# Part of the time left that one further question may take.
SLICE = 0.2


class Answer(Enum):
    """What a solver says of a problem; UNKNOWN is a timeout, or an inexact solver's failure, and proves nothing."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Oracle:
    """Asks a solver whether problems are feasible, for no longer than the limits allow in all."""

    solver: Solver
    limits: Limits

    def ask(self, problem: Problem, slice_s: float | None = None) -> tuple[Answer, Schedule | None]:
        """The answer, and the schedule where there is one, within `slice_s` (a share of what is left by default).

        No solver runs once the time is up.
        """
        if any(map(is_negative_answer, check(problem))):
            return Answer.INFEASIBLE, None
        left = self.limits.remaining_s * SLICE if slice_s is None else min(slice_s, self.limits.remaining_s)
        if left <= 0:
            return Answer.UNKNOWN, None
        schedule = self.solver.solve(problem, replace(self.limits, time_s=left, started=time.monotonic()))
        if schedule.found:
            return Answer.FEASIBLE, schedule
        proven = schedule.status is Status.INFEASIBLE and self.solver.exact
        return (Answer.INFEASIBLE if proven else Answer.UNKNOWN), None


@dataclass(frozen=True)
class Core:
    """Families that conflict; `unknown` of them are kept only because their test ended without an answer.

    Empty families: the problem is not known to be infeasible.
    """

    families: tuple[Family, ...]
    unknown: tuple[Family, ...] = ()

    @property
    def certain(self) -> tuple[Family, ...]:
        """The families that are proven to be needed; all of them where none is."""
        return tuple(family for family in self.families if family not in self.unknown) or self.families

    @property
    def minimal(self) -> bool:
        """True where each family is proven to be needed for the conflict."""
        return not self.unknown


def explain_conflict(
    problem: Problem, solver: Solver, limits: Limits, known_infeasible: bool = False
) -> Conflict | None:
    """The conflict of an infeasible problem and what would resolve it; None where it is not proven infeasible.

    Takes at most the limits' time, half of it for the core. Relaxations are smallest numbers found by bisection; where
    a smaller one could not be ruled out in time, the text says so. `known_infeasible` spares asking once more.
    """
    from twill.explain.relax import relaxations

    oracle = Oracle(solver, limits)
    core = find_core(problem, oracle, known_infeasible)
    if core is None:
        return None
    return Conflict(tuple(map(str, core.families)), _message(problem, core), tuple(relaxations(problem, core, oracle)))


def why_not_smaller(schedule: Schedule, problem: Problem, solver: Solver, limits: Limits) -> Conflict | None:
    """Which families rule out an II one cycle smaller than the schedule's; None where that is not proven."""
    if schedule.ii_cycles is None or schedule.ii_cycles <= 1:
        return None
    smaller = replace(problem, max_ii=schedule.ii_cycles - 1)
    core = find_core(smaller, Oracle(solver, limits))
    return None if core is None else Conflict(tuple(map(str, core.families)), _message(smaller, core))


def find_core(problem: Problem, oracle: Oracle, known_infeasible: bool = False) -> Core | None:
    """A minimal set of families that cannot hold together; None where the problem is not proven infeasible.

    Families are dropped many at a time where that leaves the problem infeasible, one by one where it does not.
    """
    for_relaxations = oracle.limits.remaining_s * (1 - CORE_SHARE)
    if not known_infeasible and oracle.ask(problem, oracle.limits.remaining_s / 2)[0] is not Answer.INFEASIBLE:
        return None
    kept, unknown = list[Family](), list[Family]()
    relaxed, present = problem.relaxed, list(families(problem))
    todo = _halves(present)
    while todo:
        chunk = todo.pop(0)
        left = len(chunk) + sum(map(len, todo))
        slice_s = (oracle.limits.remaining_s - for_relaxations) * len(chunk) / left
        answer, _ = oracle.ask(replace(problem, relaxed=relaxed | set(chunk)), slice_s)
        if answer is Answer.INFEASIBLE:
            relaxed |= set(chunk)
        elif len(chunk) > 1:
            todo = _halves(chunk) + todo
        else:
            kept += chunk
            unknown += chunk if answer is Answer.UNKNOWN else []
    return Core(tuple(kept), tuple(unknown))


def _halves(chunk: list[Family]) -> list[list[Family]]:
    middle = (len(chunk) + 1) // 2
    return [half for half in (chunk[:middle], chunk[middle:]) if half]


def families(problem: Problem) -> Iterator[Family]:
    """The families that have a constraint in this problem, those first that a user can change most easily."""
    for family in JOINT_FAMILIES if problem.joint else MODULO_FAMILIES:
        if problem.has(family) and _is_present(problem, family):
            yield family


def _is_present(problem: Problem, family: Family) -> bool:
    machine, pins = problem.machine, problem.pins
    absent = {
        Family.PINS: not (pins.groups or pins.stages or pins.orders or pins.ii_cycles),
        Family.REGISTER_HANDOFF: not problem.forbid_register_handoff,
        Family.SMEM: machine.smem_bytes is None,
        Family.TMEM: machine.tmem_columns is None,
        Family.REGISTERS: machine.registers_per_sm is None,
        Family.STAGES: problem.max_stages is None,
        Family.BLOCKING: not any(edge.blocking for edge in problem.graph.edges),
        Family.VARIABLE_LATENCY: not problem.has_load_group,
    }
    return not absent.get(family, False)


def _message(problem: Problem, core: Core) -> str:
    limit = f" at an II of at most {problem.max_ii}" if problem.max_ii is not None else ""
    names = names_text(list(map(str, core.families)))
    text = f"cannot hold together{limit}: {names or 'the limits themselves'}"
    if core.unknown:
        text += f" (no answer in time whether {names_text(list(map(str, core.unknown)))} matter)"
    return text
