"""Lexicographic search over II, length, groups and crossings, each level with its proof; optimal unless time runs out.

At one II the relaxation without groups gives the length bound; the full problem is then asked at that length with
one group, two, ...: the first answer settles length and groups at once. Only where every number of groups is
refuted is the length searched on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ir.schedule import Conflict, Rejection
from twill.problem.problem import Family, Problem
from twill.solve import joint_screen as screen
from twill.solve.joint_instance import make_instance
from twill.solve.joint_model import Model, Solution, base_model, full_model
from twill.solve.joint_run import Answer, OutOfTimeError, solve
from twill.solve.protocol import Limits

_SEARCH = "CP-SAT"
_SHARE = 0.4  # of the remaining time for one II before a larger one is tried


@dataclass
class Findings:
    """What is known so far: the best solution, lower bounds of the four levels, refuted IIs, seconds by level."""

    solution: Solution | None = None
    bounds: dict[str, int] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    conflict: Conflict | None = None
    interrupted: bool = False
    seconds: dict[str, float] = field(default_factory=dict)


class Search:
    """One run over one problem. `stages` caps the overlap: the user's cap, or one derived from the longest chain."""

    def __init__(self, problem: Problem, limits: Limits) -> None:
        self.problem, self.limits = problem, limits
        self.instance = make_instance(problem)
        self.known = Findings()
        self.bounds = screen.bounds_of(problem)
        self.minimum = max([1, *(b.ii_cycles for b in self.bounds)])
        self.chain = screen.chain_cycles(self.instance)
        self.stages = self.instance.max_stages or self._derived_stages()

    def _derived_stages(self) -> int:
        return -(-self.chain // self.minimum) + 2

    def run(self) -> Findings:
        """Search until all is proven, time runs out, or the user interrupts."""
        try:
            self._levels()
        except OutOfTimeError:
            pass
        except KeyboardInterrupt:
            self.known.interrupted = True
        return self.known

    def _levels(self) -> None:
        known = self.known
        known.conflict = screen.impossible(self.instance)
        if known.conflict is not None:
            return
        with self._timed("ii"):
            self._find_ii()
        if known.solution is None:
            return
        with self._timed("length"):
            self._find_length(known.solution.ii)
        with self._timed("groups"):
            self._find_groups()
        with self._timed("crossings"):
            self._find_crossings()

    @contextmanager
    def _timed(self, level: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.known.seconds[level] = time.perf_counter() - started

    # --- level 1: II

    def _find_ii(self) -> None:
        low, high = self._range()
        open_from = screen.first_open_ii(self.instance, low, high, self.stages) if low <= high else low
        if open_from > low:
            self._reject(open_from - 1, "bound", "recurrences with hand-offs, or storage on average, exceed it")
        low = open_from
        if low > high:
            self._no_ii(high)
            return
        self.known.bounds["ii"] = low
        high = self._climb(low, high)
        if self.known.solution is not None:
            self._descend(high)
        self.known.methods["ii"] = "bound" if not self._searched() else _SEARCH

    def _range(self) -> tuple[int, int]:
        """First and last II worth a look."""
        low, high = self.minimum, max(self.minimum, screen.most_useful_ii(self.instance))
        if self.problem.max_ii is not None:
            high = min(high, self.problem.max_ii)
        pinned = self.instance.pinned_ii
        if pinned is not None:
            self._reject(pinned - 1, "pin", f"the II is pinned to {pinned}")
            return max(low, pinned), min(high, pinned)
        return low, high

    def _climb(self, low: int, high: int) -> int:
        """Try low, then ever larger steps; returns the last II tried."""
        ii, step = low, max(1, low // 64)
        while True:
            self.limits.progress(f"II {ii}: searching")
            self._attempt(ii, final=ii == high)
            if self.known.solution is not None:
                return ii
            if ii == high:
                if self.known.bounds["ii"] > high:
                    self._no_ii(high)
                return ii
            ii, step = min(high, ii + step), 2 * step

    def _descend(self, high: int) -> None:
        """Bisect between the proven bound and the smallest II found; an open question stays open."""
        low, unknown = self.known.bounds["ii"], set[int]()
        while low < high:
            middle = (low + high) // 2
            if not self._attempt(middle, final=False):
                unknown.add(middle)
                low = middle + 1
            elif self._best_ii() <= middle:
                high = middle
            else:
                low = middle + 1

    def _best_ii(self) -> int:
        assert self.known.solution is not None
        return self.known.solution.ii

    def _attempt(self, ii: int, final: bool) -> bool:
        """Decide one II; False where time did not suffice. Keeps the solution, or raises the bound."""
        time_s = None if final else self.limits.remaining_s * _SHARE
        base = self._solve(self._prepared(base_model(self.instance, ii, self._horizon(ii))), time_s)
        if base is None or base[1].refuted:
            self._refuted(ii)
            return True
        hint = base[0].read(base[1]) if base[1].feasible else None
        return self._attempt_groups(ii, hint, time_s)

    def _attempt_groups(self, ii: int, hint: Solution | None, time_s: float | None) -> bool:
        last: tuple[Model, Answer] | None = None
        for count in self._group_counts():
            last = self._solve(self._prepared(self._full(ii, self._horizon(ii), count), hint), time_s)
            if last is not None and last[1].feasible:
                self.known.solution = last[0].read(last[1])
                self.limits.progress(f"II {ii}: schedule found with {count} groups")
                return True
        if last is None or last[1].refuted:
            self._refuted(ii)
            return True
        return False

    def _refuted(self, ii: int) -> None:
        self._reject(ii, _SEARCH, f"infeasible with at most {self.stages} stages")
        self.known.bounds["ii"] = max(self.known.bounds.get("ii", 0), ii + 1)

    def _reject(self, ii: int, method: str, detail: str) -> None:
        if ii >= 1:
            self.known.rejections.append(Rejection(ii, method, detail))

    def _no_ii(self, high: int) -> None:
        limits = {"max_ii": self.problem.max_ii, "pinned II": self.instance.pinned_ii}
        named = ", ".join(f"{name} {value}" for name, value in limits.items() if value is not None)
        scope = f"up to {named}" if named else f"(none up to {high} cycles, beyond which more cycles do not help)"
        families = tuple(f for f in Family if f is not Family.GROUPS and self.instance.holds(f))
        self.known.conflict = Conflict(families, f"no interval is feasible {scope}")

    def _searched(self) -> bool:
        return any(r.method == _SEARCH for r in self.known.rejections)

    # --- levels 2 and 3: length and groups

    def _find_length(self, ii: int) -> None:
        """Length bound from the relaxation; then the full problem there with ever more groups."""
        if self.known.bounds["ii"] < ii:
            raise OutOfTimeError
        least = self._least_length(base_model(self.instance, ii, self._length()), self.known.solution)
        self.known.bounds["length"] = least
        if self._settle_groups(ii, least):
            return
        model = self._full(ii, self._length(), None)
        if model is not None:
            self.known.bounds["length"] = max(least, self._least_length(model, self.known.solution, least + 1))

    def _least_length(self, model: Model | None, hint: Solution | None, least: int = 0) -> int:
        """Proven least length of a model; keeps better solutions of the full problem."""
        if model is None:
            return least
        objective = model.length()
        model.cp.add(objective >= least)
        model.cp.minimize(objective)
        model.hint(hint)
        answer = solve(model.cp, self.limits)
        if answer.feasible and model.groups is not None:
            self._keep(model.read(answer))
        return answer.bound if answer.feasible or not answer.proven else least

    def _settle_groups(self, ii: int, length: int) -> bool:
        """Fewest groups at this II and length; True where some number of groups works."""
        for count in self._group_counts():
            found = self._solve(self._hinted(self._full(ii, length, count)), None)
            if found is None or found[1].refuted:
                self.known.bounds["groups"] = count + 1
            elif found[1].feasible:
                self._keep(found[0].read(found[1]))
                return True
            else:
                raise OutOfTimeError
        self.known.bounds.pop("groups", None)
        return False

    def _find_groups(self) -> None:
        if "groups" not in self.known.bounds:
            self.known.bounds["groups"] = self._group_counts()[0]
            if self._length() > self.known.bounds["length"]:
                raise OutOfTimeError
            self._settle_groups(self._best_ii(), self._length())

    def _group_counts(self) -> range:
        least = len({domain for domain in self.instance.domains if len(domain) == 1}) or 1
        loads = any(domain == (0,) for domain in self.instance.domains) and self.problem.has_load_group
        if loads and any(domain != (0,) for domain in self.instance.domains):
            least = max(least, 2)
        return range(least, self.instance.group_count + 1)

    # --- level 4: crossings

    def _find_crossings(self) -> None:
        solution = self.known.solution
        if solution is None:
            return
        model = self._full(solution.ii, self._length(), len(set(solution.groups)))
        assert model is not None and model.groups is not None
        open_edges, fixed = model.groups.crossings()
        self.known.bounds["crossings"] = fixed
        model.cp.minimize(open_edges)
        model.hint(solution)
        answer = solve(model.cp, self.limits)
        if answer.feasible:
            self._keep(model.read(answer))
        self.known.bounds["crossings"] = max(fixed, fixed + answer.bound)

    # --- models

    def _horizon(self, ii: int) -> int:
        return self.stages * ii + max(self.instance.spans)

    def _length(self) -> int:
        assert self.known.solution is not None
        return self.known.solution.length(self.instance.spans)

    def _full(self, ii: int, length: int, count: int | None) -> Model | None:
        instance = make_instance(self.problem, count)
        return full_model(instance, ii, length)

    def _prepared(self, model: Model | None, hint: Solution | None = None) -> Model | None:
        """With a hint where there is one, else with the rotation symmetry broken where no stage is fixed."""
        if model is not None:
            model.hint(hint)
        return model

    def _hinted(self, model: Model | None) -> Model | None:
        return self._prepared(model, self.known.solution)

    def _solve(self, model: Model | None, time_s: float | None) -> tuple[Model, Answer] | None:
        return None if model is None else (model, solve(model.cp, self.limits, time_s))

    def _keep(self, solution: Solution) -> None:
        self.known.solution = solution
