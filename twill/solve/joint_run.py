"""CP-SAT runs within the limits: several models of one question race, the first conclusive answer stops the others.

Each model is solved by one thread of its own; the main thread only waits, so that it hears an interrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ortools.sat.python import cp_model

from twill.solve.protocol import Limits

_POLL_S = 0.02


class OutOfTimeError(Exception):
    """The limit was reached before the question was answered; what is known so far stays valid."""


@dataclass(frozen=True)
class Answer:
    """What one solver said. feasible: a solution is there. proven: it is optimal, or, without a solution, none is."""

    index: int
    feasible: bool
    proven: bool
    solver: cp_model.CpSolver

    @property
    def refuted(self) -> bool:
        """True where there is provably no solution."""
        return self.proven and not self.feasible

    @property
    def bound(self) -> int:
        """Proven lower bound of the objective."""
        bound: float = self.solver.best_objective_bound
        return round(bound)


def race(models: Sequence[cp_model.CpModel], limits: Limits, look: float | None = None) -> tuple[Answer, ...]:
    """Answers of all models, proven ones first: the first proof stops the others. One worker takes them in turn.

    look: most deterministic time for each (about a second on an idle core), so that what a look finds out does not
    depend on how busy the machine is; None for no limit but the overall one.
    Raises OutOfTimeError where no time remains.
    """
    if limits.remaining_s <= 0:
        raise OutOfTimeError
    solvers = [_solver(limits, look) for _ in models]
    answers = _together(models, solvers) if limits.workers > 1 else _in_turn(models, solvers, limits)
    return tuple(sorted(answers, key=lambda answer: not answer.proven))


def _in_turn(models: Sequence[cp_model.CpModel], solvers: Sequence[cp_model.CpSolver], limits: Limits) -> list[Answer]:
    answers: list[Answer] = []
    for index, (model, solver) in enumerate(zip(models, solvers, strict=True)):
        solver.parameters.max_time_in_seconds = limits.remaining_s / (len(models) - index)
        (answer,) = _together([model], [solver])
        answers.append(replace(answer, index=index))
        if answer.proven:
            break
    return answers


def _together(models: Sequence[cp_model.CpModel], solvers: Sequence[cp_model.CpSolver]) -> list[Answer]:
    answers: dict[int, Answer] = {}
    settled = threading.Event()

    def work(index: int) -> None:
        status = solvers[index].solve(models[index])
        feasible = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        proven = status in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
        answers[index] = Answer(index, feasible, proven, solvers[index])
        if proven:
            settled.set()

    threads = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(len(models))]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not settled.wait(_POLL_S):
            pass
    finally:
        _stop(solvers, threads)
    return [answers[index] for index in sorted(answers)]


def _stop(solvers: Sequence[cp_model.CpSolver], threads: Sequence[threading.Thread]) -> None:
    # A solver that is still loading its model misses a stop, hence the repetition.
    for solver, thread in zip(solvers, threads, strict=True):
        while thread.is_alive():
            solver.stop_search()
            thread.join(_POLL_S)


def _solver(limits: Limits, look: float | None) -> cp_model.CpSolver:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    # Big time coefficients make the linear relaxation weak and slow; clauses and difference constraints do the work.
    solver.parameters.linearization_level = 0
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_time_in_seconds = limits.remaining_s
    if look is not None:
        solver.parameters.max_deterministic_time = look
    solver.parameters.catch_sigint_signal = False
    return solver
