"""CP-SAT on one question with all the time there is: the independent check of what the SMT solver told the search."""

from __future__ import annotations

from twill.problem.problem import Problem
from twill.solve.joint_contract import core_refutes, cores
from twill.solve.joint_question import Scope
from twill.solve.joint_run import OutOfTimeError
from twill.solve.joint_search import Search
from twill.solve.protocol import Limits
from twill.solve.smt_query import Question
from twill.solve.smt_record import Assignment, assignment


def prove(problem: Problem, question: Question, limits: Limits) -> Assignment | str:
    """How CP-SAT refutes the question, the schedule that it finds, or an empty text: time is too short.

    Questions about crossings and modulo problems stay open too. Refuted is what the search's cap on stages allows.
    """
    if question.crossings is not None or not problem.joint:
        return ""
    try:
        return _prove(Search(problem, limits), question)
    except OutOfTimeError:
        return ""


def _prove(search: Search, question: Question) -> Assignment | str:
    if question.groups == 0:
        return "infeasible: every op is in a group"
    ii, within = question.ii, f"infeasible with at most {search.stages} stages"
    for core in cores(search.instance, ii):
        if core_refutes(search.instance, core, ii, search.stages, search.limits):
            return f"{within}, by {core} alone"
    length = search.horizon(ii) if question.length is None else question.length
    verdict = search.ask.settle(ii, Scope(length, question.groups or search.most_groups))
    if verdict.solution is not None:
        return assignment(search.problem, ii, verdict.solution.times, verdict.solution.groups)
    return within if verdict.refuted else ""
