"""What a kernel took on a real GPU: a value, as every other answer of a device is."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Times of a kernel on a GPU, in microseconds, each from its start event to its stop event; the L2 was cold.

    empty_us: the same for a kernel that does nothing, in the median. clock_mhz: of the SMs, right after the launches.

    >>> Measured("GPU", (4.0, 5.0, 4.5), 2.0, 1980.0).median_us
    4.5
    """

    gpu: str
    times_us: tuple[float, ...]
    empty_us: float
    clock_mhz: float

    @property
    def median_us(self) -> float:
        """Half of the launches took longer."""
        return statistics.median(self.times_us)

    @property
    def spread(self) -> float:
        """From the tenth to the ninetieth percentile, over the median.

        >>> round(Measured("GPU", tuple(range(1, 102)), 2.0, 1980.0).spread, 3)
        1.569
        """
        low, *_, high = statistics.quantiles(self.times_us, n=10, method="inclusive")
        return (high - low) / self.median_us
