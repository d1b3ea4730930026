"""The independent verifier: does a schedule keep every constraint of its problem, and is its record of itself right?

It shares no code with the solvers or with the bounds that they prune by. Each rule is one function in one of the
tables below; a family of constraints has its `Family` value as the name of its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ir.diagnostics import Diagnostic
from ir.schedule import Schedule
from twill.problem import verify_answer as answer
from twill.problem import verify_steady as steady_state
from twill.problem.problem import Family, Problem
from twill.problem.verify_steady import Steady
from twill.problem.verify_unrolled import iterations

StaticRule = Callable[[Schedule, Problem], Iterator[Diagnostic]]
SteadyRule = Callable[[Steady], Iterator[Diagnostic]]

# What is asked of every answer, of an answer without a schedule, and before a schedule can be looked at at all.
EVERY_ANSWER: Mapping[str, StaticRule] = {"problem": answer.same_problem, "bound": answer.bounds}
NO_SCHEDULE: Mapping[str, StaticRule] = {"answer": answer.no_schedule}
COMPLETE: Mapping[str, StaticRule] = {"placement": answer.placement}

MODULO_FAMILIES: Mapping[Family, SteadyRule] = {
    Family.DEPENDENCE: steady_state.dependence,
    Family.UNIT: steady_state.unit,
    Family.STAGES: steady_state.stages,
    Family.PINS: steady_state.pins,
}
JOINT_FAMILIES: Mapping[Family, SteadyRule] = {
    **MODULO_FAMILIES,
    Family.SMEM: steady_state.smem,
    Family.TMEM: steady_state.tmem,
    Family.GROUP_WARPS: steady_state.group_warps,
    Family.VARIABLE_LATENCY: steady_state.variable_latency,
    Family.REGISTERS: steady_state.registers,
    Family.HANDOFF: steady_state.handoff,
    Family.REGISTER_HANDOFF: steady_state.register_handoff,
    Family.BLOCKING: steady_state.blocking,
}
RECORD: Mapping[str, SteadyRule] = {
    "extent": answer.extent,
    "group_table": answer.group_table,
    "buffer": answer.buffers,
    "certificate": answer.certificate,
    "iterations": iterations,
}
RULES = tuple(map(str, (*EVERY_ANSWER, *NO_SCHEDULE, *COMPLETE, *JOINT_FAMILIES, Family.GROUPS, *RECORD)))


def verify(schedule: Schedule, problem: Problem | None = None) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with an answer; empty means valid.

    Without `problem` the schedule's own graph and machine are taken, with no pins and nothing relaxed. A family that
    the problem relaxes is not checked. Time is linear in II, ops, edges and (for the unrolled check) stages.
    """
    problem = problem or Problem(schedule.graph, schedule.machine, joint=schedule.joint)
    found = _run(EVERY_ANSWER, schedule, problem)
    if not schedule.found:
        return (*found, *_run(NO_SCHEDULE, schedule, problem))
    incomplete = _run(COMPLETE, schedule, problem)
    if incomplete or schedule.ii_cycles is None or not problem.graph.ops:
        return (*found, *incomplete)
    steady = Steady(schedule, problem, schedule.ii_cycles)
    return (*found, *(d for rule in _steady_rules(problem) for d in rule(steady)))


def _run(rules: Mapping[str, StaticRule], schedule: Schedule, problem: Problem) -> list[Diagnostic]:
    return [diagnostic for rule in rules.values() for diagnostic in rule(schedule, problem)]


def _steady_rules(problem: Problem) -> Iterator[SteadyRule]:
    families = JOINT_FAMILIES if problem.joint else MODULO_FAMILIES
    yield from (rule for family, rule in families.items() if problem.has(family))
    if problem.joint:
        yield steady_state.groups  # decides itself: a machine without warp specialization has one group, relaxed or not
    yield from RECORD.values()
