"""What a run's report says as people read it: ratios, numbers of things."""

from __future__ import annotations


def ratio_text(ratio: float) -> str:
    """A speed-up.

    >>> ratio_text(1.5), ratio_text(45.312), ratio_text(512.3)
    ('1.50x', '45.3x', '512x')
    """
    digits = 2 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:.{digits}f}x"


def counted(number: int, thing: str) -> str:
    """A number with its thing.

    >>> counted(1, "edit"), counted(2, "edit")
    ('1 edit', '2 edits')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
