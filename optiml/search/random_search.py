"""Random search: any edit of any program that passed, all equally likely. The yardstick of the others."""

from __future__ import annotations

import numpy as np

from optiml.search.protocol import Scored, Space, Step
from optiml.search.untried import Untried


class RandomSearch:
    """The strategy of the name `random`."""

    name = "random"

    def __init__(self, root: Scored, space: Space, seed: int) -> None:
        self._untried = Untried(root, space)
        self._random = np.random.default_rng(seed)
        self._open = [root]

    def ask(self) -> Step | None:
        """A program is drawn first, then one of its edits."""
        while self._open:
            place = int(self._random.integers(len(self._open)))
            scored = self._open[place]
            count = len(self._untried.at(scored))
            if count:
                return Step(scored, self._untried.take(scored, int(self._random.integers(count))))
            del self._open[place]
        return None

    def tell(self, step: Step, result: Scored) -> None:  # noqa: ARG002 - what passed is what counts
        """A program that passed is one to go on from."""
        if result.verdict.is_ok:
            self._open.append(result)
