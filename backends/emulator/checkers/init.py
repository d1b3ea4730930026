"""The initialisation checker for registers and local memory; shared and global memory are in the race checker's shadow.

A register counts as written for a warp once one of its lanes has executed a write of it, guarded or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.checkers.registers import registers_of_blocks
from backends.emulator.fronts import Front, Mask
from backends.emulator.observer import Observer
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]


class InitChecker(Observer):
    """Follows which registers and bytes of local memory the warps of a batch have written."""

    def __init__(self, batch: Batch, state: LaunchState) -> None:
        self.batch = batch
        self.findings = state.findings
        program = batch.program
        self.blocks = registers_of_blocks(program)
        self.numbers = {row: number for number, row in enumerate(dict.fromkeys(program.rows.values()))}
        self.names = {row: name for name, row in program.rows.items()}
        self.written = np.zeros((batch.instances, len(self.numbers)), np.bool_)
        special = [self.numbers[program.rows[name]] for name in program.specials]
        self.written[:, special] = True
        local = batch.access.spaces["local"].units[1]
        self.local = np.zeros(len(local), np.bool_)
        self._clean: set[tuple[int, int, int]] = set()

    def block(self, front: Front, number: int) -> None:
        """Registers that the block reads must have been written; then it writes its own."""
        key = (number, front.warps.start, front.warps.stop) if isinstance(front.warps, slice) else None
        if key in self._clean:
            return
        registers = self.blocks[number]
        instances = front.indices()
        exposed = np.array([self.numbers[row] for row in registers.exposed], np.int64)
        missing = ~self.written[instances[:, None], exposed[None]]
        if missing.any():
            self._report(front, missing, list(registers.exposed.items()))
        elif key is not None:
            self._clean.add(key)
        written = np.array([self.numbers[row] for row in registers.written], np.int64)
        self.written[instances[:, None], written[None]] = True

    def _report(self, front: Front, missing: Array, exposed: list[tuple[Any, int]]) -> None:
        for column in np.flatnonzero(missing.any(axis=0)):
            row, index = exposed[column]
            warp = int(missing[:, column].argmax())
            lane = int(front.full_mask()[warp].argmax())
            self.findings.add(
                "uninitialised",
                f"register {self.names[row]} is read, and nothing has written it",
                self.batch.program.site(index),
                self.batch.thread(front, (warp, lane)),
                count=int(missing[:, column].sum()),
            )

    def access(
        self, front: Front, space: str, flat: NDArray[np.int64], nbytes: int, active: Mask | None, kind: str,
        values: Sequence[NDArray[Any]] | None = None,
    ) -> None:  # fmt: skip
        """Local memory, by bytes."""
        del values
        if space != "local":
            return
        lanes = front.full_mask() if active is None else active
        places = flat[lanes][:, None] + np.arange(nbytes)
        if kind != "load":
            self.local[places] = True
            return
        missing = ~self.local[places].all(axis=1)
        if missing.any():
            warp, lane = (int(x[missing][0]) for x in np.nonzero(lanes))
            offset = int(flat[warp, lane]) % max(len(self.local) // (self.batch.instances * WARP_LANES), 1)
            self.findings.add(
                "uninitialised",
                f"{nbytes} bytes at local address {offset:#x} are read, and nothing has written them",
                self.batch.program.site(self.batch.site),
                self.batch.thread(front, (warp, lane)),
                count=int(missing.sum()),
            )
