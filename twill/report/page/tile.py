"""What the top of a report's page has side by side: headline numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """One headline number with its unit and a remark."""

    label: str
    value: str
    note: str
