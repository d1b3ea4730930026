"""Questions to CP-SAT at one II: is there a schedule of at most this length with at most so many groups?

Each question is asked twice at once: of the anchored model, which proves, and of the plain one, which finds. The
latter may be asked for less (shorter, fewer groups), where schedules are found faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from twill.problem.problem import Problem
from twill.solve.joint_instance import make_instance
from twill.solve.joint_model import Model, Solution, base_model, full_model
from twill.solve.joint_paths import longest_paths
from twill.solve.joint_run import race
from twill.solve.protocol import Limits


@dataclass(frozen=True)
class Scope:
    """Schedules of at most this length with at most so many groups."""

    length: int
    groups: int


@dataclass(frozen=True)
class Verdict:
    """A solution, or a refuted scope, or neither; `bound` holds for the objective where the question had one."""

    solution: Solution | None = None
    refuted: Scope | None = None
    bound: int = 0


class Questions:
    """All questions about one problem within one set of limits."""

    def __init__(self, problem: Problem, limits: Limits) -> None:
        self.problem, self.limits = problem, limits
        self.instance = make_instance(problem)
        self._limited = lru_cache(maxsize=None)(lambda count: make_instance(problem, count))

    def decide(self, ii: int, prove: Scope, find: Scope, look: float | None, hint: Solution | None = None) -> Verdict:
        """Refute `prove`, or find a schedule in it or in `find`, which lies within; or only refute `find`."""
        models = [self._model(ii, prove, anchored=True), self._model(ii, find, anchored=False)]
        scopes = [prove, find]
        for scope, model in zip(scopes, models, strict=True):
            if model is None:
                return Verdict(refuted=scope)
        ready = [model for model in models if model is not None]
        for model in ready:
            model.hint(hint)
        return self._verdict(ready, scopes, look)

    def refuted_without_groups(self, ii: int, length: int, look: float) -> bool:
        """True where dependences, units, memories, and registers on average alone allow no schedule."""
        models = [base_model(self.instance, ii, length, anchored) for anchored in (True, False)]
        ready = [model.cp for model in models if model is not None]
        return len(ready) < len(models) or race(ready, self.limits, look)[0].refuted

    def crossings(self, solution: Solution, scope: Scope, look: float | None) -> Verdict:
        """Fewest edges between groups in the scope."""
        models = [self._model(solution.ii, scope, anchored) for anchored in (True, False)]
        ready = [model for model in models if model is not None]
        for model in ready:
            model.minimize_crossings()
            model.hint(solution)
        return self._verdict(ready, [scope] * len(ready), look)

    def canonical(self, ii: int, scope: Scope, crossings: int, look: float) -> Verdict:
        """The schedule that one thread finds at these values, however they were found."""
        model = self._model(ii, scope, anchored=False)
        if model is None:
            return Verdict()
        model.limit_crossings(crossings)
        return self._verdict([model], [scope], look)

    def shortest_chain(self, ii: int) -> int:
        """A bound on the length: the longest path of dependences."""
        paths = longest_paths(self.instance, ii)
        spans = np.array(self.instance.spans, dtype=np.int64)
        return 0 if paths is None else int((paths + spans[None, :]).max())

    def _model(self, ii: int, scope: Scope, anchored: bool) -> Model | None:
        return full_model(self._limited(scope.groups), ii, scope.length, anchored)

    def _verdict(self, models: Sequence[Model], scopes: Sequence[Scope], look: float | None) -> Verdict:
        answers = race([model.cp for model in models], self.limits, look)
        bound = max((answer.bound for answer in answers if models[answer.index].cp.has_objective()), default=0)
        found = [answer for answer in answers if answer.feasible]
        if found:
            best = min(found, key=lambda answer: (not answer.proven, models[answer.index].value(answer)))
            return Verdict(models[best.index].read(best), bound=bound)
        return Verdict(refuted=next((scopes[answer.index] for answer in answers if answer.refuted), None), bound=bound)
