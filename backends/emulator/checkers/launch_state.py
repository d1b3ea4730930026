"""What the checkers of a launch keep from batch to batch: events, findings, and the shadow of global memory."""

from __future__ import annotations

from backends.emulator.arena import Arena
from backends.emulator.checkers.log import EventLog, Findings
from backends.emulator.checkers.releases import Places
from backends.emulator.checkers.shadow import Shadow
from backends.emulator.checkers.sites import granule_bytes
from backends.emulator.program import Program


class LaunchState:
    """The state of one launch of a program on an arena."""

    def __init__(self, program: Program, arena: Arena, names: frozenset[str]) -> None:
        self.names = names
        self.program = program
        self.arena = arena
        self.log = EventLog()
        self.findings = Findings()
        low, high = arena.extent()
        granule = granule_bytes(program.instructions, "global")
        self.memory = Shadow("global", low, high - low, granule)
        self.places = Places(self.memory)
        self._done: set[str] = set()

    def once(self, name: str) -> bool:
        """True the first time it is asked for a name."""
        is_first = name not in self._done
        self._done.add(name)
        return is_first
