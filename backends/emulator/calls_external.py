"""Functions that every device program may call and that have no body in it: printing, failing, the heap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.access import window_of
from backends.emulator.fronts import Front, Mask
from backends.emulator.printf import formatted

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
# Programming Guide, "Limits" of printf: the longest text that is looked for.
_MOST_TEXT_BYTES = 1 << 16


class Externals:
    """The external functions of a batch. Arguments and results are variables in the thread's own memory, by offset."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.output: list[str] = []

    def vprintf(self, front: Front, arguments: tuple[int, ...], result: int | None, guard: Mask | None) -> None:
        """`int vprintf(const char *format, void *arguments)`; lanes print in order."""
        active = front.full_mask(guard)
        texts, buffers = self._loaded(front, arguments, (8, 8), guard)
        for row, lane in np.argwhere(active).tolist():
            self.output.append(self._printed(front, row, lane, int(texts[row, lane]), int(buffers[row, lane])))
        self._return(front, result, np.zeros(active.shape, np.uint32), 4, guard)

    def _printed(self, front: Front, row: int, lane: int, text: int, buffer: int) -> str:
        def read(offset: int, nbytes: int) -> bytes:
            return self._bytes(front, row, lane, buffer + offset, nbytes)

        def string(address: int) -> bytes:
            return self._string(front, row, lane, address)

        return formatted(string(text), read, string)

    def assertfail(self, front: Front, arguments: tuple[int, ...], result: int | None, guard: Mask | None) -> None:
        """`void __assertfail(message, file, line, function, size of a character)`: the launch ends."""
        del result
        active = front.full_mask(guard)
        if not active.any():
            return
        values = self._loaded(front, arguments, (8, 8, 4, 8, 8), guard)
        row, lane = (int(i) for i in np.unravel_index(active.argmax(), active.shape))
        message, file, line, function = (int(v[row, lane]) for v in values[:4])
        texts = [self._string(front, row, lane, a).decode("utf-8", "replace") for a in (message, file, function)]
        found = f"{texts[1]}:{line}: {texts[2]}: assertion `{texts[0]}` failed"
        raise self.batch.fault("assertion-failed", found, front, (row, lane), int(active.sum()))

    def malloc(self, front: Front, arguments: tuple[int, ...], result: int | None, guard: Mask | None) -> None:
        """`void *malloc(size_t size)`: device memory of its own for each thread; null where there is none left."""
        active = front.full_mask(guard)
        (sizes,) = self._loaded(front, arguments, (8,), guard)
        found = np.zeros(active.shape, np.uint64)
        for row, lane in zip(*np.nonzero(active), strict=True):
            try:
                found[row, lane] = self.batch.memory.arena.allocate(int(sizes[row, lane]), "malloc").address
            except MemoryError:
                continue
        self._return(front, result, found, 8, guard)

    def free(self, front: Front, arguments: tuple[int, ...], result: int | None, guard: Mask | None) -> None:
        """`void free(void *pointer)` of what `malloc` gave; null is let pass."""
        del result
        active = front.full_mask(guard)
        (pointers,) = self._loaded(front, arguments, (8,), guard)
        arena = self.batch.memory.arena
        for row, lane in zip(*np.nonzero(active), strict=True):
            address = int(pointers[row, lane])
            allocation = arena.find(address)
            if allocation is not None and allocation.address == address and allocation.label == "malloc":
                arena.free(allocation)
            elif address:
                raise self.batch.fault(
                    "bad-free", f"{address:#x} was not given by malloc, or is free", front, (row, lane)
                )

    def _loaded(
        self, front: Front, offsets: tuple[int, ...], sizes: tuple[int, ...], guard: Mask | None
    ) -> list[Array]:
        access = self.batch.access
        return [
            access.load(front, "local", np.uint32(offset), 0, size, 1, guard)[0]  # type: ignore[arg-type]
            for offset, size in zip(offsets, sizes, strict=True)
        ]

    def _return(self, front: Front, result: int | None, value: Array, size: int, guard: Mask | None) -> None:
        if result is not None:
            self.batch.access.store(front, "local", np.uint32(result), 0, size, [value], guard)  # type: ignore[arg-type]

    def _bytes(self, front: Front, row: int, lane: int, address: int, nbytes: int) -> bytes:
        """Bytes at a generic address, read by one thread."""
        one = np.zeros((front.n, 32), np.bool_)
        one[row, lane] = True
        space = self.batch.access.spaces[window_of(address)]
        flat = space.flat(front, np.full((front.n, 32), address, np.uint64), 0, 1, one)
        start = int(flat[row, lane])
        space.flat(front, np.full((front.n, 32), address + nbytes - 1, np.uint64), 0, 1, one)
        return space.units[1][start : start + nbytes].tobytes()

    def _string(self, front: Front, row: int, lane: int, address: int) -> bytes:
        """The zero-terminated bytes at an address."""
        found = bytearray()
        while len(found) < _MOST_TEXT_BYTES:
            byte = self._bytes(front, row, lane, address + len(found), 1)
            if byte == b"\0":
                break
            found += byte
        return bytes(found)
