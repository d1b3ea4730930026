"""The events of a launch and what checkers found: events are numbered, findings of one place are counted together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backends.findings import Finding, Site, Thread


class EventLog:
    """The instruction of each event; an event's number is the time of its accesses. Time 0 is before the launch."""

    def __init__(self) -> None:
        self.sites = [0]

    @property
    def now(self) -> int:
        """The newest event."""
        return len(self.sites) - 1

    def add(self, site: int) -> int:
        """A new event of an instruction; its time."""
        self.sites.append(site)
        return len(self.sites) - 1


@dataclass(frozen=True)
class _Key:
    rule: str
    site: str
    other: str


class Findings:
    """Findings, one for each rule, instruction and other instruction; the first is the example, `count` adds up."""

    def __init__(self) -> None:
        self._found: dict[_Key, Finding] = {}

    def add(
        self, rule: str, message: str, site: Site | None, thread: Thread | None = None, other: Site | None = None,
        count: int = 1, severity: str = "error",
    ) -> None:  # fmt: skip
        """Add one, or count it where the same was found before."""
        key = _Key(rule, str(site), str(other))
        known = self._found.get(key)
        if known is not None:
            self._found[key] = replace(known, count=known.count + count)
            return
        self._found[key] = Finding(rule, message, site, thread, other, count, severity)

    def discard(self, rules: frozenset[str]) -> None:
        """Forget findings of these rules."""
        self._found = {key: f for key, f in self._found.items() if key.rule not in rules}

    def all(self) -> tuple[Finding, ...]:
        """What was found, in the order of the first occurrence."""
        return tuple(self._found.values())
