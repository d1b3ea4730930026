"""The checkers that a launch asked for, and what they found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from backends.emulator.arena import Arena
from backends.emulator.checkers.init import InitChecker
from backends.emulator.checkers.initialised import Initialised
from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.checkers.memory import MemoryChecker
from backends.emulator.checkers.pending import PendingChecker
from backends.emulator.checkers.race import RaceChecker
from backends.emulator.checkers.register_pool import RegisterPoolChecker
from backends.emulator.checkers.shadow import Shadow
from backends.emulator.checkers.sync import SyncChecker
from backends.emulator.observer import Observer, Observers
from backends.emulator.program import Program
from backends.findings import Finding

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

# Fewer lanes at once than without checkers: the clocks of a batch grow with the square of its warps.
CHECKED_LANES = 2048
Checker = Callable[["Batch", LaunchState], Observer]
CHECKERS: Mapping[str, tuple[Checker, ...]] = {
    "memory": (MemoryChecker,),
    "race": (RaceChecker,),
    "init": (RaceChecker, InitChecker),
    "sync": (SyncChecker, RegisterPoolChecker),
    "async": (PendingChecker,),
}


class Checks:
    """The checkers `names` on one launch of a program."""

    def __init__(self, names: frozenset[str], program: Program, arena: Arena, initialised: Initialised) -> None:
        self.checkers = list(dict.fromkeys(c for name in sorted(names) for c in CHECKERS.get(name, ())))
        self.names = names
        self.program = program
        self.arena = arena
        self.initialised = initialised

    @cached_property
    def state(self) -> LaunchState:
        """What is kept from batch to batch; made when the first begins, for by then all memory is allocated."""
        state = LaunchState(self.program, self.arena, self.names)
        if "init" in self.names:
            self.initialised.mark(state.memory)
        return state

    @property
    def memory(self) -> Shadow | None:
        """The shadow of global memory, None where no checker follows it."""
        return self.state.memory if RaceChecker in self.checkers else None

    def observe(self, batch: Batch) -> Observer:
        """The observer of a batch."""
        members = [checker(batch, self.state) for checker in self.checkers]
        return members[0] if len(members) == 1 else Observers(members)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What all of them found so far."""
        return self.state.findings.all()
