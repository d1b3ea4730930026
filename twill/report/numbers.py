"""Numbers as people read them: times and counts with three digits and their unit."""

from __future__ import annotations

_US_PER = ((1e6, "s"), (1e3, "ms"), (1.0, "us"))
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def time_text(time_us: float) -> str:
    """A time in its unit.

    >>> time_text(8264.0), time_text(46.01), time_text(0.5)
    ('8.26 ms', '46 us', '0.5 us')
    """
    scale, unit = next((pair for pair in _US_PER if time_us >= pair[0]), _US_PER[-1])
    return f"{time_us / scale:.3g} {unit}"


def count_text(value: float) -> str:
    """A count with its power of a thousand.

    >>> count_text(16.0), count_text(4194304.0), count_text(0.25)
    ('16', '4.19 M', '0.25')
    """
    scale, letter = next((pair for pair in _SCALES if value >= pair[0]), (1.0, ""))
    return f"{value / scale:.3g} {letter}".rstrip()
