"""Exhaustive search for tiny instances, modulo and joint: the reference that the other solvers are tested against.

Intervals, then lengths, then group assignments are tried in ascending order of the objective, so that the first
schedule is the optimum; each is looked for among all issue times. Exponential: for some six ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ir.graph import Edge, Op
from ir.schedule import Buffer, Certificate, Conflict, Level, Placement, Rejection, Schedule, Status, WarpGroup
from twill.problem.problem import Family, Problem
from twill.solve.brute_groups import assignments, crossings
from twill.solve.brute_rules import Groups, Rules, Times, group_warps
from twill.solve.brute_times import TimeSearch
from twill.solve.protocol import Limits

_METHOD = "exhaustive search"
_DEFAULT_STAGES = 3


class _OutOfTimeError(Exception):
    """The time limit was reached."""


@dataclass(frozen=True)
class _Optimum:
    ii: int
    length: int
    times: Times
    groups: Groups
    budgets: dict[int, int | None]


@dataclass(frozen=True)
class Brute:
    """Optimal within `max_stages` stages (the problem's own cap, where it has one), which the certificate states."""

    name: str = "brute"
    exact: bool = True
    max_stages: int = _DEFAULT_STAGES

    def solve(self, problem: Problem, limits: Limits) -> Schedule:
        """The optimum, INFEASIBLE, or TIMEOUT with the intervals that are refuted so far."""
        search = _Search(problem, limits, self._stages(problem))
        try:
            optimum = next(search.optima(), None)
        except (_OutOfTimeError, KeyboardInterrupt):
            return replace(search.answer(self.name), message=f"stopped while searching II {search.ii}")
        if optimum is not None:
            return _schedule(search.answer(self.name), problem, optimum)
        message = f"no schedule at any II up to {search.ii} with at most {search.max_stages} stages"
        conflict = Conflict(tuple(str(f) for f in Family if problem.has(f)), message)
        return replace(search.answer(self.name, True), status=Status.INFEASIBLE, message=message, conflict=conflict)

    def _stages(self, problem: Problem) -> int:
        asked = problem.max_stages if problem.has(Family.STAGES) else None
        return asked if asked is not None else self.max_stages


@dataclass
class _Search:
    problem: Problem
    limits: Limits
    max_stages: int
    ii: int = 0
    steps: int = 0

    def optima(self) -> Iterator[_Optimum]:
        """The best schedule of each interval that has one, smallest interval first."""
        choices = assignments(self.problem) if self.problem.joint else [dict.fromkeys(self.problem.graph.by_name, 0)]
        for ii in self._intervals():
            self.ii = ii
            longest = self.max_stages * ii + max(op.span_cycles for op in self.problem.graph.ops)
            for last in range(1, longest):
                optimum = self._best_of_length(last, choices)
                if optimum is not None:
                    yield optimum
                    break

    def answer(self, name: str, complete: bool = False) -> Schedule:
        """An answer without a schedule, that rejects the intervals before the present one, or that one too."""
        rejected = max(0, self.ii if complete else self.ii - 1)
        method = "pins" if self._pinned_ii == rejected + 1 else _METHOD
        rejections = (Rejection(rejected, method, f"at most {self.max_stages} stages"),) if rejected else ()
        certificate = Certificate((), rejections, (), (f"at most {self.max_stages} stages",))
        problem = self.problem
        return Schedule(
            Status.TIMEOUT,
            problem.graph,
            problem.machine,
            name,
            problem.joint,
            certificate=certificate,
            lower_bound_cycles=rejected + 1,
        )

    @property
    def _pinned_ii(self) -> int | None:
        return self.problem.pins.ii_cycles if self.problem.has(Family.PINS) else None

    def _intervals(self) -> range:
        """Intervals to try: a longer one than the last has a slot in which nothing starts, runs or is waited for."""
        graph, wait = self.problem.graph, self.problem.machine.wait_cycles
        delays = {
            op.name: max([0, *(graph.delay_cycles(e) for e in graph.edges if e.source == op.name)]) for op in graph.ops
        }
        busy = [max(op.span_cycles, op.issue_cycles, delays[op.name] + op.handoff_cycles) + wait for op in graph.ops]
        last = min(sum(busy), self.problem.max_ii or sum(busy))
        pinned = self._pinned_ii
        return range(1, last + 1) if pinned is None else range(pinned, min(pinned, self.problem.max_ii or pinned) + 1)

    def _best_of_length(self, last: int, choices: list[dict[str, int]]) -> _Optimum | None:
        """The best assignment that has times, where lengths below `last` have none."""
        rules = Rules(self.problem, self.ii)
        plain = self._times(last, self.problem.graph.delay_cycles)
        if not any(not self.problem.joint or rules.memory(times) for times in plain):
            return None
        for groups in choices:
            for times in self._times(last, self._delay_between(groups)):
                budgets = self._budgets(rules, times, groups)
                if budgets is not None:
                    return _Optimum(self.ii, last, dict(times), groups, budgets)
        return None

    def _budgets(self, rules: Rules, times: Times, groups: Groups) -> dict[int, int | None] | None:
        """Register budgets where every joint constraint holds, else None."""
        if not self.problem.joint:
            return {}
        holds = rules.memory(times) and rules.handoff(times, groups) and rules.blocking(times, groups)
        return rules.budgets(times, groups) if holds else None

    def _delay_between(self, groups: Groups) -> Callable[[Edge], int]:
        graph, costly = self.problem.graph, self.problem.joint and self.problem.has(Family.HANDOFF)

        def delay(edge: Edge) -> int:
            crosses = costly and groups[edge.source] != groups[edge.target]
            return graph.delay_cycles(edge) + (graph.by_name[edge.source].handoff_cycles if crosses else 0)

        return delay

    def _times(self, last: int, delay: Callable[[Edge], int]) -> Iterator[dict[str, int]]:
        return TimeSearch(self.problem, self.ii, last, self.max_stages, delay, self._tick).all()

    def _tick(self) -> None:
        self.steps += 1
        if self.steps % 1024 == 0 and not self.limits.remaining_s:
            raise _OutOfTimeError


def _schedule(draft: Schedule, problem: Problem, optimum: _Optimum) -> Schedule:
    values = {"ii": optimum.ii, "length": optimum.length}
    if problem.joint:
        used = len(set(optimum.groups.values()))
        values |= {"groups": used, "crossings": crossings(problem, optimum.groups)}
    levels = tuple(Level(name, value, value, _METHOD) for name, value in values.items())  # type: ignore[arg-type]
    return replace(
        draft,
        status=Status.OPTIMAL,
        ii_cycles=optimum.ii,
        length_cycles=optimum.length,
        placements=tuple(Placement(op, optimum.times[op], group) for op, group in optimum.groups.items()),
        groups=_groups(problem, optimum),
        buffers=tuple(_buffers(problem, optimum)) if problem.joint else (),
        certificate=replace(draft.certificate, levels=levels),
        lower_bound_cycles=optimum.ii,
    )


def _groups(problem: Problem, optimum: _Optimum) -> tuple[WarpGroup, ...]:
    if not problem.joint:
        return ()
    roles = {0: "load"} if problem.has_load_group else {}
    warps = group_warps(problem, optimum.groups)
    return tuple(WarpGroup(g, roles.get(g, "compute"), warps[g], budget) for g, budget in optimum.budgets.items())


def _buffers(problem: Problem, optimum: _Optimum) -> Iterator[Buffer]:
    rules = Rules(problem, optimum.ii)
    for op in problem.graph.ops:
        live = rules.end(op, optimum.times) - optimum.times[op.name]
        depth = -(-live // optimum.ii)
        for memory, size in _footprints(op):
            yield Buffer(op.name, memory, size, live, depth, depth)  # type: ignore[arg-type]


def _footprints(op: Op) -> list[tuple[str, int]]:
    sizes = {"smem": op.smem_bytes, "tmem": op.tmem_columns, "registers": op.registers}
    return [(memory, size) for memory, size in sizes.items() if size]
