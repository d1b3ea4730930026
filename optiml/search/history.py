"""What was tried: for a program, what came of the edits on its path, and of others of the programs on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from optiml.propose.protocol import Attempt
from optiml.search.protocol import Scored, Step

# Attempts beside the path that a proposer is told of, the latest of each program.
_BESIDE = 6


class History:
    """Filled by steps in the order of their results; the root is the parent of the first."""

    def __init__(self, root: Scored) -> None:
        self._root = root
        self._came_from: dict[str, tuple[Step, Scored]] = {}
        self._tried: dict[str, list[tuple[Step, Scored]]] = defaultdict(list)

    def note(self, step: Step, result: Scored) -> None:
        """A step with what came of it."""
        self._tried[step.parent.key].append((step, result))
        if result.key != self._root.key:
            self._came_from.setdefault(result.key, (step, result))

    def of(self, key: str) -> tuple[Attempt, ...]:
        """In the order of the path; at each program first what was tried beside it."""
        path = list(self._path(key))
        on_it = {id(result) for _, result in path}
        programs = [*(step.parent.key for step, _ in path), key]
        found: list[Attempt] = []
        for at in programs:
            beside = [t for t in self._tried[at] if id(t[1]) not in on_it][-_BESIDE:]
            along = [t for t in path if t[0].parent.key == at]
            found += [self._attempt(*t, is_on_path=False) for t in beside]
            found += [self._attempt(*t, is_on_path=True) for t in along]
        return tuple(found)

    def _path(self, key: str) -> Iterator[tuple[Step, Scored]]:
        """Root first. A program that was found again on its own path ends it."""
        found: list[tuple[Step, Scored]] = []
        seen = set[str]()
        while key in self._came_from and key not in seen:
            seen.add(key)
            found.append(self._came_from[key])
            key = self._came_from[key][0].parent.key
        return reversed(found)

    def _attempt(self, step: Step, result: Scored, is_on_path: bool) -> Attempt:
        verdict, root_us = result.verdict, self._root.verdict.time_us
        return Attempt(
            tag=step.edit.tag,
            is_on_path=is_on_path,
            status=str(verdict.status),
            reward=result.reward,
            speedup=root_us / verdict.time_us if root_us and verdict.time_us else None,
            limiter=verdict.metrics.limiter if verdict.metrics else "",
            evidence=verdict.evidence,
        )
