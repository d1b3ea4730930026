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
        """A program is drawn first, then one of its edits; one whose edits are all under way is not drawn."""
        left = list(self._open)
        while left:
            scored = left.pop(int(self._random.integers(len(left))))
            count = len(self._untried.renewed(scored))
            if count:
                return self._untried.take(scored, int(self._random.integers(count)))
            if self._untried.is_over(scored):
                self._open = [s for s in self._open if s is not scored]
        return None

    def tell(self, step: Step, result: Scored) -> None:
        """A program that passed is one to go on from."""
        self._untried.told(step)
        if result.verdict.is_ok:
            self._open.append(result)
