"""Lexicographic search over II, length, groups and crossings, each level with its proof; optimal unless time runs out.

Feasible at II means feasible at II + 1 (every schedule stretches), so II is bisected; so is the length. A question
that stays open in its time slice is passed over and asked again with a larger one: search times are heavy-tailed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from ir.schedule import Conflict, Rejection
from twill.problem.problem import Family, Problem
from twill.solve import joint_screen as screen
from twill.solve.joint_contract import cores, first_open
from twill.solve.joint_model import Solution
from twill.solve.joint_question import Questions, Scope
from twill.solve.joint_refute import NAME as SMT
from twill.solve.joint_refute import ask as ask_smt
from twill.solve.joint_relax import Floor, climb, floor_of
from twill.solve.joint_run import OutOfTimeError
from twill.solve.joint_serial import serial
from twill.solve.protocol import Limits
from twill.solve.smt_query import Cut, Question, Verdict
from twill.solve.smt_record import Assignment

SEARCH = "CP-SAT"
_FOR_ANY_STAGES = "unsatisfiable in difference logic, for any number of stages"
_FIRST_LOOK = 0.1  # deterministic time of the first look at one question; doubled from round to round
_ROUNDS = 3  # looks at one II before another is tried
_QUICK_EFFORT = 2_000_000  # z3's resource units for the other refuter, early in a question: about a second
_EFFORT = 16_000_000  # the same, once CP-SAT has had its rounds
_MORE_EFFORT = 4  # times as many from one bisection of the II to the next
_LARGE = 48  # ops from which on a model of the registers is slow
_SEQUENTIAL_LOOK = 0.5  # for a schedule to fall back on
_FEW_MORE = 3  # groups beyond the least number that it may have
_LAST_LOOK = 10.0  # deterministic time for the canonical schedule


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
        self.ask = Questions(problem, limits)
        self.instance = self.ask.instance
        self.known = Findings()
        self.bounds = screen.bounds_of(problem)
        self.minimum = max([1, *(b.ii_cycles for b in self.bounds)])
        self.chain = screen.chain_cycles(self.instance)
        self.stages = self.instance.max_stages or -(-self.chain // self.minimum) + 2
        self.most_groups = self.instance.group_count
        self.few_groups = self._least_groups()
        self.other_first = False
        self.cuts: tuple[Cut, ...] = ()
        self.effort = _EFFORT
        self.floor: Floor | None = None
        self.climbed = False
        self.sequential_asked = False
        self.large, self.loosely = self.instance.size > _LARGE and self.instance.has_registers, False
        self.most_ii = screen.most_useful_ii(self.instance)

    def _least_groups(self) -> int:
        """Groups that the domains alone make necessary."""
        domains = set(self.instance.domains)
        # A pinned op of group 0 leaves the group open to others; loads do not.
        apart = (0,) in domains and any(0 not in domain for domain in domains)
        return min(self.most_groups, max(len({d for d in domains if len(d) == 1}), 1 + apart))

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
        levels = (
            ("ii", self._find_ii),
            ("length", self._find_length),
            ("groups", self._find_groups),
            ("crossings", self._find_crossings),
        )
        for name, find in levels:
            with self._timed(name):
                find()
            if known.solution is None or known.bounds[name] < self._values()[name]:
                return
        with self._timed("canonical"):
            self._settle()

    @contextmanager
    def _timed(self, level: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.known.seconds[level] = time.perf_counter() - started

    def _values(self) -> dict[str, int]:
        solution = self._best
        crossing = sum(solution.groups[e.source] != solution.groups[e.target] for e in self.instance.edges)
        length = solution.length(self.instance.spans)
        return {"ii": solution.ii, "length": length, "groups": len(set(solution.groups)), "crossings": crossing}

    @property
    def _best(self) -> Solution:
        assert self.known.solution is not None
        return self.known.solution

    # --- level 1: II

    def _find_ii(self) -> None:
        low, high = self._range()
        self.known.bounds["ii"] = low
        if low <= high:
            open_from = screen.first_open_ii(self.instance, low, high, self.stages)
            if open_from > low:
                self._reject(open_from - 1, "bound", "recurrences with hand-offs, or storage on average, exceed it")
            low = self.known.bounds["ii"] = open_from
        low = self._raise_by_cores(low, high)
        if low > high:
            self._no_ii(high)
            return
        self._climb(low, high)
        if self.known.solution is not None:
            self._descend()
        searched = [r for r in self.known.rejections if r.method in (SEARCH, SMT)]
        self.known.methods["ii"] = max(searched, key=lambda r: r.ii_cycles).method if searched else "bound"

    def _raise_by_cores(self, low: int, high: int) -> int:
        """The bound on II that nearly full units and tight memories set together."""
        for core in cores(self.instance, low) if low <= high else ():
            low = first_open(self.instance, core, low, high, self.stages, self.limits)
            if low > self.known.bounds["ii"]:
                self._refute(low - 1, SEARCH, f"{core} alone: infeasible with at most {self.stages} stages")
        return low

    def _range(self) -> tuple[int, int]:
        """First and last II worth a look."""
        low, high = self.minimum, max(self.minimum, self.most_ii)
        pinned = self.instance.pinned_ii
        if pinned is not None:
            self._reject(pinned - 1, "pin", f"the II is pinned to {pinned}")
            low, high = max(low, pinned), pinned
        self.most_ii = high if self.problem.max_ii is None else min(high, self.problem.max_ii)
        return low, self.most_ii

    def _climb(self, low: int, high: int) -> None:
        """Try `low`, then ever larger steps, until there is a schedule.

        The first question about many ops may take all the time: there, a schedule to fall back on comes first.
        """
        if self.large and self._find_sequential():
            self._attempt(low, _FIRST_LOOK, 1)
        ii, step = low, max(1, low // 64)
        while self.known.solution is None:
            self.limits.progress(f"II {ii}: searching")
            self._attempt(ii, _FIRST_LOOK, _ROUNDS if ii < high else None)
            if self.known.bounds["ii"] > high:
                self._no_ii(high)
                return
            raised = self.known.bounds["ii"]
            ii, step = min(high, raised if raised > ii + 1 else ii + step), 2 * step

    def _descend(self) -> None:
        """Bisect between the proven bound and the smallest II found; what stays open is asked again, longer."""
        look = _FIRST_LOOK
        while self.known.bounds["ii"] < self._best.ii:
            low = self.known.bounds["ii"]
            while low < self._best.ii:
                middle = (low + self._best.ii) // 2
                self._attempt(middle, look, _ROUNDS)
                low = max(self.known.bounds["ii"], low if self._best.ii <= middle else middle + 1)
            look *= 2**_ROUNDS
            self.effort *= _MORE_EFFORT

    def _attempt(self, ii: int, look: float, rounds: int | None) -> None:
        """Find a schedule at `ii` or refute it, in looks that double; no limit on their number where `rounds` is None.

        What is to be refuted is every schedule up to the cap; what is looked for are short ones with few groups.
        """
        whole = Scope(self.horizon(ii), self.most_groups)
        finds, fits = self._scopes(ii, whole), False
        asked = self.other_first
        if asked and self._settled_otherwise(ii, _QUICK_EFFORT):
            return
        if self._found_loosely(ii, look):
            return
        for round_ in count() if rounds is None else range(rounds):
            verdict = self.ask.decide(ii, whole, finds, look * 2**round_, relaxed_fits=fits or self._fits(ii))
            if verdict.solution is not None:
                self.known.solution = verdict.solution
                self.limits.progress(f"II {ii}: schedule found")
                return
            if verdict.refuted:
                self._refute(ii)
                return
            finds = [scope for scope in finds if scope not in verdict.fruitless]
            fits = verdict.relaxed_fits
            to_bisect = self._find_sequential()
            if self._narrowed(ii) or self._below_floor(ii) or to_bisect:
                return
            if round_ == _ROUNDS - 1 and self._settled_otherwise(ii, self.effort):
                return
            early = round_ == 0 and not asked and not self._fits(ii)
            if early and self._settled_otherwise(ii, _QUICK_EFFORT):
                return

    def _find_sequential(self) -> bool:
        """A schedule to fall back on, where the first question stays open: iterations that hardly overlap; asked once.

        At an II as large as one chain little is live at once, and a few groups do.
        """
        if self.known.solution is not None or self.sequential_asked:
            return False
        self.sequential_asked = True
        self.known.solution = serial(self.instance, self.most_ii)
        self.loosely = self.large
        ii = min(self.most_ii, max(self.known.bounds["ii"], self.chain))
        if self.known.solution is None or ii < self._best.ii:
            self.known.solution = self._found_in_few_groups(ii) or self.known.solution
        return self.known.solution is not None

    def _found_in_few_groups(self, ii: int) -> Solution | None:
        counts = range(self.few_groups, min(self.most_groups, self.few_groups + _FEW_MORE) + 1)
        finds, whole = [Scope(ii, count) for count in counts], Scope(self.horizon(ii), self.most_groups)
        found = None
        if not self.large:
            found = self.ask.decide(ii, whole, finds, _SEQUENTIAL_LOOK, relaxed_fits=True).solution
        if found is None:
            found = self.ask.find_loosely(ii, finds, _SEQUENTIAL_LOOK)
            self.loosely = self.large or found is not None
        return found

    def _found_loosely(self, ii: int, look: float) -> bool:
        """Whether a schedule comes up without a model of registers, where one has before."""
        if not self.loosely:
            return False
        least = self.ask.shortest_chain(ii)
        lengths = (least + ii // 2, least + 2 * ii, self.horizon(ii))
        solution = self.ask.find_loosely(ii, [Scope(length, self.few_groups + 1) for length in lengths], look)
        self.known.solution = solution or self.known.solution
        return solution is not None

    def _narrowed(self, ii: int) -> bool:
        """Whether z3 decides `ii` while it raises the bound; asked once, when CP-SAT has left a question open."""
        if self.large or self.climbed:
            return False
        self.climbed = True
        high = self.most_ii if self.known.solution is None else self._best.ii - 1
        floor = climb(self.problem, self.known.bounds["ii"], high, self.limits)
        if floor.refuted:
            self._refute(floor.refuted, SMT, _FOR_ANY_STAGES)
        self.cuts = floor.cuts
        if floor.found is not None:
            self._take(floor.found)
        return ii <= floor.refuted or floor.found is not None

    def _below_floor(self, ii: int) -> bool:
        """Whether the relaxation without groups rules `ii` out; asked once, when CP-SAT has left a question open."""
        if self.floor is None:
            low = self.known.bounds["ii"]
            high = self.most_ii if self.known.solution is None else self._best.ii - 1
            self.floor = floor_of(self.problem, low, high, self.limits)
            if self.floor.refuted >= low:
                self._refute(self.floor.refuted, SMT, "unsatisfiable without groups, for any number of stages")
        return ii <= self.floor.refuted

    def _fits(self, ii: int) -> bool:
        """Whether the relaxation without groups is known to have a schedule."""
        return self.floor is not None and self.floor.fits is not None and ii >= self.floor.fits

    def _scopes(self, ii: int, everything: Scope) -> list[Scope]:
        """Where to look for a schedule, most promising first; `everything` comes last."""
        least = self.ask.shortest_chain(ii)
        lengths = [least + ii * halves // 2 for halves in (1, 2, 4)]
        counts = [c for c in (self.few_groups, self.few_groups + 1) if c < self.most_groups]
        scopes = [Scope(length, count) for length in lengths for count in counts if length < everything.length]
        return [*scopes, everything]

    def _settled_otherwise(self, ii: int, effort: int) -> bool:
        """Ask the other solver what CP-SAT leaves open; once it has settled an II, it is asked first."""
        answer = self._ask_otherwise(Question(ii), effort)
        if answer is Verdict.UNKNOWN:
            return False
        self.other_first = True
        if answer is Verdict.REFUTED:
            self._refute(ii, SMT, _FOR_ANY_STAGES)
        return True

    def _ask_otherwise(self, question: Question, effort: int) -> Verdict | None:
        """The other solver's verdict; None where it has found a schedule, which is taken."""
        answer = ask_smt(self.problem, question, effort, self.limits, self.cuts)
        if isinstance(answer, Verdict):
            return answer
        self._take(answer)
        return None

    def _take(self, found: Assignment) -> None:
        self.known.solution = Solution(found.ii, found.times, found.groups)
        self.limits.progress(f"II {found.ii}: schedule found by {SMT}, length {found.length}")

    def _refute(self, ii: int, method: str = SEARCH, detail: str = "") -> None:
        self._reject(ii, method, detail or f"infeasible with at most {self.stages} stages")
        self.known.bounds["ii"] = max(self.known.bounds["ii"], ii + 1)

    def _reject(self, ii: int, method: str, detail: str) -> None:
        if ii >= 1:
            self.known.rejections.append(Rejection(ii, method, detail))

    def _no_ii(self, high: int) -> None:
        limits = {"max_ii": self.problem.max_ii, "pinned II": self.instance.pinned_ii}
        named = ", ".join(f"{name} {value}" for name, value in limits.items() if value is not None)
        scope = f"up to {named}" if named else f"(none up to {high} cycles, beyond which more cycles do not help)"
        families = tuple(f for f in Family if f is not Family.GROUPS and self.instance.holds(f))
        self.known.conflict = Conflict(families, f"no interval is feasible {scope}")

    # --- levels 2 to 4

    def _find_length(self) -> None:
        """Bisect between the longest path and the best length."""
        ii, look = self._best.ii, 4 * _FIRST_LOOK
        low = self.known.bounds["length"] = self.ask.shortest_chain(ii)
        few = self._values()["groups"]
        while low < (high := self._values()["length"]):
            target = (low + high) // 2
            whole, simple = Scope(target, self.most_groups), Scope(target, few)
            verdict = self.ask.decide(ii, whole, [simple, whole] if simple != whole else [whole], look, self._best)
            if verdict.solution is not None:
                self.known.solution = verdict.solution
            elif verdict.refuted:
                low = self._raise_length(target, SEARCH)
            elif (said := self._ask_otherwise(Question(ii, length=target), _EFFORT)) is Verdict.REFUTED:
                low = self._raise_length(target, SMT)
            elif said is Verdict.UNKNOWN:
                look *= 2

    def _raise_length(self, refuted_length: int, method: str) -> int:
        self.known.methods["length"] = method
        self.known.bounds["length"] = refuted_length + 1
        return refuted_length + 1

    def _find_groups(self) -> None:
        """Fewest groups at this II and length, from the least number up."""
        self.known.bounds["groups"] = self.few_groups
        length = self._values()["length"]
        for groups in range(self.few_groups, self._values()["groups"]):
            scope = Scope(length, groups)
            verdict = self.ask.decide(self._best.ii, scope, [scope], None)
            if verdict.solution is not None:
                self.known.solution = verdict.solution
            if not verdict.refuted:
                return
            self.known.bounds["groups"] = groups + 1

    def _find_crossings(self) -> None:
        self.known.bounds["crossings"] = 0
        verdict = self.ask.crossings(self._best, self._scope(), None)
        if verdict.solution is not None:
            self.known.solution = verdict.solution
        self.known.bounds["crossings"] = min(verdict.bound, self._values()["crossings"])

    def _settle(self) -> None:
        """All values are proven; take the schedule that does not depend on which thread was first."""
        verdict = self.ask.canonical(self._best.ii, self._scope(), self._values()["crossings"], _LAST_LOOK)
        self.known.solution = verdict.solution or self.known.solution

    def _scope(self) -> Scope:
        values = self._values()
        return Scope(values["length"], values["groups"])

    def horizon(self, ii: int) -> int:
        """The end of the latest op that the cap on stages allows."""
        return self.stages * ii + max(self.instance.spans)
