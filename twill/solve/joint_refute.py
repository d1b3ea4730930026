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


@dataclass(frozen=True)
class _Refutation:
    problem: Problem
    question: Question
    effort: int
    time_s: float

    def run(self, send: Send) -> None:
        """Send True for a proof that there is no schedule, else False."""
        send(Oracle(self.problem).ask(self.question, self.time_s, self.effort) is Verdict.REFUTED)


def refuted(problem: Problem, question: Question, effort: int, limits: Limits) -> bool:
    """True where the question is proven to have no schedule; False where it has one or stays open.

    effort: most of z3's resource units, so that the answer does not depend on how busy the machine is.
    """
    job = _Refutation(problem, question, effort, limits.remaining_s)
    return any(answer is True for answer in messages(job, limits.remaining_s))
