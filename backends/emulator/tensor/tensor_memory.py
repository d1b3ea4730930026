"""Layouts of tensor memory, 128 lanes of 512 columns of 32 bits: tcgen05.ld, .st, .cp, and operands of tcgen05.mma."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.tensor.fragments import Fragment

Array = NDArray[Any]

LANES, COLUMNS = 128, 512
_MOST_REGISTERS = 128
# PTX ISA, "Data movement shape": lane 4g + t of a warp, register digits n (the .xN), h, e; rows are lanes of tensor
# memory from the lane of the address, columns go from the column of the address.
_MOVEMENTS = {
    "32x32b": "n{n} / l32 / -> l / n",
    "16x64b": "n{n} / g8 b2 a2 / -> a g / n b",
    "16x128b": "n{n} h2 / g8 t4 / -> h g / n t",
    "16x256b": "n{n} h2 e2 / g8 t4 / -> h g / n t e",
    "16x32bx2": "n{n} / s2 l16 / -> l / s n",
}


@cache
def movement(shape: str, count: int) -> Fragment | None:
    """Layout of `tcgen05.ld` and `.st` of `.{shape}.x{count}` for one warp, a matrix (rows, columns) of 32-bit cells.

    A load is `scatter(cells)`, cells (n, rows, columns) uint32, and makes registers (count, n, 32); a store is
    `gather(registers)`. For `16x32bx2` the first half of the columns lies at the address and the second at the address
    plus the immediate of the instruction. None for a shape that tensor memory does not have.
    """
    if shape not in _MOVEMENTS or count not in (1, 2, 4, 8, 16, 32, 64, 128):
        return None
    fragment = Fragment(_MOVEMENTS[shape].format(n=count), 32)
    return fragment if fragment.registers <= _MOST_REGISTERS else None


def pack_pairs(cells: Array) -> Array:
    """`.pack::16b`: the low halves of neighbouring columns (..., 2c) as one word each (..., c)."""
    return np.ascontiguousarray(np.ascontiguousarray(cells).view(np.uint16)[..., ::2]).view(np.uint32)


def unpack_pairs(words: Array) -> Array:
    """`.unpack::16b`: the halves of each word (..., c) as two columns (..., 2c), high halves zero."""
    return np.ascontiguousarray(words).view(np.uint16).astype(np.uint32)


@dataclass(frozen=True)
class Accumulator:
    """Where D (m x n) of a tcgen05.mma lies: on `ctas` CTAs, in `lanes` of each, on `columns` columns from its address.

    `folds` parts of the columns of D lie one below another, in successive lanes. An element takes a column of its own,
    f16 too (in the low half).
    """

    m: int
    n: int
    ctas: int
    folds: int
    lanes: tuple[int, ...]

    @property
    def columns(self) -> int:
        """Columns of tensor memory that D takes."""
        return self.n // self.folds

    def cells(self, matrices: Array) -> Array:
        """D (n, m, n) -> cells (n, ctas, lanes, columns)."""
        n, rows = matrices.shape[0], self.m // self.ctas
        parts = matrices.reshape(n, self.ctas, rows, self.folds, self.columns).transpose(0, 1, 3, 2, 4)
        return parts.reshape(n, self.ctas, self.folds * rows, self.columns)

    def matrices(self, cells: Array) -> Array:
        """Cells (n, ctas, lanes, columns) -> D (n, m, n)."""
        n, rows = cells.shape[0], self.m // self.ctas
        parts = cells.reshape(n, self.ctas, self.folds, rows, self.columns).transpose(0, 1, 3, 2, 4)
        return parts.reshape(n, self.m, self.n)


# (m, CTAs, weight stationary) -> folds. PTX ISA, "Data path layout organization" (layouts A to G).
_FOLDS = {
    (256, 2, False): 1,
    (128, 2, False): 2,
    (128, 1, False): 1,
    (64, 1, False): 1,
    (128, 1, True): 1,
    (64, 1, True): 2,
    (32, 1, True): 4,
}


@cache
def accumulator(m: int, n: int, ctas: int = 1, weight_stationary: bool = False) -> Accumulator | None:
    """Layout of D of `tcgen05.mma[.ws].cta_group::{ctas}` of shape m x n; None for a shape that does not exist."""
    folds = _FOLDS.get((m, ctas, weight_stationary))
    widths = (64, 128, 256) if weight_stationary else range(8 * ctas, 257, 8 * ctas)
    if folds is None or n not in widths:
        return None
    return Accumulator(m, n, ctas, folds, _lanes(m, ctas, weight_stationary))


def _lanes(m: int, ctas: int, weight_stationary: bool) -> tuple[int, ...]:
    """All lanes, but for m = 64 of one CTA: the first 16 of every 32."""
    if (m, ctas, weight_stationary) == (64, 1, False):
        return tuple(32 * (row // 16) + row % 16 for row in range(64))
    return tuple(range(LANES))


def matrix_a_lanes(m: int, ctas: int = 1, weight_stationary: bool = False) -> tuple[int, ...] | None:
    """Lanes of each CTA that hold the rows of an A in tensor memory, row by row; elements are packed along columns.

    A of k elements takes k * bits / 32 columns from the address. None where the rows are held twice or folded.
    """
    if _FOLDS.get((m, ctas, weight_stationary)) != 1:
        return None
    return _lanes(m, ctas, weight_stationary)


@dataclass(frozen=True)
class Copy:
    """A tcgen05.cp without decompression: `rows` rows of `row_bytes`, row i to each lane in `lanes[:, i]`.

    The rows are those of a K-major matrix descriptor (`swizzle.matrix_units`); a row fills row_bytes / 4 columns.
    """

    rows: int
    row_bytes: int
    lanes: Array


# Which of the four groups of 32 lanes get the first and the second 32 rows (PTX ISA, tcgen05.cp multicast).
_COPIES: dict[tuple[str, str], tuple[int, int, tuple[tuple[int, ...], ...]]] = {
    ("128x256b", ""): (128, 32, ((0, 1, 2, 3),)),
    ("128x128b", ""): (128, 16, ((0, 1, 2, 3),)),
    ("64x128b", "warpx2::02_13"): (64, 16, ((0, 1), (2, 3))),
    ("64x128b", "warpx2::01_23"): (64, 16, ((0, 2), (1, 3))),
    ("32x128b", "warpx4"): (32, 16, ((0,), (1,), (2,), (3,))),
}


@cache
def copy(shape: str, multicast: str = "") -> Copy | None:
    """Layout of `tcgen05.cp.{shape}[.{multicast}]`; None where it is not known here (`4x256b` among them)."""
    if (shape, multicast) not in _COPIES:
        return None
    rows, row_bytes, groups = _COPIES[shape, multicast]
    lanes = np.array([[32 * group + lane for group in part for lane in range(32)] for part in groups])
    lanes.flags.writeable = False
    return Copy(rows, row_bytes, lanes)


def scale_factors(cells: Array, rows: int, per_row: int, factor_id: int) -> Array:
    """Scale factor codes (n, rows, per_row) uint8 of a block-scaled operand, from cells (n, 32 lanes, columns) uint32.

    Row r of A (or column r of B) has its factors in lane r % 32, column r / 32, from byte `factor_id`; hardware wants
    the same in all four groups of 32 lanes. ValueError where the factors do not fit into the column.
    """
    if factor_id + per_row > 4:
        raise ValueError(
            f"scale factor id {factor_id} with {per_row} factors a row goes beyond the 4 bytes of a column"
        )
    groups = -(-rows // 32)
    octets = np.ascontiguousarray(cells[:, :, :groups]).view(np.uint8).reshape(len(cells), 32, groups, 4)
    factors = octets[..., factor_id : factor_id + per_row].transpose(0, 2, 1, 3)
    return factors.reshape(len(cells), 32 * groups, per_row)[:, :rows]
