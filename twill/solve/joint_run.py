"""CP-SAT runs within the limits: several ways to settle one question race, in lanes, one thread a lane.

The first answer that settles the question stops all lanes. The main thread only waits, so that it hears an interrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from twill.solve.joint_model import Model, Solution
from twill.solve.protocol import Limits

_POLL_S = 0.02


class OutOfTimeError(Exception):
    """The limit was reached before the question was answered; what is known so far stays valid."""


@dataclass(frozen=True)
class Task:
    """One model to solve. `build` gives None where bounds alone refute it.

    found_settles, refuted_settles: whether such an answer settles the question, or the lane goes on.
    """

    name: str
    build: Callable[[], Model | None]
    found_settles: bool = True
    refuted_settles: bool = True


@dataclass(frozen=True)
class Answer:
    """What became of one task. proven: the solution is optimal, or, without one, there is none."""

    task: Task
    proven: bool
    solution: Solution | None = None
    value: float = 0
    bound: int = 0

    @property
    def refuted(self) -> bool:
        """True where there is provably no solution."""
        return self.proven and self.solution is None

    @property
    def settles(self) -> bool:
        """True where nothing more need be asked."""
        return self.proven and (self.task.refuted_settles if self.solution is None else self.task.found_settles)


def race(lanes: Sequence[Sequence[Task]], limits: Limits, look: float | None = None) -> tuple[Answer, ...]:
    """Answers to the tasks that were begun, the one that settles first. One worker takes the lanes in turn.

    look: most deterministic time for each task (about a second on an idle core), so that what a look finds does not
    depend on how busy the machine is; None for no limit but the overall one.
    Raises OutOfTimeError where no time remains.
    """
    if limits.remaining_s <= 0:
        raise OutOfTimeError
    heat = _Heat(limits, look)
    for group in [lanes] if limits.workers > 1 else [[lane] for lane in lanes]:
        if not heat.settled.is_set():
            heat.run(group)
    return tuple(sorted(heat.answers, key=lambda answer: (not answer.settles, not answer.proven)))


@dataclass
class _Heat:
    limits: Limits
    look: float | None
    answers: list[Answer] = field(default_factory=list)
    settled: threading.Event = field(default_factory=threading.Event)
    running: dict[int, cp_model.CpSolver] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def run(self, lanes: Sequence[Sequence[Task]]) -> None:
        """All lanes at once, until one settles or all are done."""
        threads = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in lanes]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self.settled.wait(_POLL_S):
                pass
        finally:
            self._stop(threads)
        if self.errors:
            raise self.errors[0]

    def _lane(self, tasks: Sequence[Task]) -> None:
        try:
            for task in tasks:
                if self.settled.is_set() or self.limits.remaining_s <= 0:
                    return
                answer = self._solve(task)
                self.answers.append(answer)
                if answer.settles:
                    self.settled.set()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.errors.append(error)
            self.settled.set()

    def _solve(self, task: Task) -> Answer:
        model = task.build()
        if model is None:
            return Answer(task, proven=True)
        solver = self._solver()
        self.running[threading.get_ident()] = solver
        status = solver.solve(model.cp)
        proven = status in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
        bound = round(solver.best_objective_bound) if model.cp.has_objective() else 0
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Answer(task, proven, bound=bound)
        value = solver.objective_value if model.cp.has_objective() else 0
        return Answer(task, proven, model.read(solver), value, bound)

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        self.settled.set() if any(thread.is_alive() for thread in threads) else None
        # A solver that is still loading its model misses a stop, hence the repetition.
        while any(thread.is_alive() for thread in threads):
            for solver in list(self.running.values()):
                solver.stop_search()
            for thread in threads:
                thread.join(_POLL_S)

    def _solver(self) -> cp_model.CpSolver:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        # Big time coefficients make the linear relaxation weak and slow; clauses and differences do the work.
        solver.parameters.linearization_level = 0
        solver.parameters.random_seed = self.limits.seed
        solver.parameters.max_time_in_seconds = self.limits.remaining_s
        if self.look is not None:
            solver.parameters.max_deterministic_time = self.look
        solver.parameters.catch_sigint_signal = False
        return solver
