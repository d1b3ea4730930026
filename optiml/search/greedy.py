"""Greedy search: edits of the best program in the proposer's order; whatever is better takes its place at once."""

from __future__ import annotations

from optiml.search.protocol import Scored, Space, Step
from optiml.search.untried import Untried


class Greedy:
    """The strategy of the name `greedy`. It ends in a local optimum: where no edit of the best is better."""

    name = "greedy"

    def __init__(self, root: Scored, space: Space, seed: int) -> None:  # noqa: ARG002 - it draws nothing
        self._untried = Untried(root, space)
        self._best = root
        self._under_way = 0

    def ask(self) -> Step | None:
        """The next edit of the best program; further ones are asked for once it is known what came of the others."""
        left = self._untried.at(self._best) or (not self._under_way and self._untried.renewed(self._best))
        if not left:
            return None
        self._under_way += 1
        return self._untried.take(self._best)

    def tell(self, step: Step, result: Scored) -> None:
        """Move to what is better."""
        self._untried.told(step)
        self._under_way -= 1
        if result.verdict.is_ok and result.reward > self._best.reward:
            self._best = result
