"""The products of `tcgen05.mma`: operands from shared or tensor memory, accumulators in tensor memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front
from backends.emulator.memory import SharedSpace
from backends.emulator.tensor import elements, tensor_memory
from backends.emulator.tensor.descriptors import decode_tcgen05
from backends.emulator.tensor.instruction_descriptors import InstructionDescriptor
from backends.emulator.tensor.multiply import multiply, multiply_scaled
from backends.emulator.tensor.swizzle import UNIT_BYTES, matrix_units
from backends.emulator.tensor.tensor_memory import LANES, Accumulator
from backends.emulator.tensor.warp_fragments import decompress
from backends.emulator.tensor_memory import TensorMemory

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
# Every kind reads 32 bytes of a row of A or B in shared memory per instruction; elements of 6 and of 4 bits are padded
# to units of 16 elements in 16 bytes (PTX ISA, tcgen05 "Packing formats"), but for mxf4, whose nibbles are dense.
DEPTH_BYTES = 32
_PADDED = {"e2m3": "b6x16_p32", "e3m2": "b6x16_p32", "e2m1": "b4x16_p64"}


@dataclass(frozen=True)
class Form:
    """What the opcode of a `tcgen05.mma` says; `scale_block` is the run of k that shares a scale factor, 0 for none."""

    kind: str
    group: int
    is_stationary: bool
    a_in_cells: bool
    scale_block: int = 0

    @property
    def is_scaled(self) -> bool:
        """Whether A and B have scale factors."""
        return self.scale_block > 0

    @property
    def is_dense(self) -> bool:
        """Whether elements of 4 bits lie two in a byte."""
        return self.kind in ("mxf4", "mxf4nvf4")


@dataclass(frozen=True)
class Product:
    """One `tcgen05.mma` with its operands: tensor memory addresses, or descriptors where they are in shared memory.

    shift: D is scaled by 2 ** -shift before. disabled: words of a mask of lanes of D that are not written.
    """

    form: Form
    instruction: InstructionDescriptor
    d: int
    a: int
    b: int
    accumulate: bool
    shift: int = 0
    scales: tuple[int, int] = (0, 0)
    disabled: tuple[int, ...] = ()

    def continues(self, before: Product) -> bool:
        """Whether this adds to the accumulator of `before` in such a way that both are one product along k."""
        same = replace(self, a=before.a, b=before.b, accumulate=before.accumulate, scales=before.scales) == before
        return (
            same
            and self.accumulate
            and not self.shift
            and self.instruction.d_type != "f16"
            and not self.instruction.saturate
        )


@dataclass(frozen=True, eq=False)
class Issued:
    """A product in flight; `ctas`: indices in the batch, shape (products, CTAs of one product)."""

    product: Product
    ctas: Array
    accumulator: Accumulator

    def continues(self, before: Issued) -> bool:
        """Whether both are one product along k, in the same CTAs."""
        return self.product.continues(before.product) and np.array_equal(self.ctas, before.ctas)


class Products:
    """Checks products when they are issued, and does them."""

    def __init__(self, batch: Batch, shared: SharedSpace, memory: TensorMemory) -> None:
        self.batch = batch
        self.shared = shared
        self.memory = memory

    def pairs(self, front: Front, ctas: Array, group: int) -> Array:
        """The CTAs of each issuer's group, shape (issuers, group)."""
        if group == 1:
            return ctas[:, None]
        size = self.batch.geometry.cluster_ctas
        if size % 2:
            message = f"`cta_group::2` in a cluster of {size} CTAs, which has no pairs"
            raise self.batch.fault("bad-cluster", message, front, (0, 0))
        pairs: Array = (ctas - ctas % 2)[:, None] + np.arange(2)
        return pairs

    def checked(self, front: Front, row: int, product: Product, ctas: Array) -> Issued:
        """The product ready for its queue; LaunchFault where its shape, an address or a type is not possible."""
        form, what = product.form, product.instruction
        accumulator = tensor_memory.accumulator(what.m, what.n, form.group, form.is_stationary)
        if accumulator is None:
            message = f"no tcgen05.mma of shape {what.m} x {what.n} for {form.group} CTAs"
            raise self.batch.fault("bad-descriptor", message, front, (row, 0))
        groups = self.pairs(front, ctas, form.group)
        self.memory.require(front, row, groups.reshape(-1), product.d, 1, accumulator.columns)
        if form.a_in_cells:
            if not self._a_lanes(product) or (what.a_type in _PADDED and not form.is_dense):
                message = f"A of type {what.a_type} and {what.m} rows in tensor memory is not implemented"
                raise self.batch.fault("unsupported", message, front, (row, 0))
            self.memory.require(front, row, groups.reshape(-1), product.a, 1, what.k * _bits(what.a_type) // 32)
        return Issued(product, groups, accumulator)

    def perform(self, issued: list[Issued]) -> None:
        """Do products in order, those that continue one another at once."""
        chain: list[Issued] = []
        for one in issued:
            if chain and not one.continues(chain[-1]):
                self._do(chain)
                chain = []
            chain.append(one)
        if chain:
            self._do(chain)

    def take(self, ctas: Array, units: Array) -> Array:
        """16-byte units of these CTAs' shared memories, shape (CTAs, *units.shape); LaunchFault beyond their end."""
        stride = self.shared.stride_bytes // UNIT_BYTES
        end = int(units.max()) + 1
        if end > self.shared.nbytes // UNIT_BYTES:
            message = f"a tile ends at byte {end * UNIT_BYTES} of {self.shared.nbytes} of shared memory"
            raise self.batch.fault_here("out-of-bounds", message)
        index = units + (ctas * stride).reshape(-1, *(1,) * units.ndim)
        units_of: Array = self.shared.units[UNIT_BYTES].take(index, mode="clip")
        return units_of

    def _do(self, chain: list[Issued]) -> None:
        first = chain[0]
        what = first.product.instruction
        a = self._left(chain)
        b = self._tile(chain, "b").transpose(0, 2, 1)
        before = self._before(first)
        if first.product.form.is_scaled:
            result = multiply_scaled(
                a, what.a_type, self._scales(chain, 0, what.m), b, what.b_type, self._scales(chain, 1, what.n),
                what.scale_type or "", before,
            )  # fmt: skip
        else:
            result = multiply(
                a, what.a_type, b, what.b_type, before, what.d_type,
                negate_a=what.negate_a, negate_b=what.negate_b, saturate=what.saturate,
            )  # fmt: skip
        self._write(first, result)

    # Accumulators

    def _cells(self, one: Issued) -> tuple[Any, Any, slice]:
        lane, column = one.product.d >> 16, one.product.d & 0xFFFF
        lanes: Any = slice(0, LANES)
        if len(one.accumulator.lanes) < LANES:
            lanes = (np.array(one.accumulator.lanes) + lane)[None, :]
        elif lane:
            raise self.batch.fault_here("bad-descriptor", f"an accumulator of all lanes at lane {lane}")
        ctas = one.ctas.reshape(-1)
        return (
            (ctas if isinstance(lanes, slice) else ctas[:, None]),
            lanes,
            slice(column, column + one.accumulator.columns),
        )

    def _before(self, one: Issued) -> Array | None:
        if not one.product.accumulate:
            return None
        d_type = one.product.instruction.d_type
        found = self.memory.cells[self._cells(one)]
        bits = one.accumulator.matrices(found.reshape(*one.ctas.shape, *found.shape[1:]))
        bits = bits.astype(np.uint16) if d_type == "f16" else bits
        if one.product.shift:
            bits = elements.encode(elements.decode(bits, d_type) * np.float32(2.0**-one.product.shift), d_type)
        return bits

    def _write(self, one: Issued, result: Array) -> None:
        place = self._cells(one)
        cells = one.accumulator.cells(result.astype(np.uint32, copy=False))
        cells = cells.reshape(-1, *cells.shape[2:])
        if any(one.product.disabled):
            off = np.array(one.product.disabled, np.uint32)[:, None] >> np.arange(32, dtype=np.uint32) & np.uint32(1)
            off = off.reshape(one.ctas.shape[1], -1)[:, list(one.accumulator.lanes)]
            disabled = np.tile(off, (len(one.ctas), 1)).astype(np.bool_)[:, :, None]
            cells = np.where(disabled, self.memory.cells[place], cells)
        self.memory.cells[place] = cells

    # Operands

    def _left(self, chain: list[Issued]) -> Array:
        if not chain[0].product.form.a_in_cells:
            return self._tile(chain, "a")
        what = chain[0].product.instruction
        lanes = np.array(self._a_lanes(chain[0].product))
        ctas = chain[0].ctas.reshape(-1)
        width = what.k * _bits(what.a_type) // 32
        parts = []
        for one in chain:
            lane, column = one.product.a >> 16, one.product.a & 0xFFFF
            parts.append(self.memory.cells[ctas[:, None], lanes + lane, column : column + width])
        words = np.ascontiguousarray(np.concatenate(parts, axis=2))
        bits = words.view(elements_dtype(what.a_type))
        bits = _nibbles(bits) if chain[0].product.form.is_dense else bits
        return bits.reshape(len(chain[0].ctas), what.m, -1)

    def _a_lanes(self, product: Product) -> tuple[int, ...] | None:
        form = product.form
        return tensor_memory.matrix_a_lanes(product.instruction.m, form.group, form.is_stationary)

    def _tile(self, chain: list[Issued], side: str) -> Array:
        """Element bits (products, rows, k) of A or B in shared memory; a group's CTAs hold parts of the rows."""
        first = chain[0]
        what, form = first.product.instruction, first.product.form
        rows, kind, transposed = (
            (what.m, what.a_type, what.transpose_a) if side == "a" else (what.n, what.b_type, what.transpose_b)
        )
        size = elements_dtype(kind).itemsize
        words = tuple(getattr(one.product, side) for one in chain)
        try:
            units = _units(words, rows // form.group, size, not transposed)
        except ValueError as error:
            raise self.batch.fault_here("bad-descriptor", f"{error}; the descriptor is {words[0]:#018x}") from error
        tile = _elements(self.take(first.ctas.reshape(-1), units), kind, form.is_dense)
        tile = tile.transpose(0, 2, 1) if transposed else tile
        return tile if form.group == 1 else tile.reshape(len(first.ctas), rows, -1)

    def _scales(self, chain: list[Issued], side: int, rows: int) -> Array:
        """Codes (products, rows, factors) of the scale factors of A or B; each CTA has those of its rows of A."""
        first = chain[0]
        what, form = first.product.instruction, first.product.form
        per_row, identifier = what.k // form.scale_block, (what.a_scale_id, what.b_scale_id)[side]
        ctas = first.ctas if side == 0 else first.ctas[:, :1]
        parts = []
        for one in chain:
            column = one.product.scales[side] & 0xFFFF
            cells = self.memory.cells[ctas.reshape(-1), :32, column:]
            codes = tensor_memory.scale_factors(cells, rows // ctas.shape[1], per_row, identifier)
            parts.append(codes.reshape(len(first.ctas), rows, per_row))
        return np.concatenate(parts, axis=2)


@lru_cache(maxsize=2048)
def _units(words: tuple[int, ...], rows: int, element_bytes: int, k_major: bool) -> Array:
    """Numbers of the units of the tiles that descriptors name, side by side along k."""
    tiles = [matrix_units(decode_tcgen05(word), rows, DEPTH_BYTES, element_bytes, k_major) for word in words]
    return np.concatenate(tiles, axis=1 if k_major else 0)


def _elements(units: Array, kind: str, is_dense: bool) -> Array:
    """Units (n, rows, units) of 16 bytes -> element bits (n, rows, elements)."""
    bits = units.view(elements_dtype(kind))
    if kind not in _PADDED:
        return bits
    if is_dense:
        return _nibbles(bits)
    return decompress(bits.reshape(*bits.shape[:2], -1, UNIT_BYTES), _PADDED[kind]).reshape(bits.shape)


def _nibbles(octets: Array) -> Array:
    """Bytes (..., k) -> elements of 4 bits (..., 2k), the low half first."""
    return np.stack((octets & 15, octets >> 4), axis=-1).reshape(*octets.shape[:-1], -1)


def elements_dtype(kind: str) -> np.dtype[Any]:
    """The dtype of the bits of one element in memory."""
    found = elements.find(kind)
    assert found is not None
    return found.storage


def bytes_of_unit(kind: str) -> int:
    """Data in a unit of 16 bytes of a tile in shared memory, the rest is padding.

    >>> bytes_of_unit("e4m3"), bytes_of_unit("e2m1"), bytes_of_unit("e3m2")
    (16, 8, 12)
    """
    return 2 * _bits(kind) if kind in _PADDED else UNIT_BYTES


def _bits(kind: str) -> int:
    found = elements.find(kind)
    assert found is not None
    return found.bits
