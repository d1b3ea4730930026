"""Beam search: in rounds, a few edits of each of the best programs; the best of those that have any left go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from optiml.search.protocol import Scored, Space, Step
from optiml.search.untried import Untried

BEAM, BRANCH = 3, 4


class Beam:
    """The strategy of the name `beam`; `branch` edits of each of `beam` programs make a round."""

    name = "beam"

    def __init__(self, root: Scored, space: Space, seed: int, beam: int = BEAM, branch: int = BRANCH) -> None:  # noqa: ARG002
        self._untried = Untried(root, space)
        self._size, self._branch = beam, branch
        self._beam = [root]
        self._round: deque[Scored] = deque()
        self._under_way = 0
        self._new: list[Scored] = []

    def ask(self) -> Step | None:
        """The next of the round; a round begins when all of the last one is told."""
        while self._beam:
            if not self._round and not self._under_way:
                self._begin()
            for scored in self._taken():
                if self._untried.renewed(scored):
                    self._under_way += 1
                    return self._untried.take(scored)
            if self._under_way:
                break
        return None

    def tell(self, step: Step, result: Scored) -> None:
        """Keep what passed for the end of the round."""
        self._untried.told(step)
        self._under_way -= 1
        if result.verdict.is_ok:
            self._new.append(result)

    def _taken(self) -> Iterator[Scored]:
        while self._round:
            yield self._round.popleft()

    def _begin(self) -> None:
        left = (s for s in (*self._beam, *self._new) if not self._untried.is_over(s))
        ranked = sorted(left, key=lambda s: -s.reward)
        self._beam, self._new = ranked[: self._size], []
        self._round.extend(scored for scored in self._beam for _ in range(self._branch))
