"""Integer sequences that repeat with a constant growth: which completion the i-th execution concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

# Executions after which a sequence must repeat: the copies of a few stages, in a loop that was unrolled.
LONGEST = 16
# Long before the first completion.
_ALWAYS_OVER = -(1 << 40)


@dataclass(frozen=True)
class Pattern:
    """Term i is offset + order[i % len(order)] + jump * (i // len(order)); order[0] is 0."""

    offset: int
    order: tuple[int, ...] = (0,)
    jump: int = 1

    def at(self, i: int) -> int:
        """Term i.

        >>> [Pattern(5, (0, 0, 1), 2).at(i) for i in range(6)]
        [5, 5, 6, 7, 7, 8]
        """
        turns, place = divmod(i, len(self.order))
        return self.offset + self.order[place] + self.jump * turns


def fit(known: Mapping[int, int], bounds: Mapping[int, int]) -> Pattern | None:
    """The shortest pattern with these terms, whose terms at `bounds` are not greater; None where there is none.

    One term alone is taken for the first of 0, 1, 2...; a longer order than (0,) must be seen to repeat.

    >>> fit({3: 0, 4: 1, 5: 2}, {0: -1, 1: -1, 2: -1})
    Pattern(offset=-3, order=(0,), jump=1)
    >>> fit({0: 0, 1: 0, 2: 1, 3: 1}, {})
    Pattern(offset=0, order=(0, 0), jump=1)
    >>> fit({0: 0, 1: 0, 2: 1}, {}) is None
    True
    """
    if not known:
        return Pattern(_ALWAYS_OVER, jump=0)
    for length in range(1, LONGEST + 1):
        pattern = _of_length(known, length)
        if pattern is None or any(pattern.at(i) != number for i, number in known.items()):
            continue
        if all(pattern.at(i) <= most for i, most in bounds.items()):
            return pattern
    return None


def _of_length(known: Mapping[int, int], length: int) -> Pattern | None:
    """The only pattern with an order of this length that there can be."""
    places: dict[int, list[int]] = defaultdict(list)
    for i in sorted(known):
        places[i % length].append(i)
    if len(places) < length or (length > 1 and any(len(found) < 2 for found in places.values())):
        return None
    jump = _jump(known, places, length)
    if jump is None:
        return None
    start = [known[places[r][0]] - jump * (places[r][0] // length) for r in range(length)]
    return Pattern(start[0], tuple(s - start[0] for s in start), jump)


def _jump(known: Mapping[int, int], places: Mapping[int, list[int]], length: int) -> int | None:
    first, *others = places[0]
    if not others:
        return 1
    growth, rest = divmod(known[others[0]] - known[first], (others[0] - first) // length)
    return None if rest else growth
