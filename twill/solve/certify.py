"""A second opinion: another solver refutes again what a schedule's certificate says is impossible."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from ir.schedule import Schedule, Status
from twill.problem.problem import Family, Problem
from twill.solve.protocol import Limits
from twill.solve.smt_engine import Cvc5
from twill.solve.smt_query import Oracle, Question, Verdict
from twill.solve.smt_record import Assignment, last_ii, pinned_ii
from twill.solve.smt_worker import Send, messages

_OPEN = "no answer within the time limit: not cross-checked"
_OTHERS = "cpsat, cvc5"
_CPSAT_SHARE = 0.5  # of the time for a claim, before cvc5 is asked
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

    told_by_smt: the SMT solver is what the certificate has it from, so that others are to check it.
    """

    text: str
    question: Question
    told_by_smt: bool = False


def certify(problem: Problem, schedule: Schedule, limits: Limits) -> Schedule:
    """The schedule with one line in `certificate.cross_checks` for each claim: refuted again, or not cross-checked.

    The claims are II - 1, length - 1, groups - 1 and crossings - 1 where the certificate calls these levels proven,
    each with the levels above it fixed, or that there is no schedule at all. All are asked of the SMT solver, but for
    those which it told the search itself: these are asked of CP-SAT, whose model shares nothing with the SMT formula,
    and where that takes too long of another SMT solver, which has only the formula in common. A certificate may
    assume a cap on stages; the SMT solver needs none, so that what it refutes rests on the cap no longer. Where it
    finds a schedule it is asked again under the cap, and the line says that more stages help. Raises
    ContradictionError where a solver finds a schedule that a claim excludes.
    """
    every = tuple(claims_of(problem, schedule))
    own, claims = (tuple(c for c in every if c.told_by_smt is told) for told in (True, False))
    started = time.monotonic()
    lines: list[str] = []
    try:
        for line in chain(_own_claims(problem, own, limits, bool(claims)), _claims(problem, schedule, claims, limits)):
            lines.append(line)
            limits.progress(f"{line} in {time.monotonic() - started:.1f} s")
    except KeyboardInterrupt:
        limits.progress("cross-check: interrupted")
    asked = (*(f"{_OTHERS}: {claim.text}" for claim in own), *(f"smt: {claim.text}" for claim in claims))
    unanswered = (f"{what} {_OPEN}" for what in asked[len(lines) :])
    checks = (*schedule.certificate.cross_checks, *lines, *unanswered)
    # Seconds belong to `timing` alone: all else is the same for the same input.
    timing = {**schedule.timing, "cross_check_s": time.monotonic() - started}
    return replace(schedule, certificate=replace(schedule.certificate, cross_checks=checks), timing=timing)


def _claims(problem: Problem, schedule: Schedule, claims: tuple[Claim, ...], limits: Limits) -> Iterator[str]:
    """What the SMT solver says of claims that are not its own, as far as it comes."""
    job = _Certify(problem, claims, assumed_stages(problem, schedule), limits.remaining_s)
    for claim, message in zip(claims, messages(job, limits.remaining_s), strict=False):
        if isinstance(message, Schedule):
            raise ContradictionError(claim.text, problem, message)
        yield str(message)


def _own_claims(problem: Problem, claims: tuple[Claim, ...], limits: Limits, more: bool) -> Iterator[str]:
    """What others say of the SMT solver's own claims, in equal shares of the time; `more`: there is another share."""
    for position, claim in enumerate(claims):
        share_s = limits.remaining_s / (len(claims) - position + more)
        shared = replace(limits, time_s=share_s, started=time.monotonic())
        said = _by_cpsat(problem, claim, replace(shared, time_s=_CPSAT_SHARE * share_s)) or _by_cvc5(
            problem, claim, shared
        )
        yield said or f"{_OTHERS}: {claim.text} {_OPEN}"


def _by_cpsat(problem: Problem, claim: Claim, limits: Limits) -> str:
    """CP-SAT's refutation, or nothing."""
    from twill.solve.joint_prove import prove

    answer = prove(problem, claim.question, limits)
    if isinstance(answer, Assignment):
        raise ContradictionError(claim.text, problem, answer.schedule(Status.FEASIBLE, "cpsat"))
    return answer and f"cpsat: {claim.text} {answer}"


def _by_cvc5(problem: Problem, claim: Claim, limits: Limits) -> str:
    """Another SMT solver's refutation, or nothing."""
    for answer in messages(_SecondSmt(problem, claim.question, limits.remaining_s), limits.remaining_s):
        if isinstance(answer, Assignment):
            raise ContradictionError(claim.text, problem, answer.schedule(Status.FEASIBLE, Cvc5.name))
        if answer is Verdict.REFUTED:
            return f"{Cvc5.name}: {claim.text} unsat"
    return ""


@dataclass(frozen=True)
class _SecondSmt:
    problem: Problem
    question: Question
    time_s: float

    def run(self, send: Send) -> None:
        """Sends the answer of the second SMT solver."""
        send(Oracle(self.problem, engine=Cvc5()).ask(self.question, self.time_s))


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
