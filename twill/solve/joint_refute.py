"""A second solver for the joint search: z3 in difference logic, where CP-SAT leaves a question open.

The two are strong on different questions: difference logic refutes tight packings of few long intervals, and where
registers bind it counts them only where an answer has them wrong. What is refuted here is refuted for any number of
stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twill.problem.problem import Problem
from twill.solve.protocol import Limits
from twill.solve.smt_query import Cut, Oracle, Question, Verdict
from twill.solve.smt_record import Assignment
from twill.solve.smt_worker import Send, messages

NAME = "SMT"


@dataclass(frozen=True)
class _Asked:
    problem: Problem
    question: Question
    effort: int
    time_s: float
    cuts: Sequence[Cut]

    def run(self, send: Send) -> None:
        """Send the answer."""
        oracle = Oracle(self.problem)
        oracle.cuts += self.cuts
        send(oracle.ask(self.question, self.time_s, self.effort))


def ask(
    problem: Problem, question: Question, effort: int, limits: Limits, cuts: Sequence[Cut] = ()
) -> Assignment | Verdict:
    """A schedule, or the proof that there is none, or UNKNOWN.

    effort: most of z3's resource units, so that the answer does not depend on how busy the machine is.
    cuts: what z3 has learnt of the problem before.
    """
    job = _Asked(problem, question, effort, limits.remaining_s, cuts)
    return next(messages(job, limits.remaining_s), Verdict.UNKNOWN)


def refuted(problem: Problem, question: Question, effort: int, limits: Limits) -> bool:
    """True where the question is proven to have no schedule; False where it has one or stays open."""
    return ask(problem, question, effort, limits) is Verdict.REFUTED
