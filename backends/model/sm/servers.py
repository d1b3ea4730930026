"""Units that serve one request after the other: reserved when the request is made, so that nothing is polled."""

from __future__ import annotations

from math import ceil


class Calendar:
    """A unit that holds each request for whole cycles, the first free ones from when the request reaches it.

    >>> unit = Calendar()
    >>> unit.take(0, 12, 2), unit.take(0, 12, 2), unit.take(1, 12, 1), unit.take(1, 9, 4)
    (12, 14, 16, 17)
    """

    __slots__ = ("_busy", "_start")

    def __init__(self) -> None:
        self._start = 0
        self._busy = 0

    def take(self, now: int, at: int, hold: int) -> int:
        """Reserve `hold` cycles in a row, none before `at`; the first of them. `now` never goes back."""
        if now > self._start:
            self._busy >>= now - self._start
            self._start = now
        taken = self._busy >> (at - now)
        reach = 1
        while 2 * reach <= hold:
            taken |= taken >> reach
            reach *= 2
        taken |= taken >> (hold - reach)
        # The lowest clear bit is the first place where `hold` cycles are free.
        place = at - now + (~taken & (taken + 1)).bit_length() - 1
        self._busy |= ((1 << hold) - 1) << place
        return now + place


class Flow:
    """A unit that passes amounts at a rate; its work never waits for a request that is still on its way.

    >>> link = Flow(32.0)
    >>> link.take(0, 10, 640), link.take(0, 10, 640), link.finish(0, 64)
    (10, 20, 42)
    """

    __slots__ = ("_free", "_inverse")

    def __init__(self, rate: float) -> None:
        self._inverse = 1.0 / rate
        self._free = 0.0

    def take(self, now: int, at: int, amount: float) -> int:
        """When an amount that arrives at `at` is served: later than that if there is a queue before it."""
        start = self._free if self._free > now else now
        self._free = start + amount * self._inverse
        return at if start <= at else ceil(start)

    def finish(self, now: int, amount: float) -> int:
        """When an amount that is there now has passed, with all that came before it."""
        self.take(now, now, amount)
        return ceil(self._free)
