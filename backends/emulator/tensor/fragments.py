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
    holds row 8h + g, column 2t + e. Elements narrower than a byte are unpacked to one a byte.

    >>> Fragment("h2 / g8 t4 / e2 -> h g / t e", element_bits=16).place(row=9, column=3)
    (1, 5, 1)
    """

    pattern: str
    element_bits: int
    register_bits: int = 32

    @cached_property
    def _parts(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        source = self.pattern.split("->")[0]
        return tuple(_digits(part) for part in source.split("/"))

    @cached_property
    def _order(self) -> tuple[tuple[str, ...], ...]:
        target = self.pattern.split("->")[1]
        return tuple(tuple(part.split()) for part in target.split("/"))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for part in self._parts for name, _ in part)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: size for part in self._parts for name, size in part}

    @property
    def registers(self) -> int:
        """Registers of one lane."""
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
    def _axes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Axis numbers, in an array of shape (tile row, tile column, registers..., n, lanes..., elements...)."""
        count = len(self._parts[0])
        place = {name: 2 + i + (i >= count) for i, name in enumerate(self._names)}
        rows, columns = (tuple(place[name] for name in part) for part in self._order)
        return (2 + count,), (0, *rows), (1, *columns)

    def gather(self, registers: Array) -> Array:
        """Registers (registers, n, 32) or (registers, n, 4, 32) -> element bits (n, rows, columns)."""
        return self.gather_tiles(registers[None, None])

    def scatter(self, matrices: Array) -> Array:
        """Element bits (n, rows, columns) -> registers (registers, n, 32), or (registers, n, 4, 32) for 128 lanes."""
        registers: Array = self.scatter_tiles(matrices, (1, 1))[0, 0]
        return registers

    def gather_tiles(self, registers: Array) -> Array:
        """Many fragments side by side: (r, c, registers, n, lanes...) -> (n, r * rows, c * columns)."""
        tile_rows, tile_columns, _, n = registers.shape[:4]
        elements = _unpack(registers, self.element_bits)
        sizes = [self._sizes[name] for name in self._names]
        count = len(self._parts[0])
        digits = elements.reshape(tile_rows, tile_columns, *sizes[:count], n, *sizes[count:])
        instance, rows, columns = self._axes
        height, width = self.shape
        ordered: Array = digits.transpose(instance + rows + columns)
        return ordered.reshape(n, tile_rows * height, tile_columns * width)

    def scatter_tiles(self, matrices: Array, tiles: tuple[int, int]) -> Array:
        """Inverse of `gather_tiles`: (n, r * rows, c * columns) -> (r, c, registers, n, lanes...)."""
        n = matrices.shape[0]
        order = sum(self._axes, ())
        names = {axis: self._sizes[name] for name, axis in self._places().items()}
        sizes = {0: tiles[0], 1: tiles[1], self._axes[0][0]: n, **names}
        digits = matrices.reshape([sizes[axis] for axis in order]).transpose(np.argsort(order))
        lanes = (4, 32) if self.lanes == 128 else (self.lanes,)
        per_register = self.register_bits // self.element_bits
        flat = np.ascontiguousarray(digits).reshape(*tiles, self.registers, n, *lanes[:-1], lanes[-1] * per_register)
        return _pack(flat, self.element_bits, self.register_bits)

    def _places(self) -> dict[str, int]:
        flat = self._order[0] + self._order[1]
        axes = self._axes[1][1:] + self._axes[2][1:]
        return dict(zip(flat, axes, strict=True))

    def place(self, row: int, column: int) -> tuple[int, int, int]:
        """Register, lane and sub-element that hold one matrix element."""
        value: dict[str, int] = {}
        for part, index in zip(self._order, (row, column), strict=True):
            for name in reversed(part):
                index, value[name] = divmod(index, self._sizes[name])
        numbers = [_number(part, value) for part in self._parts]
        return numbers[0], numbers[1], numbers[2]


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
    return np.stack((octets & 15, octets >> 4), axis=-1).reshape(*octets.shape[:-1], -1)


def _pack(elements: Array, bits: int, register_bits: int) -> Array:
    """Inverse of `_unpack`."""
    if bits == 1:
        elements = np.packbits(elements, axis=-1, bitorder="little")
    if bits == 4:
        pairs = elements.reshape(*elements.shape[:-1], -1, 2)
        elements = pairs[..., 0] | pairs[..., 1] << 4
    return np.ascontiguousarray(elements).view(_STORAGE[register_bits])
