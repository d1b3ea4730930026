"""A fragment layout: which register, lane and sub-element holds each element of a matrix.

Every dense fragment of the PTX ISA is a *permutation of digits*: write the register index, the lane index and the
sub-element index as mixed-radix numbers; their digits, in another order, are the digits of row and column. A layout is
therefore one line of text, gather and scatter are one reshape and one transpose, and no index array is needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_STORAGE = {64: np.uint64, 32: np.uint32, 16: np.uint16, 8: np.uint8, 4: np.uint8, 1: np.uint8}


@dataclass(frozen=True)
class Fragment:
    """The layout of one operand in the registers of a warp (32 lanes) or warpgroup (128 lanes).

    `pattern` is `registers / lanes / elements -> rows / columns`; each part is a list of digits, slowest first, a
    letter and a size. `h2 / g8 t4 / e2 -> h g / t e` says: register h, lane 4g + t, sub-element e (0 in the low bits)
    holds row 8h + g, column 2t + e. Elements narrower than a byte are unpacked to one a byte. With `copies`, the
    registers hold the matrix several times over: a gather reads the first copy, a scatter writes all.

    >>> Fragment("h2 / g8 t4 / e2 -> h g / t e", element_bits=16).place(row=9, column=3)
    (1, 5, 1)
    """

    pattern: str
    element_bits: int
    register_bits: int = 32
    copies: int = 1

    @cached_property
    def _parts(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        source = self.pattern.split("->")[0]
        return tuple(_digits(part) for part in source.split("/"))

    @cached_property
    def _order(self) -> tuple[tuple[str, ...], ...]:
        target = self.pattern.split("->")[1]
        return tuple(tuple(part.split()) for part in target.split("/"))

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: size for part in self._parts for name, size in part}

    @property
    def registers(self) -> int:
        """Registers of one lane."""
        return self.copies * self._registers

    @cached_property
    def _registers(self) -> int:
        return prod(size for _, size in self._parts[0])

    @property
    def lanes(self) -> int:
        """Lanes that hold the fragment: 32 or 128."""
        return prod(size for _, size in self._parts[1])

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        rows, columns = (prod(self._sizes[name] for name in part) for part in self._order)
        return rows, columns

    @property
    def storage(self) -> np.dtype[Any]:
        """The dtype of one element's bits."""
        return np.dtype(_STORAGE[self.element_bits])

    @cached_property
    def _plan(self) -> _Plan:
        return _Plan.of(self)

    def gather(self, registers: Array) -> Array:
        """Registers (registers, n, 32) or (registers, n, 4, 32) -> element bits (n, rows, columns)."""
        return self.gather_tiles(registers[None, None])

    def scatter(self, matrices: Array) -> Array:
        """Element bits (n, rows, columns) -> registers (registers, n, 32), or (registers, n, 4, 32) for 128 lanes."""
        registers: Array = self.scatter_tiles(matrices, (1, 1))[0, 0]
        return registers

    def gather_tiles(self, registers: Array) -> Array:
        """Many fragments side by side: (r, c, registers, n, lanes...) -> (n, r * rows, c * columns).

        The result may be the transposed view of a contiguous array, where that moves longer runs.
        """
        tile_rows, tile_columns, _, n = registers.shape[:4]
        plan, (height, width) = self._plan, self.shape
        elements = _fold(_unpack(registers[:, :, : self._registers], self.element_bits), plan.fold)
        runs: Array = np.ascontiguousarray(elements).view(plan.run)
        digits = runs.reshape(tile_rows, tile_columns, *plan.register_sizes, n, *plan.lane_sizes)
        ordered = np.ascontiguousarray(digits.transpose(plan.order)).view(self.storage)
        if plan.transposed:
            return ordered.reshape(n, tile_columns * width, tile_rows * height).transpose(0, 2, 1)
        return ordered.reshape(n, tile_rows * height, tile_columns * width)

    def scatter_tiles(self, matrices: Array, tiles: tuple[int, int]) -> Array:
        """Inverse of `gather_tiles`: (n, r * rows, c * columns) -> (r, c, registers, n, lanes...)."""
        n, plan = matrices.shape[0], self._plan
        sizes = (*tiles, *plan.register_sizes, n, *plan.lane_sizes)
        lying = np.ascontiguousarray(matrices.transpose(0, 2, 1) if plan.transposed else matrices)
        runs = lying.view(plan.run).reshape([sizes[axis] for axis in plan.order])
        digits = np.ascontiguousarray(runs.transpose(np.argsort(plan.order))).view(self.storage)
        lanes = (4, 32) if self.lanes == 128 else (self.lanes,)
        elements = _unfold(digits.reshape(*tiles, self._registers // plan.fold, n, *lanes[:-1], -1), plan.fold)
        packed = _pack(elements, self.element_bits, self.register_bits)
        return packed if self.copies == 1 else np.tile(packed, (1, 1, self.copies) + (1,) * (packed.ndim - 3))

    def place(self, row: int, column: int) -> tuple[int, int, int]:
        """Register, lane and sub-element that hold one matrix element."""
        value: dict[str, int] = {}
        for part, index in zip(self._order, (row, column), strict=True):
            for name in reversed(part):
                index, value[name] = divmod(index, self._sizes[name])
        numbers = [_number(part, value) for part in self._parts]
        return numbers[0], numbers[1], numbers[2]


# Bytes of a run of elements that stay together -> a dtype of that size, to move them as one item.
_RUNS = {16: np.complex128, 8: np.uint64, 4: np.uint32, 2: np.uint16, 1: np.uint8}
_Digit = tuple[str, int]


@dataclass(frozen=True)
class _Plan:
    """How to transpose: the digits in front of a *run*, the trailing digits that no transpose separates.

    `fold` neighbouring registers are first interleaved to neighbouring elements, where that makes runs longer. Then
    arrays are of shape (tile row, tile column, register digits..., n, lane and element digits...), and `order` is the
    transpose to (n, tile row, row digits..., tile column, column digits...), rows and columns swapped if `transposed`.
    """

    register_sizes: tuple[int, ...]
    lane_sizes: tuple[int, ...]
    order: tuple[int, ...]
    run: type
    fold: int
    transposed: bool

    @staticmethod
    def of(fragment: Fragment) -> _Plan:
        """The plan with the longer run of the two that lay the matrix by rows and by columns."""
        plans = [_plan(fragment, transposed) for transposed in (False, True)]
        return max(plans, key=lambda plan: np.dtype(plan.run).itemsize)


def _plan(fragment: Fragment, transposed: bool) -> _Plan:
    registers, *rest = (list(part) for part in fragment._parts)
    tail = [digit for part in rest for digit in part]
    outer, inner = (list(part) for part in (fragment._order[::-1] if transposed else fragment._order))
    fold = 1
    if registers and inner and registers[-1][0] == inner[-1] and len(tail) == len(rest[0]):
        tail.append(registers.pop())
        fold = tail[-1][1]
    run_bytes = fragment.storage.itemsize
    while tail and inner and tail[-1][0] == inner[-1] and run_bytes * tail[-1][1] in _RUNS:
        run_bytes *= tail.pop()[1]
        inner.pop()
    tiles = ["tile row", "tile column"]
    names = [*tiles, *(name for name, _ in registers), "instance", *(name for name, _ in tail)]
    first, second = tiles[::-1] if transposed else tiles
    order = tuple(names.index(name) for name in ("instance", first, *outer, second, *inner))
    return _Plan(_sizes(registers), _sizes(tail), order, _RUNS[run_bytes], fold, transposed)


def _sizes(digits: list[_Digit]) -> tuple[int, ...]:
    return tuple(size for _, size in digits)


def _fold(elements: Array, fold: int) -> Array:
    """(..., registers, n, lanes...) -> (..., registers / fold, n, lanes... * fold): registers become elements."""
    if fold == 1:
        return elements
    rows, columns, registers, *rest = elements.shape
    split = elements.reshape(rows, columns, registers // fold, fold, *rest)
    out = np.empty((rows, columns, registers // fold, *rest, fold), elements.dtype)
    for i in range(fold):
        out[..., i] = split[:, :, :, i]
    return out


def _unfold(elements: Array, fold: int) -> Array:
    """Inverse of `_fold`."""
    if fold == 1:
        return elements
    rows, columns, registers, *rest, last = elements.shape
    split = elements.reshape(rows, columns, registers, *rest, last // fold, fold)
    out = np.empty((rows, columns, registers, fold, *rest, last // fold), elements.dtype)
    for i in range(fold):
        out[:, :, :, i] = split[..., i]
    return out.reshape(rows, columns, registers * fold, *rest, last // fold)


def _number(part: tuple[tuple[str, int], ...], value: dict[str, int]) -> int:
    number = 0
    for name, size in part:
        number = number * size + value[name]
    return number


def _digits(part: str) -> tuple[tuple[str, int], ...]:
    return tuple((name, int(size)) for name, size in re.findall(r"([a-z])(\d+)", part))


def _unpack(registers: Array, bits: int) -> Array:
    """Split each register into its elements, low bits first, along the last axis."""
    if bits >= 8:
        return registers.view(_STORAGE[bits])
    octets = np.ascontiguousarray(registers).view(np.uint8)
    if bits == 1:
        return np.unpackbits(octets, axis=-1, bitorder="little")
    return split_nibbles(octets)


def split_nibbles(octets: Array) -> Array:
    """The two 4-bit elements of each byte (..., c) side by side (..., 2c), the low one first."""
    return np.stack((octets & 15, octets >> 4), axis=-1).reshape(*octets.shape[:-1], -1)


def _pack(elements: Array, bits: int, register_bits: int) -> Array:
    """Inverse of `_unpack`."""
    if bits == 1:
        elements = np.packbits(elements, axis=-1, bitorder="little")
    if bits == 4:
        pairs = elements.reshape(*elements.shape[:-1], -1, 2)
        elements = pairs[..., 0] | pairs[..., 1] << 4
    return np.ascontiguousarray(elements).view(_STORAGE[register_bits])
