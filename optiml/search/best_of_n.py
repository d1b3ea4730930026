"""Best of N: independent walks from the root, each a few random edits long; nothing is learnt between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optiml.edit import Edit
from optiml.search.protocol import Scored, Space, Step

DEPTH = 5
# Walks that end at once, one after another, before the search counts as exhausted.
_MOST_EMPTY = 50


class BestOfN:
    """The strategy of the name `best-of-n`. Walks may meet: a program that is known costs no evaluation."""

    name = "best-of-n"

    def __init__(self, root: Scored, space: Space, seed: int, depth: int = DEPTH) -> None:
        self._root, self._space, self._depth = root, space, depth
        self._random = np.random.default_rng(seed)
        self._walkers: list[Scored] = []
        self._edits: dict[str, Sequence[Edit]] = {}
        self._taken = set[str]()
        self._told = set[str]()

    def ask(self) -> Step | None:
        """Go on with a walk whose last step passed, or begin one."""
        for _ in range(_MOST_EMPTY):
            at = self._walkers.pop(0) if self._walkers else self._root
            edits = self._said(at)
            if edits:
                edit = edits[int(self._random.integers(len(edits)))]
                self._taken.add(edit.result.key)
                return Step(at, edit)
        return None

    def _said(self, at: Scored) -> Sequence[Edit]:
        """All edits of a program so far, further ones among them once walks have taken each of those before."""
        known = self._edits.get(at.key)
        known = self._space.edits(at) if known is None else known
        if at.key not in self._told and all(e.result.key in self._taken for e in known):
            further = self._space.more(at)
            self._told |= set() if further else {at.key}
            known = (*known, *further)
        self._edits[at.key] = known
        return known

    def tell(self, step: Step, result: Scored) -> None:  # noqa: ARG002 - the result knows its path
        """A walk ends at a failure and at its depth."""
        if result.verdict.is_ok and len(result.path) < self._depth:
            self._walkers.append(result)
