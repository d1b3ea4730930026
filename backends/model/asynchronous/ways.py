"""Which way warps go after each block: to tell what first turns of a loop leave out from what last turns do."""

from __future__ import annotations

from itertools import groupby


class Ways:
    """The blocks that each warp went to from each block, in order."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._taken: dict[tuple[int, int], list[int]] = {}

    def go(self, warp: int, block: int) -> None:
        """A warp begins a block."""
        before = self._at.get(warp)
        if before is not None:
            self._taken.setdefault((warp, before), []).append(block)
        self._at[warp] = block

    def late(self) -> frozenset[int]:
        """Blocks that a warp passed by at first, and went to from then on, more often than it had passed them by.

        >>> ways = Ways()
        >>> for block in (1, 3, 1, 2, 3, 1, 2, 3, 4):
        ...     ways.go(0, block)
        >>> ways.late()
        frozenset({2})
        """
        found = set()
        for onward in self._taken.values():
            runs = [(block, len(list(same))) for block, same in groupby(onward)]
            if len(runs) == 2 and runs[0][1] < runs[1][1]:
                found.add(runs[1][0])
        return frozenset(found)
