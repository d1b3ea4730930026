"""Numbers as people read them: times, ratios, sizes, counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_US_PER = ((1e6, "s"), (1e3, "ms"), (1.0, "us"))
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def time_text(time_us: float) -> str:
    """With three digits in its unit.

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


def ratio_text(ratio: float) -> str:
    """A speed-up.

    >>> ratio_text(1.5), ratio_text(45.312), ratio_text(512.3)
    ('1.50x', '45.3x', '512x')
    """
    digits = 2 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:.{digits}f}x"


def sizes_text(sizes: Mapping[str, Any]) -> str:
    """In one line.

    >>> sizes_text({"M": 2, "N": 4})
    'M=2 N=4'
    """
    return " ".join(f"{name}={value}" for name, value in sizes.items())


def counted(number: int, thing: str) -> str:
    """A number with its thing.

    >>> counted(1, "edit"), counted(2, "edit")
    ('1 edit', '2 edits')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
