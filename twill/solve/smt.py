"""The SMT solver: the modulo and the joint problem in difference logic, for z3 through pySMT.

Exact: it proves the smallest II, and then length, groups and crossings, each by a refutation of the next smaller value.
It fails (by time, never by a wrong answer) on graphs whose ops share a unit by the hundreds, since it compares pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ir.schedule import Schedule, Status
from twill.problem.problem import Problem
from twill.solve.protocol import Limits
from twill.solve.smt_search import NAME, Search
from twill.solve.smt_worker import Send, messages


@dataclass(frozen=True)
class Smt:
    """A `Solver`: lexicographic search by refutation, in a process that the time limit really ends."""

    name: str = NAME
    exact: bool = True

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """The best schedule that it found and how much of it is proven. Raises WorkerError for a defect."""
        best = Schedule(
            Status.TIMEOUT,
            problem.graph,
            problem.machine,
            self.name,
            problem.joint,
            message="no answer within the time limit",
        )
        try:
            for message in messages(_Solve(problem, limits.remaining_s, limits.seed), limits.remaining_s):
                if isinstance(message, Schedule):
                    best = message
                else:
                    limits.progress(str(message))
        except KeyboardInterrupt:
            limits.progress("smt: interrupted")
        # The worker knows names, not objects: hand back the caller's own graph and machine.
        return replace(best, graph=problem.graph, machine=problem.machine)


@dataclass(frozen=True)
class _Solve:
    problem: Problem
    time_s: float
    seed: int

    def run(self, send: Send) -> None:
        # Ends a little before it would be ended, so as to say itself how far it came.
        time_s = max(0.5 * self.time_s, self.time_s - 0.5)
        limits = Limits(time_s=time_s, workers=1, seed=self.seed, progress=send)
        send(Search(self.problem, limits, send).run())
