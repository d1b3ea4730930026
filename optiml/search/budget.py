"""What a search may spend: evaluations, seconds, money."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """None is no limit. cost: in the currency of the prices that a proposer was given."""

    evaluations: int | None = 60
    seconds: float | None = None
    cost: float | None = None

    def spent(self, evaluations: int, seconds: float, cost: float) -> str:
        """The name of what is used up; empty while all of it lasts.

        >>> Budget(evaluations=2, seconds=10).spent(1, 11.0, 0.0)
        'seconds'
        """
        used = (("evaluations", evaluations), ("seconds", seconds), ("cost", cost))
        return next((name for name, value in used if self._reached(name, value)), "")

    def _reached(self, name: str, value: float) -> bool:
        limit = getattr(self, name)
        return limit is not None and value >= limit
