"""Beam search: in rounds, a few edits of each of the best programs; the best of old and new go on."""

from __future__ import annotations

from collections import deque

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
        self._round: deque[Step] = deque()
        self._under_way = 0
        self._new: list[Scored] = []

    def ask(self) -> Step | None:
        """The next of the round; a round begins when all of the last one is told."""
        if not self._round and not self._under_way:
            self._begin()
        if not self._round:
            return None
        self._under_way += 1
        return self._round.popleft()

    def tell(self, step: Step, result: Scored) -> None:  # noqa: ARG002 - rounds look at results alone
        """Keep what passed for the end of the round."""
        self._under_way -= 1
        if result.verdict.is_ok:
            self._new.append(result)

    def _begin(self) -> None:
        ranked = sorted([*self._beam, *self._new], key=lambda s: -s.reward)
        self._beam, self._new = ranked[: self._size], []
        for scored in self._beam:
            count = min(self._branch, len(self._untried.at(scored)))
            self._round.extend(Step(scored, self._untried.take(scored)) for _ in range(count))
