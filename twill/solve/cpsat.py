"""The exact solver `cpsat`: joint problems by the CP-SAT model of `joint_*`, modulo problems by `modulo`."""

from __future__ import annotations

from dataclasses import dataclass

from ir.schedule import Schedule
from twill.problem.problem import Problem
from twill.solve.protocol import Limits


@dataclass(frozen=True)
class CpSat:
    """Optimal where time suffices: every level of the objective proven by bounds and OR-tools CP-SAT refutations."""

    name: str = "cpsat"
    exact: bool = True

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """The best schedule and how much of it is proven; see `ir.schedule.Status`."""
        if not problem.joint:
            from twill.solve.modulo import solve_modulo

            return solve_modulo(problem, limits)
        from twill.solve.joint import solve_joint

        return solve_joint(problem, limits, self.name)
