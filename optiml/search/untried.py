"""Edits that have not been tried yet, by candidate; no program is offered twice."""

from __future__ import annotations

from optiml.edit import Edit
from optiml.search.protocol import Renewing, Scored, Space

# How often further edits are asked for in a row while all of them lead to known programs.
_MOST_ASKED = 4


class Untried:
    """Asks the space for each candidate once, when its edits are needed first."""

    def __init__(self, root: Scored, space: Space) -> None:
        self._space = space
        self._edits: dict[str, list[Edit]] = {}
        self._offered = {root.key}
        self._told = set[str]()

    def at(self, scored: Scored) -> list[Edit]:
        """What is left of a candidate's edits, in the proposer's order."""
        known = self._edits.get(scored.key)
        known = list(self._space.edits(scored)) if known is None else known
        self._edits[scored.key] = [e for e in known if e.result.key not in self._offered]
        return self._edits[scored.key]

    def renewed(self, scored: Scored) -> list[Edit]:
        """The same, after asking for further ones where none is left; some may lead to programs that were offered."""
        for _ in range(_MOST_ASKED):
            if self.at(scored) or scored.key in self._told or not isinstance(self._space, Renewing):
                break
            self._edits[scored.key] = list(self._space.more(scored))
            self._told |= set() if self._edits[scored.key] else {scored.key}
        return self.at(scored)

    def take(self, scored: Scored, number: int = 0) -> Edit:
        """The number-th of them, which is not offered again. Raises IndexError where there are not so many."""
        edit = self.at(scored)[number]
        self._offered.add(edit.result.key)
        return edit
