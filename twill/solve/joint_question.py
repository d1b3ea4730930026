"""Questions to CP-SAT at one II: is there a schedule of at most this length with at most so many groups?

Two lanes race: one refutes, with the rotation symmetry broken, first without groups (a much smaller model) and then
the problem itself; the other looks for schedules, in short and simple scopes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from twill.problem.problem import Family, Problem
from twill.solve.joint_instance import make_instance
from twill.solve.joint_layout import Layout
from twill.solve.joint_model import Model, Solution, base_model, full_model, loose_model
from twill.solve.joint_paths import longest_paths
from twill.solve.joint_run import Answer, Task, race
from twill.solve.protocol import Limits


@dataclass(frozen=True)
class Scope:
    """Schedules of at most this length with at most so many groups."""

    length: int
    groups: int


@dataclass(frozen=True)
class Verdict:
    """A solution, or a refutation, or neither; `bound` holds for the objective where the question had one.

    fruitless: scopes of the finder that are refuted; relaxed_fits: the relaxation without groups has a solution.
    """

    solution: Solution | None = None
    refuted: bool = False
    bound: int = 0
    fruitless: tuple[Scope, ...] = ()
    relaxed_fits: bool = False


class Questions:
    """All questions about one problem within one set of limits."""

    def __init__(self, problem: Problem, limits: Limits) -> None:
        self.problem, self.limits = problem, limits
        self.instance = make_instance(problem)
        self._limited = lru_cache(maxsize=None)(lambda count: make_instance(problem, count))

    def decide(
        self,
        ii: int,
        whole: Scope,
        finds: Sequence[Scope],
        look: float | None,
        hint: Solution | None = None,
        relaxed_fits: bool = False,
    ) -> Verdict:
        """Refute `whole`, or find a schedule in it; `finds` are scopes within it where the finder looks, in order."""
        relaxed = Task("relaxed", lambda: base_model(self.instance, ii, whole.length, anchored=True), False)
        proof = Task("proof", self._asked(ii, whole, True, hint))
        names = {f"find {scope}": scope for scope in finds}
        finders = [
            Task(name, self._asked(ii, scope, False, hint), refuted_settles=scope == whole)
            for name, scope in names.items()
        ]
        answers = race([[proof] if relaxed_fits else [relaxed, proof], finders], self.limits, look)
        fruitless = tuple(names[a.task.name] for a in answers if a.refuted and a.task.name in names)
        fits = relaxed_fits or any(a.task is relaxed and a.solution is not None for a in answers)
        found = next((a.solution for a in answers if a.solution is not None and a.task is not relaxed), None)
        refuted = any(a.refuted and a.settles for a in answers)
        return Verdict(found, refuted, fruitless=fruitless, relaxed_fits=fits)

    def find_loosely(self, ii: int, scopes: Sequence[Scope], look: float) -> Solution | None:
        """A schedule from a model without registers, where they happen to fit; quick on graphs of many ops."""
        for scope in scopes:
            tasks = [Task(name, self._loose(ii, scope, name == "frugal"), False) for name in ("plain", "frugal")]
            answers = race([[task] for task in tasks], self.limits, look)
            found = (a.solution for a in answers if a.solution is not None)
            fitting = [s for s in found if Layout(self.instance, s).registers_fit]
            if fitting:
                return min(fitting, key=lambda solution: solution.length(self.instance.spans))
        return None

    def _loose(self, ii: int, scope: Scope, frugal: bool) -> Callable[[], Model | None]:
        problem = replace(self.problem, relaxed=self.problem.relaxed | {Family.REGISTERS})
        return lambda: loose_model(make_instance(problem, scope.groups), ii, scope.length, frugal)

    def settle(self, ii: int, whole: Scope) -> Verdict:
        """Refute `whole`, with and without groups side by side, or find a schedule in it: all the time there is."""
        relaxed = Task("relaxed", lambda: base_model(self.instance, ii, whole.length, anchored=True), False)
        answers = race([[Task("proof", self._asked(ii, whole, True, None))], [relaxed]], self.limits)
        found = next((a.solution for a in answers if a.solution is not None and a.task is not relaxed), None)
        return Verdict(found, any(a.refuted for a in answers))

    def crossings(self, solution: Solution, scope: Scope, look: float | None) -> Verdict:
        """Fewest edges between groups in the scope."""

        def ask(anchored: bool) -> Callable[[], Model | None]:
            return self._asked(solution.ii, scope, anchored, solution, Model.minimize_crossings)

        answers = race([[Task("anchored", ask(True))], [Task("plain", ask(False))]], self.limits, look)
        return _best(answers)

    def canonical(self, ii: int, scope: Scope, crossings: int, look: float) -> Verdict:
        """The schedule that one thread finds at these values, however they were found."""
        build = self._asked(ii, scope, False, None, lambda model: model.limit_crossings(crossings))
        return _best(race([[Task("canonical", build)]], self.limits, look))

    def shortest_chain(self, ii: int) -> int:
        """A bound on the length: the longest path of dependences."""
        paths = longest_paths(self.instance, ii)
        spans = np.array(self.instance.spans, dtype=np.int64)
        return 0 if paths is None else int((paths + spans[None, :]).max())

    def _asked(
        self,
        ii: int,
        scope: Scope,
        anchored: bool,
        hint: Solution | None,
        more: Callable[[Model], None] = lambda _model: None,
    ) -> Callable[[], Model | None]:
        def build() -> Model | None:
            model = full_model(self._limited(scope.groups), ii, scope.length, anchored)
            if model is not None:
                more(model)
                model.hint(hint)
            return model

        return build


def _best(answers: Sequence[Answer]) -> Verdict:
    """The best solution of an objective and the best bound."""
    found = [answer for answer in answers if answer.solution is not None]
    bound = max((answer.bound for answer in answers), default=0)
    solution = min(found, key=lambda answer: (not answer.proven, answer.value)).solution if found else None
    return Verdict(solution, any(answer.refuted for answer in answers), bound)
