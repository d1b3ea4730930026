"""Rings of mbarriers: objects that the same instructions take in turn, and the numbers of their completions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.model.asynchronous.observed import WAIT, Act, Object, Observed

_Phase = tuple[Object, int]


@dataclass(frozen=True)
class Ring:
    """Barriers in a ring, or one alone.

    numbers: phase of an object -> which completion of the ring it is, in the order in which they took place; phases
    that did not complete follow in the order in which they were first touched. times: when each took place.
    """

    name: str
    words: frozenset[int]
    acts: tuple[Act, ...]
    numbers: Mapping[_Phase, int]
    times: tuple[int, ...]

    def number(self, act: Act) -> int | None:
        """The completion that an act concerns; None for the phase before an object's first, which is always over."""
        return self.numbers.get((act.object, act.phase))

    def before(self, act: Act) -> int:
        """How many completions took place before an act."""
        return sum(time < act.time for time in self.times)

    def arrivals(self) -> frozenset[int]:
        """How many executions by warps arrived for a completion; more than one number where that differed."""
        counts = [0] * len(self.times)
        for act in self.acts:
            number = self.number(act)
            if act.kind != WAIT and number is not None and number < len(counts):
                counts[number] += 1
        return frozenset(counts)


def rings(observed: Observed) -> tuple[Ring, ...]:
    """The rings of a CTA: all barriers that instructions of one line of PTX touch are in one ring."""
    by_line: dict[int | None, set[int]] = defaultdict(set)
    for act in observed.acts:
        by_line[observed.line(act.site)].add(act.object[0])
    return tuple(_ring(words, observed) for words in _united(by_line.values()))


def _united(sets: Iterable[set[int]]) -> list[frozenset[int]]:
    """Sets that share an element become one.

    >>> sorted(map(sorted, _united([{1, 2}, {3}, {2, 4}])))
    [[1, 2, 4], [3]]
    """
    found: list[set[int]] = []
    for one in sets:
        apart = [s for s in found if s.isdisjoint(one)]
        found = [*apart, one.union(*(s for s in found if not s.isdisjoint(one)))]
    return [frozenset(s) for s in found]


def _ring(words: frozenset[int], observed: Observed) -> Ring:
    acts = tuple(act for act in observed.acts if act.object[0] in words)
    done = [c for c in observed.completed if c.object[0] in words]
    order = [(c.object, c.phase) for c in done] + [(a.object, a.phase) for a in acts if a.phase >= 0]
    numbers = {phase: number for number, phase in enumerate(dict.fromkeys(order))}
    name = f"mbarrier {8 * min(words):#x}" + (f" and {len(words) - 1} more" if len(words) > 1 else "")
    return Ring(name, words, acts, numbers, tuple(c.time for c in done))


def sites_by_kind(acts: Sequence[Act]) -> dict[str, tuple[int, ...]]:
    """The instructions that wait, arrive, copy and commit."""
    found: dict[str, set[int]] = defaultdict(set)
    for act in acts:
        found[act.kind].add(act.site)
    return {kind: tuple(sorted(sites)) for kind, sites in found.items()}
