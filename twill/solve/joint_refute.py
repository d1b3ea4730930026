"""A second refuter for the joint search: z3 in difference logic, where CP-SAT leaves a question open.

The two are strong on different questions: CP-SAT finds schedules, difference logic refutes tight packings of few long
intervals. What is refuted here is refuted for any number of stages.
"""

from __future__ import annotations

from dataclasses import dataclass

from twill.problem.problem import Problem
from twill.solve.protocol import Limits
from twill.solve.smt_query import Oracle, Question, Verdict
from twill.solve.smt_worker import Send, messages

NAME = "SMT"
# Start of the process and of the solvers in it; the question itself gets what is above.
_START_S = 2.0


@dataclass(frozen=True)
class _Refutation:
    problem: Problem
    question: Question
    time_s: float

    def run(self, send: Send) -> None:
        """Send True for a proof that there is no schedule, else False."""
        send(Oracle(self.problem).ask(self.question, self.time_s) is Verdict.REFUTED)


def refuted(problem: Problem, question: Question, time_s: float, limits: Limits) -> bool:
    """True where the question is proven to have no schedule; False where it has one or stays open within `time_s`."""
    allowed_s = min(time_s, limits.remaining_s)
    job = _Refutation(problem, question, allowed_s)
    return any(answer is True for answer in messages(job, min(allowed_s + _START_S, limits.remaining_s)))
