"""The search of the SMT solver: smallest II, then length, groups, crossings, each closed by a refutation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ir.schedule import Certificate, Level, Rejection, Schedule, Status
from twill.problem.bounds import all_bounds
from twill.problem.problem import Family, Problem
from twill.solve.protocol import Limits
from twill.solve.smt_query import Oracle, Question, Verdict
from twill.solve.smt_record import Assignment, last_ii, pinned_ii

NAME = "smt"
_FEW_GROUPS = 4
_EASIER_SHARE = 0.2  # of the time for a question, for each easier one before it
_FAMILY_OF_BOUND = {"unit": Family.UNIT, "recurrence": Family.DEPENDENCE}


def values(found: Assignment) -> dict[str, int]:
    """The objective of an assignment, level by level."""
    modulo = {"ii": found.ii, "length": found.length}
    return {**modulo, "groups": len(found.used), "crossings": found.crossings} if found.problem.joint else modulo


@dataclass
class Search:
    """One run on one problem; `report` gets each better schedule as soon as it is there."""

    problem: Problem
    limits: Limits
    report: Callable[[Schedule], None] = field(default=lambda _schedule: None)

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.problem, self.limits.seed)
        self.pinned = pinned_ii(self.problem)
        bounds = all_bounds(self.problem.graph, self.problem.machine)
        self.bounds = tuple(bound for bound in bounds if self.problem.has(_FAMILY_OF_BOUND[bound.kind]))
        self.best: Assignment | None = None
        self.refuted_ii = 0
        self.floors: dict[str, int] = {}
        self.timing: dict[str, float] = {}

    def run(self) -> Schedule:
        """The answer, with what is proven of it."""
        last = last_ii(self.problem)
        refuted = self._smallest_ii(self.pinned or self._proven_bound(), last)
        if self.best is None:
            return self._no_schedule(last, refuted)
        for name in list(values(self.best))[1:]:
            self._minimise(name)
        return self._schedule()

    def _proven_bound(self) -> int:
        return max([1, *(bound.ii_cycles for bound in self.bounds)])

    def _smallest_ii(self, first: int, last: int) -> bool:
        """Find the smallest II and refute the ones below; True where every II up to `last` is refuted.

        A schedule at one II, stretched by an idle slot, is a schedule at the next: feasibility is monotone, so one
        refutation covers every smaller II. After the first II comes the last, which tells whether there is a schedule
        at all. Then steps double from the first II on, until halving what is left is shorter.
        """
        low, step, ii = first, 1, first
        while low < (last + 1 if self.best is None else self.best.ii):
            answer = self._ask(Question(ii))
            if answer is Verdict.REFUTED:
                self.refuted_ii = max(self.refuted_ii, ii)
            if isinstance(answer, Verdict):
                low = ii + 1
            if self.best is None:
                ii = last
            else:
                ii = min(low + step - 1, (low + self.best.ii - 1) // 2)
                step *= 2
        return self.best is None and max(self.refuted_ii, first - 1) >= last

    def _minimise(self, name: str) -> None:
        """Lower one level of the objective as far as it goes, with the levels above it fixed, by halving."""
        assert self.best is not None
        low = 0
        while low < (value := values(self.best)[name]):
            middle = (low + value - 1) // 2
            answer = self._ask(self._question(name, middle))
            if answer is Verdict.UNKNOWN:
                break
            if answer is Verdict.REFUTED:
                low = middle + 1
        self.floors[name] = low

    def _question(self, name: str, value: int) -> Question:
        assert self.best is not None
        reached = values(self.best)
        fixed = {above: reached[above] for above in list(reached)[1 : list(reached).index(name)]}
        return Question(self.best.ii, **fixed, **{name: value})

    def _ask(self, question: Question) -> Assignment | Verdict:
        # Half of the time, while nothing is found: a larger II may be easier.
        time_s = self.limits.remaining_s * (0.5 if self.best is None else 1.0)
        for easier in self._easier(question):
            answer = self._put(easier, _EASIER_SHARE * time_s)
            if isinstance(answer, Assignment):
                return answer
        return self._put(question, min(time_s, self.limits.remaining_s))

    def _easier(self, question: Question) -> Iterator[Question]:
        """The same question with few groups: where the answer is yes, z3 finds it there some ten times sooner."""
        if not self.problem.joint or question.groups is not None:
            return
        most = self.problem.group_limit if self.problem.has(Family.GROUPS) else len(self.problem.graph.ops)
        few = range(1, _FEW_GROUPS)
        if self.best is not None:
            reached = len(self.best.used)
            few = range(reached, reached + 1 if question.length is not None else max(reached + 1, _FEW_GROUPS))
        yield from (replace(question, groups=count) for count in few if count < most)

    def _put(self, question: Question, time_s: float) -> Assignment | Verdict:
        if time_s <= 0:
            return Verdict.UNKNOWN
        started = time.monotonic()
        answer = self.oracle.ask(question, time_s)
        self.timing["queries"] = self.timing.get("queries", 0) + 1
        said = answer.value if isinstance(answer, Verdict) else "found"
        self.limits.progress(f"smt: {question}: {said} in {time.monotonic() - started:.1f} s")
        if isinstance(answer, Assignment):
            self.best = answer
            self.report(self._schedule())
        return answer

    def _no_schedule(self, last: int, refuted: bool) -> Schedule:
        status = Status.INFEASIBLE if refuted else Status.TIMEOUT
        detail = "no limit" if self.problem.max_ii is None else "the limit"
        message = f"no schedule at any II up to {last}, {detail}" if refuted else "no answer within the time limit"
        bound = max(self._proven_bound(), self.refuted_ii + 1)
        answer = Schedule(status, self.problem.graph, self.problem.machine, NAME, self.problem.joint)
        rejections = (*self._rejections(self.refuted_ii), *self._bounded(last if refuted else 0))
        certificate = Certificate(self.bounds, rejections)
        return replace(answer, certificate=certificate, lower_bound_cycles=0 if refuted else bound, message=message)

    def _rejections(self, up_to: int) -> Iterator[Rejection]:
        if up_to:
            yield Rejection(up_to, NAME, "z3 refutes all constraints together")

    def _bounded(self, last: int) -> Iterator[Rejection]:
        if last > self.refuted_ii:
            yield Rejection(last, "bounds", f"units and recurrences ask for an II of {self._proven_bound()}")

    def _method(self, name: str) -> str:
        if name != "ii" or self.refuted_ii >= self._proven_bound():
            return "z3 refutes every smaller value"
        return "pinned" if self.pinned else "units and recurrences"

    def _schedule(self) -> Schedule:
        assert self.best is not None
        ii_floor = self.pinned or max(self._proven_bound(), self.refuted_ii + 1)
        floors = {"ii": ii_floor, **self.floors}
        levels = tuple(
            Level(name, value, floors.get(name, 0), self._method(name))  # type: ignore[arg-type]
            for name, value in values(self.best).items()
        )
        status = Status.OPTIMAL if all(level.proven for level in levels) else Status.FEASIBLE
        certificate = Certificate(self.bounds, tuple(self._rejections(self.refuted_ii)), levels)
        message = "" if status is Status.OPTIMAL else "the best so far, not proven optimal"
        return replace(
            self.best.schedule(status, NAME),
            certificate=certificate,
            lower_bound_cycles=ii_floor,
            message=message,
            timing=dict(self.timing),
        )
