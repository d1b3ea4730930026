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

    def ask(self) -> Step | None:
        """The next edit of the best program."""
        return Step(self._best, self._untried.take(self._best)) if self._untried.at(self._best) else None

    def tell(self, step: Step, result: Scored) -> None:  # noqa: ARG002 - only the better one counts
        """Move to what is better."""
        if result.verdict.is_ok and result.reward > self._best.reward:
            self._best = result
