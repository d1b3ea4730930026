"""A solver for tests whose answers are a rule over problems: True feasible, False infeasible, None out of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ir.graph import DependenceGraph, Op
from ir.machine import Machine
from ir.schedule import Buffer, Placement, Schedule, Status
from twill.problem.problem import Problem
from twill.solve.protocol import Limits

SMALL = Machine(
    "small",
    units={"alu": 1},
    smem_bytes=48 * 1024,
    registers_per_sm=1024,
    max_registers_per_thread=64,
    max_groups=3,
    max_warps=8,
)
GRAPH = DependenceGraph("g", (Op("a", "alu", 1, 1, smem_bytes=1024), Op("b", "alu", 1, 1, variable_latency=True)))


@dataclass
class Ruled:
    """Solves by `rule`; remembers the problems that it was asked."""

    rule: Callable[[Problem], bool | None]
    name: str = "ruled"
    exact: bool = True
    asked: list[Problem] = field(default_factory=list)

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        self.asked.append(problem)
        answer = self.rule(problem)
        status = {True: Status.FEASIBLE, False: Status.INFEASIBLE, None: Status.TIMEOUT}[answer]
        schedule = Schedule(status, problem.graph, problem.machine, self.name)
        if not answer:
            return schedule
        return replace(
            schedule,
            ii_cycles=7,
            lower_bound_cycles=7,
            placements=(Placement("a", 0), Placement("b", 1)),
            buffers=(Buffer("a", "smem", 32 * 1024, 14, 3, 3),),
        )
