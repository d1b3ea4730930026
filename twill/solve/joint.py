"""The joint problem, software pipelining with warp specialization, solved exactly: search, then the full schedule."""

from __future__ import annotations

from ir.schedule import Schedule
from twill.problem.problem import Problem
from twill.solve.joint_result import make_schedule
from twill.solve.joint_search import Search
from twill.solve.protocol import Limits


def solve_joint(problem: Problem, limits: Limits, name: str = "cpsat") -> Schedule:
    """Smallest II, then length, groups and crossings, each proven where time suffices.

    Raises ValueError for a graph without ops.
    """
    if not problem.graph.ops:
        raise ValueError(f"graph {problem.graph.name} has no ops to schedule")
    search = Search(problem, limits)
    search.run()
    return make_schedule(search, name)
