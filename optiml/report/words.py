"""What a run's report says as people read it: ratios, sizes, numbers of things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
