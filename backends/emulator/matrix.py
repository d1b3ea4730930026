"""Warp-level matrix instructions at work: products of fragments, and rows of matrices from and to shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import Flat, Space
from backends.emulator.spaces import WARP_LANES
from backends.emulator.tensor.elements import decode, encode, from_container
from backends.emulator.tensor.fragments import Fragment
from backends.emulator.tensor.multiply import multiply, multiply_bits, multiply_scaled

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
Tiles = list[list[list[Array]]]
_ROW_BYTES = 16


@dataclass(frozen=True)
class MatrixMultiply:
    """D = A * B + C of a warp; `types` are those of A, B, C and D, `operation` that of one-bit products."""

    a: Fragment
    b: Fragment
    c: Fragment
    d: Fragment
    types: tuple[str, str, str, str]
    operation: str = ""
    saturate: bool = False

    def apply(self, a: list[Array], b: list[Array], c: list[Array]) -> Array:
        """Registers of D, shape (registers, n, 32), from lists of registers (n, 32) or scalars."""
        left, right, addend = (_stacked(x, f) for x, f in ((a, self.a), (b, self.b), (c, self.c)))
        n = max(left.shape[1], right.shape[1], addend.shape[1])
        left, right, addend = (np.broadcast_to(x, (x.shape[0], n, WARP_LANES)) for x in (left, right, addend))
        matrices = self.a.gather(left), self.b.gather(right), self.c.gather(addend)
        if self.operation:
            return self.d.scatter(multiply_bits(*matrices, self.operation))
        return self.d.scatter(self._product(*matrices))

    def apply_tiles(self, a: Tiles, b: Tiles, c: Tiles) -> Array:
        """`apply` on grids of tiles: A by (i, k), B by (k, j), C by (i, j).

        Gives the registers of D as (i, j, register, n, lane).
        """
        registers = (r for grid in (a, b, c) for row in grid for tile in row for r in tile)
        n = max((r.shape[0] for r in registers if np.ndim(r) == 2), default=1)
        left, right, addend = (_tiled(x, f, n) for x, f in ((a, self.a), (b, self.b), (c, self.c)))
        matrices = self.a.gather_tiles(left), self.b.gather_tiles(right), self.c.gather_tiles(addend)
        product = multiply_bits(*matrices, self.operation) if self.operation else self._product(*matrices)
        return self.d.scatter_tiles(product, (len(c), len(c[0])))

    def _product(self, a: Array, b: Array, c: Array) -> Array:
        """Bits of D; an addend of another type than D's is converted first, which is exact or what the ISA rounds."""
        a_type, b_type, c_type, d_type = self.types
        a, b = _elements(a, self.a, a_type), _elements(b, self.b, b_type)
        addend = c if c_type == d_type else encode(decode(c, c_type), d_type)
        return multiply(a, a_type, b, b_type, addend, d_type, saturate=self.saturate)


@dataclass(frozen=True)
class Scale:
    """Factors of A or B: codes of type `kind`, `per_row` in a register from byte `byte` on.

    A: thread pair `thread` of quad g has those of two rows, lane 4g + 2 * thread of row g, the next lane of row g + 8.
    B: thread `thread` of quad g has those of column g. Source: PTX ISA, mma.sync, block scaling.
    """

    kind: str
    per_row: int
    byte: int
    thread: int

    def rows(self, register: Array, lanes: Array) -> Array:
        """Codes (n, rows, per_row) uint8 from a register (n, 32); `lanes`: of thread 0's rows."""
        words = register[:, lanes]
        shifts = np.uint32(8) * np.arange(self.byte, self.byte + self.per_row, dtype=np.uint32)
        codes: Array = (words[:, :, None] >> shifts & np.uint32(0xFF)).astype(np.uint8)
        return codes


_QUADS = np.arange(8) * 4


@dataclass(frozen=True)
class ScaledMultiply:
    """D = (A scaled) * (B scaled) + C of a warp, `.block_scale`."""

    plain: MatrixMultiply
    scale_a: Scale
    scale_b: Scale

    def apply(self, a: list[Array], b: list[Array], c: list[Array], factors: list[Array]) -> Array:
        """Registers of D, shape (registers, n, 32); `factors`: the registers with the factors of A and of B."""
        plain = self.plain
        registers = [*a, *b, *c, *factors]
        n = max((r.shape[0] for r in registers if np.ndim(r) == 2), default=1)
        lists = [[np.broadcast_to(r, (n, WARP_LANES)) for r in x] for x in (a, b, c, factors)]
        left, right, addend = (
            f.gather(_stacked(x, f)) for x, f in zip(lists, (plain.a, plain.b, plain.c), strict=False)
        )
        pair = 2 * self.scale_a.thread
        scale_a = self.scale_a.rows(lists[3][0], np.concatenate((_QUADS + pair, _QUADS + pair + 1)))
        scale_b = self.scale_b.rows(lists[3][1], _QUADS + self.scale_b.thread)
        a_type, b_type, *_ = plain.types
        result = multiply_scaled(
            _elements(left, plain.a, a_type), a_type, scale_a, _elements(right, plain.b, b_type), b_type, scale_b,
            self.scale_a.kind, addend,
        )  # fmt: skip
        return plain.d.scatter(result)


def _elements(bits: Array, fragment: Fragment, kind: str) -> Array:
    return from_container(bits, kind) if fragment.element_bits == 8 else bits


def _tiled(tiles: Tiles, fragment: Fragment, n: int) -> Array:
    dtype = np.dtype(f"u{fragment.register_bits // 8}")
    stacked = np.empty((len(tiles), len(tiles[0]), len(tiles[0][0]), n, WARP_LANES), dtype)
    for i, row in enumerate(tiles):
        for j, registers in enumerate(row):
            for index, register in enumerate(registers):
                stacked[i, j, index] = register
    return stacked


def _stacked(registers: list[Array], fragment: Fragment) -> Array:
    dtype = np.dtype(f"u{fragment.register_bits // 8}")
    n = max((r.shape[0] for r in registers if np.ndim(r) == 2), default=1)
    stacked = np.empty((len(registers), n, WARP_LANES), dtype)
    for index, register in enumerate(registers):
        stacked[index] = register
    return stacked


class Matrices:
    """`ldmatrix` and `stmatrix`: lane 8q + r gives the address of row r of matrix q."""

    def __init__(self, batch: Batch, spaces: dict[str, Space]) -> None:
        self.batch = batch
        self.spaces = spaces

    def load(
        self, front: Front, space: str, address: Array, offset: int, count: int, layout: Fragment, guard: Mask | None
    ) -> Array:
        """Registers (count, n, 32) of `count` matrices of 8 rows of 16 bytes."""
        memory, flat = self._rows(front, space, address, offset, count, guard, "load")
        rows = memory.units[_ROW_BYTES].take(flat >> 4, mode="clip")
        return layout.scatter(rows.view(np.uint16).reshape(front.n, 8 * count, 8))

    def store(
        self, front: Front, space: str, address: Array, offset: int, count: int, layout: Fragment,
        values: list[Array], guard: Mask | None,
    ) -> None:  # fmt: skip
        """Store `count` matrices from registers (n, 32)."""
        memory, flat = self._rows(front, space, address, offset, count, guard, "store")
        rows = layout.gather(_stacked(values, layout))
        data = np.ascontiguousarray(np.broadcast_to(rows, (front.n, 8 * count, 8))).view(np.complex128)[..., 0]
        active = front.full_mask(guard).all(axis=1)
        memory.units[_ROW_BYTES][flat[active] >> 4] = data[active]

    def _rows(
        self, front: Front, space: str, address: Array, offset: int, count: int, guard: Mask | None, kind: str
    ) -> tuple[Space, Flat]:
        active = front.full_mask(guard)
        self._require_converged(front, active)
        lanes = np.zeros_like(active)
        lanes[:, : 8 * count] = active[:, : 8 * count]
        memory = self.spaces["shared" if space == "generic" else space]
        flat = memory.flat(front, np.broadcast_to(address, active.shape), offset, _ROW_BYTES, lanes)
        if self.batch.observer is not None:
            self.batch.observer.access(front, memory.name, flat, _ROW_BYTES, lanes, kind)
        return memory, flat[:, : 8 * count]

    def _require_converged(self, front: Front, active: Mask) -> None:
        some = active.any(axis=1)
        partial = some & ~active.all(axis=1)
        if partial.any():
            row = int(partial.argmax())
            lanes = int(active[row].sum())
            raise self.batch.fault(
                "divergent-warp", f"{lanes} of 32 lanes execute an instruction of the whole warp", front, (row, 0)
            )
