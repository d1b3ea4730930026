"""A second opinion: another solver refutes again what a schedule's certificate says is impossible."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ir.schedule import Schedule, Status
from twill.problem.problem import Family, Problem
from twill.solve.protocol import Limits
from twill.solve.smt_query import Oracle, Question, Verdict
from twill.solve.smt_record import Assignment, last_ii, pinned_ii
from twill.solve.smt_worker import Send, messages

_OPEN = "no answer within the time limit: not cross-checked"
_SAID = {Verdict.REFUTED: "unsat"}
_ASSUMED = re.compile(r"at most (\d+) stages")


class ContradictionError(RuntimeError):
    """One solver found what another called impossible; `problem` and the `schedule` that was found reproduce it."""

    def __init__(self, claim: str, problem: Problem, schedule: Schedule) -> None:
        super().__init__(f"claimed impossible: {claim}; {schedule.solver} found a schedule of II {schedule.ii_cycles}")
        self.problem = problem
        self.schedule = schedule


@dataclass(frozen=True)
class Claim:
    """What the certificate says cannot be: `text` for people, `question` for the solver that is to check it.

    told_by_smt: the SMT solver is what the certificate has it from, so that CP-SAT is the one to check it.
    """

    text: str
    question: Question
    told_by_smt: bool = False


def certify(problem: Problem, schedule: Schedule, limits: Limits) -> Schedule:
    """The schedule with one line in `certificate.cross_checks` for each claim: refuted again, or not cross-checked.

    The claims are II - 1, length - 1, groups - 1 and crossings - 1 where the certificate calls these levels proven,
    each with the levels above it fixed, or that there is no schedule at all. What the SMT solver told the search is
    asked of CP-SAT, all else of the SMT solver. A certificate may assume a cap on stages; the SMT solver needs none,
    so that what it refutes rests on the cap no longer. Where it finds a schedule it is asked again under the cap, and
    the line says that more stages help. Raises ContradictionError where a solver finds a schedule that a claim
    excludes.
    """
    every = tuple(claims_of(problem, schedule))
    own, claims = (tuple(c for c in every if c.told_by_smt is told) for told in (True, False))
    started = time.monotonic()
    from_cpsat: list[str] = []
    lines: list[str] = []
    try:
        for claim in own:
            from_cpsat.append(f"cpsat: {claim.text} {_by_cpsat(problem, claim, limits, bool(claims))}")
            limits.progress(f"{from_cpsat[-1]} in {time.monotonic() - started:.1f} s")
        job = _Certify(problem, claims, assumed_stages(problem, schedule), limits.remaining_s)
        for message in messages(job, limits.remaining_s):
            if isinstance(message, Schedule):
                raise ContradictionError(claims[len(lines)].text, problem, message)
            lines.append(str(message))
            limits.progress(f"{lines[-1]} in {time.monotonic() - started:.1f} s")
    except KeyboardInterrupt:
        limits.progress("cross-check: interrupted")
    skipped = (f"cpsat: {claim.text} {_OPEN}" for claim in own[len(from_cpsat) :])
    unanswered = (f"smt: {claim.text} {_OPEN}" for claim in claims[len(lines) :])
    checks = (*schedule.certificate.cross_checks, *from_cpsat, *skipped, *lines, *unanswered)
    # Seconds belong to `timing` alone: all else is the same for the same input.
    timing = {**schedule.timing, "cross_check_s": time.monotonic() - started}
    return replace(schedule, certificate=replace(schedule.certificate, cross_checks=checks), timing=timing)


def _by_cpsat(problem: Problem, claim: Claim, limits: Limits, more: bool) -> str:
    """What CP-SAT says of a claim that is not its own; half of the time where there are more claims to check."""
    from twill.solve.joint_prove import prove

    time_s = limits.remaining_s * (0.5 if more else 1.0)
    answer = prove(problem, claim.question, replace(limits, time_s=time_s, started=time.monotonic()))
    if isinstance(answer, Assignment):
        raise ContradictionError(claim.text, problem, answer.schedule(Status.FEASIBLE, "cpsat"))
    return answer or _OPEN


def claims_of(problem: Problem, schedule: Schedule) -> Iterator[Claim]:
    """The negative claims of a schedule's certificate, the most general first."""
    if schedule.status is Status.INFEASIBLE:
        last = last_ii(problem)
        limit = pinned_ii(problem) or problem.max_ii
        last_word = max(schedule.certificate.rejections, key=lambda r: r.ii_cycles, default=None)
        told = last_word is not None and _is_smt(last_word.method)
        yield Claim(f"II <= {limit}" if limit else "any II", Question(last), told)
    if not schedule.found or schedule.ii_cycles is None:
        return
    fixed: dict[str, int] = {}
    for level in schedule.certificate.levels:
        if level.proven and level.value > 0 and not (level.name == "ii" and _ii_is_given(problem, level.value)):
            claim = _claim(schedule.ii_cycles, fixed, level.name, level.value - 1)
            yield replace(claim, told_by_smt=_is_smt(level.method))
        if level.name != "ii":
            fixed[level.name] = level.value


def _is_smt(method: str) -> bool:
    """True for a proof by this solver, on its own or inside the joint search."""
    return method.lower().startswith(("smt", "z3"))


def _ii_is_given(problem: Problem, ii: int) -> bool:
    return ii in (1, pinned_ii(problem))


def _claim(ii: int, fixed: dict[str, int], name: str, value: int) -> Claim:
    if name == "ii":
        return Claim(f"II <= {value}", Question(value))
    above = "".join(f", {other} {amount}" for other, amount in fixed.items())
    return Claim(f"{name} <= {value} at II {ii}{above}", Question(ii, **fixed, **{name: value}))


def assumed_stages(problem: Problem, schedule: Schedule) -> int | None:
    """The cap on stages that the certificate assumes and the problem does not ask for, None where there is none."""
    if problem.max_stages is not None and problem.has(Family.STAGES):
        return None
    found = (_ASSUMED.search(assumption) for assumption in schedule.certificate.assumptions)
    return min((int(match[1]) for match in found if match), default=None)


@dataclass(frozen=True)
class _Certify:
    problem: Problem
    claims: tuple[Claim, ...]
    stages: int | None
    time_s: float

    def run(self, send: Send) -> None:
        """Sends one line for each claim in order, or the schedule that contradicts it, and stops there."""
        deadline = time.monotonic() + self.time_s
        free = Oracle(self.problem)
        relaxed = self.problem.relaxed - {Family.STAGES}
        capped = Oracle(replace(self.problem, max_stages=self.stages, relaxed=relaxed))
        for claim in self.claims:
            answer = free.ask(claim.question, deadline - time.monotonic())
            said = _SAID
            if isinstance(answer, Assignment) and self.stages is not None:
                said = {Verdict.REFUTED: f"unsat within {self.stages} stages, and possible with more"}
                answer = capped.ask(claim.question, deadline - time.monotonic())
            if isinstance(answer, Assignment):
                send(answer.schedule(Status.FEASIBLE, "smt"))
                return
            send(f"smt: {claim.text} {said.get(answer, _OPEN)}")
