"""Edits that have not been tried yet, by candidate; no program is offered twice, and further ones are asked for."""

from __future__ import annotations

from collections import Counter

from optiml.edit import Edit
from optiml.search.protocol import Scored, Space, Step

# How often further edits are asked for in a row while all of them lead to known programs; then there are none.
_MOST_ASKED = 4


class Untried:
    """Asks the space for a candidate when its edits are needed first, and again once all of them are tried."""

    def __init__(self, root: Scored, space: Space) -> None:
        self._space = space
        self._edits: dict[str, list[Edit]] = {}
        self._offered = {root.key}
        self._told = set[str]()
        self._under_way = Counter[str]()

    def at(self, scored: Scored) -> list[Edit]:
        """What is left of a candidate's edits, in the proposer's order."""
        known = self._edits.get(scored.key)
        known = list(self._space.edits(scored)) if known is None else known
        self._edits[scored.key] = [e for e in known if e.result.key not in self._offered]
        return self._edits[scored.key]

    def renewed(self, scored: Scored) -> list[Edit]:
        """The same, after asking for further ones where none is left.

        Who proposes may learn from what came of the others: none is asked for while one of them is under way.
        """
        key = scored.key
        if self.at(scored) or key in self._told or self._under_way[key]:
            return self.at(scored)
        for _ in range(_MOST_ASKED):
            said = self._edits[key] = list(self._space.more(scored))
            if self.at(scored) or not said:
                break
        self._told |= set() if self.at(scored) else {key}
        return self.at(scored)

    def is_over(self, scored: Scored) -> bool:
        """Whether a candidate has no edit left and will have none."""
        return scored.key in self._told and not self.at(scored)

    def take(self, scored: Scored, number: int = 0) -> Step:
        """The number-th of them, which is not offered again. Raises IndexError where there are not so many."""
        edit = self.at(scored)[number]
        self._offered.add(edit.result.key)
        self._under_way[scored.key] += 1
        return Step(scored, edit)

    def told(self, step: Step) -> None:
        """A step is no longer under way."""
        self._under_way[step.parent.key] -= 1
