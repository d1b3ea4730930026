"""One CP-SAT solve within the limits, interruptible, in a thread of its own so that the main thread hears SIGINT."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from ortools.sat.python import cp_model

from twill.solve.protocol import Limits

_POLL_S = 0.05


class OutOfTimeError(Exception):
    """The limit was reached before the question was answered; what is known so far stays valid."""


@dataclass(frozen=True)
class Answer:
    """feasible: a solution is there. proven: it is optimal, or, without a solution, there is none."""

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


def solve(model: cp_model.CpModel, limits: Limits, time_s: float | None = None, workers: int | None = None) -> Answer:
    """Solve within `time_s` and what remains of the limits. Raises OutOfTimeError where nothing remains."""
    seconds = min(limits.remaining_s, limits.remaining_s if time_s is None else time_s)
    if seconds <= 0:
        raise OutOfTimeError
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = workers or limits.workers
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.catch_sigint_signal = False
    status = _run(solver, model)
    if status == cp_model.MODEL_INVALID:
        raise AssertionError(model.validate())
    feasible = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return Answer(feasible, status in (cp_model.OPTIMAL, cp_model.INFEASIBLE), solver)


def _run(solver: cp_model.CpSolver, model: cp_model.CpModel) -> cp_model.CpSolverStatus:
    result: list[cp_model.CpSolverStatus] = []
    thread = threading.Thread(target=lambda: result.append(solver.solve(model)), daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_POLL_S)
    except KeyboardInterrupt:
        solver.stop_search()
        thread.join()
        raise
    return result[0]
