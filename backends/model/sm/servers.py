"""Units that serve one request after the other: reserved when the request is made, so that nothing is polled."""

from __future__ import annotations


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
    >>> link.take(0, 10, 128), link.take(0, 10, 640), link.amount
    (10, 24, 768.0)
    """

    __slots__ = ("amount", "free", "inverse")

    def __init__(self, rate: float) -> None:
        self.inverse = 1.0 / rate
        self.free = 0.0
        self.amount = 0.0

    def take(self, now: int, at: int, amount: float) -> int:
        """The cycle in which the amount has passed that arrives at `at`."""
        self.amount += amount
        self.free = (self.free if self.free > now else now) + amount * self.inverse
        return at if self.free <= at else -int(-self.free // 1)
