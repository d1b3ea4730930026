"""CP-SAT model of ops with time windows that share limited units at one interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from twill.solve.modulo_paths import Matrix, necessary
from twill.solve.protocol import Limits

# Up to so many further turns around the ring for each op, absolute time is a smaller model than slots.
_MOST_TURNS = 2
# Deterministic time for which a single worker searches before all do.
_ALONE_EFFORT = 3.0
# Seconds after which an interrupt is noticed at the latest.
_LOOK_S = 0.2


class Verdict(Enum):
    """What a search says; UNKNOWN is no proof of anything."""

    OPTIMAL = cp_model.OPTIMAL
    FEASIBLE = cp_model.FEASIBLE
    INFEASIBLE = cp_model.INFEASIBLE
    UNKNOWN = cp_model.UNKNOWN


@dataclass(frozen=True)
class Window:
    """One op: its earliest and latest time in cycles, the index of its unit (or NO_UNIT), its occupancy in cycles."""

    low: int
    high: int
    unit: int
    occupancy: int


@dataclass(frozen=True)
class Slots:
    """Ops that share units at interval `ii`; paths[i, j]: least t(j) - t(i), below NONE / 2 where there is no path."""

    ii: int
    windows: tuple[Window, ...]
    paths: Matrix
    counts: tuple[int, ...]

    @cached_property
    def apart(self) -> Matrix:
        """Entry (i, j): the most that t(j) - t(i) can be."""
        low = np.array([window.low for window in self.windows], dtype=np.int64)
        high = np.array([window.high for window in self.windows], dtype=np.int64)
        apart: Matrix = np.minimum(high[None, :] - low[:, None], -self.paths.T)
        return apart

    def users(self, unit: int) -> list[int]:
        """Ops on a unit."""
        return [i for i, window in enumerate(self.windows) if window.unit == unit]

    def turns(self, users: Sequence[int]) -> list[int]:
        """How many intervals after each op another of its unit can still be active."""
        held = np.array([self.windows[i].occupancy for i in users], dtype=np.int64)
        last = (self.apart[np.ix_(users, users)] + held[None, :]).max(axis=1)
        return [int(cycles - 1) // self.ii for cycles in last]


@dataclass(frozen=True)
class Answer:
    """Times if any were found, the proven least objective, and whether the user asked to stop."""

    verdict: Verdict
    times: tuple[int, ...] = ()
    bound: int = 0
    interrupted: bool = False


@dataclass
class SlotModel:
    """The model: one variable for each op's time, and one for the length where that is minimised."""

    slots: Slots
    model: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    times: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.times = [self.model.new_int_var(window.low, window.high, "") for window in self.slots.windows]
        for u, v, weight in necessary(self.slots.paths):
            self.model.add(self.times[v] - self.times[u] >= weight)
        for unit, count in enumerate(self.slots.counts):
            self._limit(self.slots.users(unit), count)

    def start_at_zero(self) -> None:
        """Ask that some op issues at time 0."""
        first = [self.model.new_bool_var("") for _ in self.times]
        for time, is_first in zip(self.times, first, strict=True):
            self.model.add(time == 0).only_enforce_if(is_first)
        self.model.add_at_least_one(first)

    def minimise(self, tails: Sequence[int], low: int, high: int) -> None:
        """Ask for the least length from `low` to `high` that is at least time + tail of each op."""
        length = self.model.new_int_var(low, high, "length")
        for time, tail in zip(self.times, tails, strict=True):
            self.model.add(length >= time + tail)
        self.model.minimize(length)

    def hint(self, times: Sequence[int]) -> None:
        """Start the search from these times."""
        for variable, time in zip(self.times, times, strict=True):
            self.model.add_hint(variable, time)

    def solve(self, limits: Limits, effort: float) -> Answer:
        """Search for about `effort` units of deterministic time (a second or two each) within the wall-clock limit.

        One worker tries first: it alone settles most models, and soonest. Same seed and workers, same answer, unless
        the wall clock ends it.
        """
        answer = self._run(limits, min(effort, _ALONE_EFFORT), 1)
        settled = answer.verdict in (Verdict.OPTIMAL, Verdict.INFEASIBLE) or answer.interrupted
        if settled or effort <= _ALONE_EFFORT or limits.workers == 1 or not limits.remaining_s:
            return answer
        if answer.times:
            self.model.clear_hints()
            self.hint(answer.times)
        return self._run(limits, effort, limits.workers)

    def _run(self, limits: Limits, effort: float, workers: int) -> Answer:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = workers
        solver.parameters.random_seed = limits.seed
        solver.parameters.interleave_search = workers > 1
        solver.parameters.max_time_in_seconds = limits.remaining_s
        solver.parameters.max_deterministic_time = effort
        solver.parameters.catch_sigint_signal = False
        verdict, interrupted = _solve(solver, self.model)
        if verdict in (Verdict.INFEASIBLE, Verdict.UNKNOWN):
            return Answer(verdict, interrupted=interrupted)
        times = tuple(solver.value(time) for time in self.times)
        return Answer(verdict, times, round(solver.best_objective_bound), interrupted)

    def _limit(self, users: list[int], count: int) -> None:
        """At most `count` of the users at once in every slot.

        Overlap in absolute time is overlap in the ring. The reverse holds once each op also stands so many intervals
        later as another can still follow it; where these are too many, the slots get variables of their own.
        """
        if not users:
            return
        turns = self.slots.turns(users)
        if sum(turns) > _MOST_TURNS * len(users):
            self._capacity([*self._ring(users)], count - self._whole_turns(users))
            turns = [0] * len(users)
        copies = [(i, k * self.slots.ii) for i, n in zip(users, turns, strict=True) for k in range(n + 1)]
        self._capacity(
            [self._held(self.times[i] + shift, self.slots.windows[i].occupancy) for i, shift in copies], count
        )

    def _whole_turns(self, users: Sequence[int]) -> int:
        return sum(self.slots.windows[i].occupancy // self.slots.ii for i in users)

    def _ring(self, users: Sequence[int]) -> Iterable[Any]:
        """Each op's cycles in the ring of slots; one that may cross the end comes again, an interval earlier."""
        ii = self.slots.ii
        for i in users:
            window, rest = self.slots.windows[i], self.slots.windows[i].occupancy % ii
            slot = self.model.new_int_var(0, ii - 1, "")
            stage = self.model.new_int_var(window.low // ii, window.high // ii, "")
            self.model.add(self.times[i] == ii * stage + slot)
            yield from (self._held(slot - turn, rest) for turn in (0, ii)[: min(rest, 2)])

    def _held(self, start: Any, cycles: int) -> Any:
        return self.model.new_fixed_size_interval_var(start, cycles, "")

    def _capacity(self, intervals: list[Any], count: int) -> None:
        if len(intervals) <= max(count, 0):
            return
        if count == 1:
            self.model.add_no_overlap(intervals)
            return
        self.model.add_cumulative(intervals, [1] * len(intervals), count)


def _solve(solver: cp_model.CpSolver, model: cp_model.CpModel) -> tuple[Verdict, bool]:
    """Solve in a thread, so that Ctrl-C reaches Python and stops the search with what it has."""
    with ThreadPoolExecutor(1) as pool:
        search = pool.submit(solver.solve, model)
        try:
            # An interrupt that comes just before a wait begins is noticed when the wait ends.
            while not search.done():
                wait([search], _LOOK_S)
            return Verdict(search.result()), False
        except KeyboardInterrupt:
            solver.stop_search()
            return Verdict(search.result()), True
