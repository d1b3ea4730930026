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

    saved_cycles: what it did not pass in so many cycles, it may pass later, faster than its rate; none at the start.

    >>> link = Flow(32.0)
    >>> link.take(0, 10, 640), link.take(0, 10, 640), link.finish(0, 64)
    (10, 20, 42)
    >>> bucket = Flow(32.0, saved_cycles=15)
    >>> bucket.take(100, 100, 640), bucket.take(100, 100, 640), bucket.finish(100, 640)
    (100, 105, 145)
    """

    __slots__ = ("_free", "_inverse", "_saved")

    def __init__(self, rate: float, saved_cycles: float = 0.0) -> None:
        self._inverse = 1.0 / rate
        self._free = 0.0
        self._saved = saved_cycles

    def take(self, now: int, at: int, amount: float) -> int:
        """When an amount that arrives at `at` is served: later than that if there is a queue before it."""
        oldest = now - self._saved
        start = self._free if self._free > oldest else oldest
        self._free = start + amount * self._inverse
        return at if start <= at else ceil(start)

    def finish(self, now: int, amount: float) -> int:
        """When an amount that is there now has passed, with all that came before it."""
        self.take(now, now, amount)
        return max(ceil(self._free), now)


class Share:
    """What one SM sees of a unit that all SMs share: the way there, and the SM's share of the unit's rate.

    SMs drift apart, so that while one of them computes, another may use more than its share: over a window only the
    average is bound by it. At the start, all ask at once.

    >>> l2 = Share(Flow(64.0), Flow(16.0, saved_cycles=100))
    >>> [l2.take(200, 200, 1280) for _ in range(3)]
    [200, 220, 260]
    """

    __slots__ = ("_port", "_share")

    def __init__(self, port: Flow, share: Flow) -> None:
        self._port = port
        self._share = share

    def take(self, now: int, at: int, amount: float) -> int:
        """As `Flow.take`, by whichever of the two is later."""
        port, share = self._port.take(now, at, amount), self._share.take(now, at, amount)
        return port if port > share else share

    def finish(self, now: int, amount: float) -> int:
        """As `Flow.finish`."""
        return max(self._port.finish(now, amount), self._share.finish(now, amount))
