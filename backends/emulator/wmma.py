"""`wmma.load` and `wmma.store`: a matrix between memory, any state space, and the registers of a warp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.spaces import WARP_LANES
from backends.emulator.tensor.fragments import Fragment

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]


class WarpMatrices:
    """The `wmma` memory instructions of a batch. Every lane of a warp gives the same address and stride."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def load(
        self, front: Front, space: str, address: Any, offset: int, stride: Any, layout: Fragment, by_rows: bool,
        guard: Mask | None,
    ) -> Array:  # fmt: skip
        """Registers (count, n, 32) of the matrix at `address`, whose rows or columns are `stride` elements apart."""
        size = layout.storage.itemsize
        places = _places(front, address, offset, stride, layout, by_rows)
        parts = [self.batch.access.load(front, space, p, 0, size, 1, guard)[0] for p in places]
        elements = np.concatenate(parts, axis=1)[:, : layout.shape[0] * layout.shape[1]]
        return layout.scatter(np.ascontiguousarray(elements).view(layout.storage).reshape(front.n, *layout.shape))

    def store(
        self, front: Front, space: str, address: Any, offset: int, stride: Any, layout: Fragment, by_rows: bool,
        values: list[Array], guard: Mask | None,
    ) -> None:  # fmt: skip
        """Store a matrix from registers (n, 32)."""
        registers = np.stack([np.broadcast_to(v, (front.n, WARP_LANES)) for v in values])
        elements = layout.gather(registers).reshape(front.n, -1)
        size = layout.storage.itemsize
        for number, places in enumerate(_places(front, address, offset, stride, layout, by_rows)):
            part = elements[:, WARP_LANES * number : WARP_LANES * (number + 1)].view(f"u{size}")
            self.batch.access.store(front, space, places, 0, size, [part], guard)


def _places(front: Front, address: Any, offset: int, stride: Any, layout: Fragment, by_rows: bool) -> list[Array]:
    """Byte addresses of the elements in row-major order, 32 of each warp at a time: arrays (n, 32) uint64."""
    rows, columns = layout.shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    outer, inner = (row, column) if by_rows else (column, row)
    base = np.broadcast_to(address, (front.n, WARP_LANES))[:, :1].astype(np.int64) + offset
    apart = np.broadcast_to(stride, (front.n, WARP_LANES))[:, :1].astype(np.int64)
    flat = (base + (outer * apart + inner) * layout.storage.itemsize).astype(np.uint64)
    return [flat[:, start : start + WARP_LANES] for start in range(0, rows * columns, WARP_LANES)]
