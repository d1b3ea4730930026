"""One question to the SMT solver: is there a schedule at this II, within these limits on length, groups, crossings?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ir.schedule import Status
from twill.problem.problem import Family, Problem
from twill.problem.verify import verify
from twill.solve.smt_engine import Z3, Engine
from twill.solve.smt_model import Model
from twill.solve.smt_record import Assignment, assignment

if TYPE_CHECKING:
    from pysmt.environment import Environment
    from pysmt.fnode import FNode

_TOO_WEAK = {Family.REGISTERS, Family.SMEM, Family.TMEM}


class Verdict(Enum):
    """Why there is no assignment: there is none, or the time was too short to tell."""

    REFUTED = "refuted"
    UNKNOWN = "unknown"


class WrongModelError(RuntimeError):
    """The verifier rejects what the complete model allows: a defect of the model."""


@dataclass(frozen=True)
class Question:
    """Is there a schedule at `ii` with no more than this? None: no limit."""

    ii: int
    length: int | None = None
    groups: int | None = None
    crossings: int | None = None

    def __str__(self) -> str:
        limits = {"length": self.length, "groups": self.groups, "crossings": self.crossings}
        return ", ".join(
            [f"II {self.ii}", *(f"{name} <= {value}" for name, value in limits.items() if value is not None)]
        )


Cut = tuple[int, int]
"""An op at whose slot registers are counted, and the steps of a budget that they must fit (see `register_cut`)."""


class Oracle:
    """Answers questions about one problem; keeps the model of the II asked last, for questions that differ in limits.

    The model is a relaxation, and is strengthened only by what the verifier rejects in an answer.
    """

    def __init__(self, problem: Problem, seed: int = 0, engine: Engine | None = None) -> None:
        self.problem = problem
        self.seed = seed
        self.engine = engine or Z3()
        self.copies = 4
        self.cuts: list[Cut] = []
        self._context: _Context | None = None

    def ask(self, question: Question, time_s: float, effort: int | None = None) -> Assignment | Verdict:
        """An assignment that the verifier accepts, or why there is none. Raises WrongModelError.

        effort: most of the engine's resource units (for z3 some millions a second) for the question; unlike seconds
        they are the same on every machine.
        """
        deadline = time.monotonic() + time_s
        while time.monotonic() < deadline and (effort is None or effort > 0):
            context = self._context_for(question.ii)
            before = context.effort
            answer = context.solve(question, deadline, effort)
            effort = None if effort is None else effort - (context.effort - before)
            if isinstance(answer, Verdict):
                return answer
            broken = {finding.rule for finding in verify(answer.schedule(Status.FEASIBLE, "smt"), self.problem)}
            if not broken:
                return answer
            self._strengthen(broken, answer)
        return Verdict.UNKNOWN

    def _context_for(self, ii: int) -> _Context:
        from pysmt.environment import Environment

        context = self._context
        if context is None or context.model.ii != ii or context.model.copies != self.copies:
            context = self._context = _Context(
                Model(Environment(), self.problem, ii, self.copies), self.engine, self.seed
            )
        context.cut(self.cuts)
        return context

    def _strengthen(self, broken: set[str], answer: Assignment) -> None:
        cuts = [cut for cut in _cuts(answer) if cut not in self.cuts] if Family.REGISTERS in broken else []
        self.cuts += cuts
        if cuts:
            return
        most = max(-(-life // answer.ii) for life in answer.lives)
        if not broken <= _TOO_WEAK or self.copies > most:
            raise WrongModelError(f"the model allows at II {answer.ii} what breaks {sorted(broken)}: {answer.times}")
        self.copies *= 2


def _cuts(answer: Assignment) -> list[Cut]:
    """For each group, one step below what it needs: the slots where that is not enough.

    A budget above the largest one is cut there instead, since no group has more.
    """
    machine = answer.problem.machine
    step = machine.register_granularity
    low, high = -(-machine.min_registers_per_thread // step), machine.max_registers_per_thread // step
    cuts: list[Cut] = []
    for g in answer.used:
        needs = {j: -(-need // step) for j, need in answer.register_needs(g).items()}
        limit = min(high, max(needs.values(), default=0) - 1)
        cuts += [(j, limit) for j, need in needs.items() if need > limit >= low]
    return cuts


@contextmanager
def _current(environment: Environment) -> Iterator[None]:
    """Make it pySMT's global environment, whose type checker would else keep, and hash alike, the nodes of all."""
    from pysmt.environment import pop_env, push_env

    push_env(environment)
    try:
        yield
    finally:
        pop_env()


class _Context:
    """A solver that holds the model of one II."""

    def __init__(self, model: Model, engine: Engine, seed: int) -> None:
        self.model, self.engine, self.environment = model, engine, model.terms.environment
        self.solver = engine.start(self.environment, seed)
        self._cuts = 0
        with _current(self.environment):
            for assertion in model.assertions():
                self.solver.add_assertion(assertion)

    def cut(self, cuts: Sequence[Cut]) -> None:
        """Add those of the cuts that are new to this model."""
        with _current(self.environment):
            for cut in cuts[self._cuts :]:
                self.solver.add_assertion(self.model.register_cut(*cut))
        self._cuts = len(cuts)

    @property
    def effort(self) -> int:
        """Resource units that the engine has used so far."""
        return self.engine.effort(self.solver)

    def solve(self, question: Question, deadline: float, effort: int | None = None) -> Assignment | Verdict:
        """One call of the solver, until `deadline` on the monotonic clock, or for so many resource units."""
        from pysmt.exceptions import SolverReturnedUnknownResultError

        self.solver.push()
        try:
            with _current(self.environment):
                for limit in self._limits(question):
                    self.solver.add_assertion(limit)
                self.engine.limit(self.solver, deadline - time.monotonic(), effort)
                return self._assignment() if self.solver.solve() else Verdict.REFUTED
        except SolverReturnedUnknownResultError:
            return Verdict.UNKNOWN
        finally:
            self.solver.pop()

    def _limits(self, question: Question) -> list[FNode]:
        model = self.model
        limits = {
            model.length_at_most: question.length,
            model.groups_at_most: question.groups,
            model.crossings_at_most: question.crossings,
        }
        return [limit(value) for limit, value in limits.items() if value is not None]

    def _assignment(self) -> Assignment:
        model, value = self.model, self.solver.get_py_value
        stages, slots = map(value, model.terms.stage), map(value, model.terms.slot)
        times = [stage * model.ii + slot for stage, slot in zip(stages, slots, strict=True)]
        groups = [0] * len(times)
        if model.problem.joint:
            groups = [next(g for g, literal in domain.items() if value(literal)) for domain in model.member]
        return assignment(model.problem, model.ii, times, groups)
