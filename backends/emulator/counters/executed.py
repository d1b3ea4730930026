"""How often each instruction ran: block counts, which both engines keep at no cost, spread over the instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Counts = NDArray[np.int64]


@dataclass
class Executed:
    """Per instruction, over the batches that were added: warps and threads that executed it."""

    warps: Counts
    threads: Counts
    ctas: int = 0

    @staticmethod
    def of(instructions: int) -> Executed:
        """Nothing yet."""
        return Executed(np.zeros(instructions, np.int64), np.zeros(instructions, np.int64))

    def add(self, batch: Batch) -> None:
        """Count a batch that has ended."""
        warps, threads = np.array(batch.scheduler.block_warps), np.array(batch.scheduler.block_threads)
        if batch.native_state is not None:
            warps = warps + batch.native_state.executed
            threads = threads + batch.native_state.lanes
        lengths = [len(block) for block in batch.program.blocks]
        self.warps += np.repeat(warps, lengths)
        self.threads += np.repeat(threads, lengths)
        self.ctas += batch.ctas
