"""What a device finds wrong with a kernel: values with the instruction, the threads and the numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ir.diagnostics import Location


@dataclass(frozen=True)
class Site:
    """An instruction of the PTX file: its text, its line there, and the source line that it came from."""

    text: str
    place: Location | None
    location: Location | None

    def __str__(self) -> str:
        source = f" ({self.location})" if self.location and self.location != self.place else ""
        return f"`{self.text}` at {self.place}{source}"


@dataclass(frozen=True)
class Thread:
    """One thread: its CTA's index in the grid and its own in the CTA, each (x, y, z)."""

    cta: tuple[int, int, int]
    thread: tuple[int, int, int]

    def __str__(self) -> str:
        return f"thread {self.thread} of CTA {self.cta}"


@dataclass(frozen=True)
class Finding:
    """Something wrong that a kernel did.

    rule: a stable name such as `out-of-bounds` or `deadlock`. message: what happened, with the numbers.
    site: the instruction; other: the earlier instruction that it conflicts with, if there is one.
    count: how many threads did the same at the same place. severity: `error`, or `warning` for what leaves every result
    right and need not fail a run.
    """

    rule: str
    message: str
    site: Site | None = None
    thread: Thread | None = None
    other: Site | None = None
    count: int = 1
    severity: str = "error"

    @property
    def is_error(self) -> bool:
        """Whether a kernel with it is wrong."""
        return self.severity == "error"

    def __str__(self) -> str:
        places = (("at", self.site), ("by", self.thread), ("other", self.other))
        where = "".join(f"\n  {word} {place}" for word, place in places if place)
        kind = "" if self.is_error else f"{self.severity}: "
        return f"{kind}{self.rule}: {self.message}{where}"
