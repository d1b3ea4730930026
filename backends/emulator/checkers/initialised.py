"""Which buffers hold something when a kernel starts: what the host wrote, or an earlier kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backends.device import Buffer
from backends.emulator.checkers.shadow import Shadow
from backends.emulator.spaces import GLOBAL_BASE


class Initialised:
    """Per buffer, how many bytes from its start on are initialised. What is not listed here always is."""

    def __init__(self) -> None:
        self._bytes: dict[int, int] = {}
        self._buffers: dict[int, Buffer] = {}

    def allocate(self, buffer: Buffer) -> None:
        """A new buffer holds nothing."""
        self._buffers[buffer.address] = buffer
        self._bytes[buffer.address] = 0

    def free(self, buffer: Buffer) -> None:
        """The buffer is gone."""
        self._buffers.pop(buffer.address)
        self._bytes.pop(buffer.address)

    def write(self, buffer: Buffer, nbytes: int) -> None:
        """The host wrote the start of a buffer."""
        self._bytes[buffer.address] = max(self._bytes[buffer.address], nbytes)

    def launched(self, memory: Shadow | None) -> None:
        """A kernel ran. A buffer that it may have written (`memory` is None), or has, counts as initialised."""
        for address, buffer in self._buffers.items():
            if memory is None or self._rest(memory, buffer)[0].any():
                self._bytes[address] = buffer.nbytes

    def mark(self, memory: Shadow) -> None:
        """Tell the shadow of a launch what was written before it."""
        before: NDArray[np.bool_] = np.ones(len(memory.write), np.bool_)
        for buffer in self._buffers.values():
            _, units = self._rest(memory, buffer)
            before[units] = False
        memory.written_before = before

    def _rest(self, memory: Shadow, buffer: Buffer) -> tuple[NDArray[np.int64], slice]:
        """Epochs, and units, of the part of a buffer that was not initialised."""
        start = buffer.address - GLOBAL_BASE - memory.base
        first = -(-(start + self._bytes[buffer.address]) >> memory.shift)
        units = slice(first, max((start + buffer.nbytes) >> memory.shift, first))
        return memory.write[units], units
