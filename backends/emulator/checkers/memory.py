"""The memory checker: what bounds and alignment, which are always checked, do not find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.observer import Observer

if TYPE_CHECKING:
    from backends.emulator.batch import Batch


class MemoryChecker(Observer):
    """Finds tensor memory that a CTA does not give back."""

    def __init__(self, batch: Batch, state: LaunchState) -> None:
        self.batch = batch
        self.findings = state.findings

    def finish(self) -> None:
        """All threads of the batch have ended."""
        leak = self.batch.tensor_memory.leak()
        if leak is not None:
            self.findings.add(leak.rule, leak.message, leak.site)
