"""Edits that have not been tried yet, by candidate; no program is offered twice."""

from __future__ import annotations

from optiml.edit import Edit
from optiml.search.protocol import Scored, Space


class Untried:
    """Asks the space for each candidate once, when its edits are needed first."""

    def __init__(self, root: Scored, space: Space) -> None:
        self._space = space
        self._edits: dict[str, list[Edit]] = {}
        self._offered = {root.key}

    def at(self, scored: Scored) -> list[Edit]:
        """What is left of a candidate's edits, in the proposer's order."""
        known = self._edits.get(scored.key)
        known = list(self._space.edits(scored)) if known is None else known
        self._edits[scored.key] = [e for e in known if e.result.key not in self._offered]
        return self._edits[scored.key]

    def take(self, scored: Scored, number: int = 0) -> Edit:
        """The number-th of them, which is not offered again. Raises IndexError where there are not so many."""
        edit = self.at(scored)[number]
        self._offered.add(edit.result.key)
        return edit
