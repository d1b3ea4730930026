"""`tcgen05`: products, copies, loads and stores of tensor memory, asynchronous and in the order of issue.

Products, copies and commits of a batch are one queue; products that follow one another on the same accumulator are
done as one product along k. Stores are a queue of their own, which `tcgen05.wait::st` drains. A load is done when it is
issued: compilers move uses of its registers in front of `tcgen05.wait::ld`, which orders it for other threads alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import SharedSpace
from backends.emulator.tcgen05_product import Product, Products
from backends.emulator.tensor import instruction_descriptors, tensor_memory
from backends.emulator.tensor.descriptors import decode_tcgen05
from backends.emulator.tensor.fragments import Fragment
from backends.emulator.tensor.swizzle import matrix_units
from backends.emulator.tensor_memory import TensorMemory, uniform, whole_warps

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
KIND = "tcgen05"
STORES = "tcgen05.st"
_CHUNK_LANES = 32
_CHUNKS = 4


@dataclass(frozen=True)
class Movement:
    """A `tcgen05.ld` or `.st`: its layout, whether halves are packed, the column of the second half of 16x32bx2."""

    fragment: Fragment
    packs: bool
    half: int | None

    @property
    def columns(self) -> int:
        """Columns that one access takes from its address (each half of `16x32bx2` has as many)."""
        width = self.fragment.shape[1] * (2 if self.packs else 1)
        return width if self.half is None else width // 2

    def starts(self, column: int) -> tuple[int, ...]:
        """First columns of the runs that are accessed."""
        return (column,) if self.half is None else (column, column + self.half)


@dataclass(frozen=True, eq=False)
class Place:
    """Warps of one access that go to the same cells: their rows in the access, CTAs, first lane and column."""

    rows: Array
    ctas: Array
    lane: int
    column: int


@dataclass(frozen=True, eq=False)
class Load:
    """A load: what moves, from where."""

    movement: Movement
    places: tuple[Place, ...]


@dataclass(frozen=True, eq=False)
class Store:
    """A store in flight; `values` are the registers, shape (count, warps, 32)."""

    movement: Movement
    places: tuple[Place, ...]
    values: Array


@dataclass(frozen=True, eq=False)
class CopyIn:
    """A `tcgen05.cp` in flight: of these CTAs, by one descriptor, to one address."""

    layout: tensor_memory.Copy
    ctas: Array
    descriptor: int
    lane: int
    column: int


@dataclass(frozen=True, eq=False)
class Arrival:
    """A `tcgen05.commit`: one arrival at each mbarrier object of `words`."""

    words: Array


class TensorCores:
    """The `tcgen05` instructions of a batch."""

    def __init__(self, batch: Batch, shared: SharedSpace, memory: TensorMemory) -> None:
        self.batch = batch
        self.shared = shared
        self.memory = memory
        self.products = Products(batch, shared, memory)

    # Between registers and tensor memory

    def load(self, front: Front, movement: Movement, address: Any, offset: int, guard: Mask | None) -> Array:
        """`tcgen05.ld`: the registers (count, n, 32)."""
        rows = whole_warps(self.batch, front, guard)
        values = np.zeros((movement.fragment.registers, front.n, 32), np.uint32)
        if len(rows):
            load = Load(movement, self._places(front, movement, address, offset, rows))
            self.note(front, "tcgen05.ld", guard, load)
            for place in load.places:
                values[:, rows[place.rows]] = self._loaded(movement, place)
        return values

    def store(
        self, front: Front, movement: Movement, address: Any, offset: int, values: list[Any], guard: Mask | None
    ) -> None:
        """`tcgen05.st`: the registers are read now, the cells are written later."""
        rows = whole_warps(self.batch, front, guard)
        if not len(rows):
            return
        whole = np.empty((len(values), front.n, 32), np.uint32)
        for target, value in zip(whole, values, strict=True):
            target[...] = value
        store = Store(movement, self._places(front, movement, address, offset, rows), whole[:, rows])
        self.note(front, "tcgen05.st", guard, store)
        self.batch.agents.issue(STORES, self._store, store, front, guard)

    def wait(self, front: Front, which: str, guard: Mask | None) -> None:
        """`tcgen05.wait::ld` and `::st`: everything that the threads have issued is complete."""
        if which == "st":
            self.batch.agents.wait(STORES, front, -1, guard)
        self.note(front, f"tcgen05.wait::{which}", guard)

    # What a single thread issues

    def multiply(
        self, front: Front, form: Any, d: Any, a: Any, b: Any, descriptor: Any, accumulate: Any, shift: int,
        disabled: list[Any] | None, scales: tuple[Any, Any] | None, guard: Mask | None,
    ) -> None:  # fmt: skip
        """`tcgen05.mma` of each active thread."""
        values = [d, a, b, descriptor, accumulate, *(scales or (0, 0)), *(disabled or ())]
        for row, ctas, lanes, words in self._issuers(front, values, guard):
            d_word, a_word, b_word, code, accumulates, *rest = words
            try:
                instruction = instruction_descriptors.decode(code, form.kind)
            except ValueError as error:
                raise self.batch.fault("bad-descriptor", f"{error}; it is {code:#010x}", front, (row, 0)) from error
            assert instruction is not None
            product = Product(
                form, instruction, d_word, a_word, b_word, bool(accumulates), shift, (rest[0], rest[1]), tuple(rest[2:])
            )
            issued = self.products.checked(front, row, product, ctas)
            self._issue(front, "tcgen05.mma", lanes, issued, closes=False)

    def copy(
        self, front: Front, layout: tensor_memory.Copy, group: int, address: Any, descriptor: Any, guard: Mask | None
    ) -> None:
        """`tcgen05.cp` of each active thread; with `cta_group::2` both CTAs copy, each from its own shared memory."""
        for row, ctas, lanes, (cell, word) in self._issuers(front, [address, descriptor], guard):
            both = self.products.pairs(front, ctas, group).reshape(-1)
            lane, column = self.memory.require(front, row, both, cell, 1, layout.row_bytes // 4)
            self._issue(front, "tcgen05.cp", lanes, CopyIn(layout, both, word, lane, column), closes=False)

    def commit(self, front: Front, group: int, address: Any, offset: int, multicast: Any, guard: Mask | None) -> None:
        """`tcgen05.commit`: an arrival at the mbarrier when all that was issued before is complete."""
        del group
        active = front.full_mask(guard)
        if not active.any():
            return
        words = self.batch.mbarriers.words_of(front, address, offset, front.active(guard))[active]
        if multicast is not None:
            words = self._to_cluster(words, np.broadcast_to(multicast, active.shape)[active])
        self._issue(front, "tcgen05.commit", active, Arrival(words), closes=True)

    def note(self, front: Front, name: str, guard: Mask | None, detail: Any = None) -> None:
        """Tell the observer."""
        if self.batch.observer is not None:
            self.batch.observer.event(front, name, front.active(guard), detail)

    def _issue(self, front: Front, name: str, lanes: Mask, payload: Any, closes: bool) -> None:
        self.note(front, name, lanes, payload)
        self.batch.agents.issue(KIND, self._perform, payload, front, lanes, closes)

    def _issuers(
        self, front: Front, values: list[Any], guard: Mask | None
    ) -> Iterator[tuple[int, Array, Mask, list[int]]]:
        """The active threads by equal operands: (a row of the front, CTAs, lanes, operands)."""
        active = front.full_mask(guard)
        rows, lanes = np.nonzero(active)
        if not len(rows):
            return
        ctas = self.batch.cta_of(front)[rows]
        columns = [np.broadcast_to(v, active.shape)[rows, lanes].astype(np.uint64) for v in values]
        # A CTA that issues twice in one instruction does so in turns.
        columns.append(_turns(ctas).astype(np.uint64))
        table = np.stack(columns, axis=1)
        same = (table == table[0]).all()
        words, inverse = (
            (table[:1], np.zeros(len(rows), np.int64)) if same else np.unique(table, axis=0, return_inverse=True)
        )
        for number, row_words in enumerate(words):
            chosen = inverse.reshape(-1) == number
            mask = np.zeros_like(active)
            mask[rows[chosen], lanes[chosen]] = True
            yield int(rows[chosen][0]), ctas[chosen], mask, [int(w) for w in row_words[:-1]]

    def _to_cluster(self, words: Array, masks: Array) -> Array:
        """The same objects in each CTA of the cluster whose bit is set."""
        stride, size = self.shared.stride_bytes // 8, self.batch.geometry.cluster_ctas
        first = words // stride // size * size
        targets = [
            (int(base) + rank) * stride + int(word) % stride
            for base, word, mask in zip(first, words, masks, strict=True)
            for rank in range(size)
            if int(mask) >> rank & 1
        ]
        return np.array(targets, np.int64)

    # What happens when they complete

    def _perform(self, payloads: list[Any]) -> None:
        for kind, run in groupby(payloads, key=type):
            same = list(run)
            if kind is Arrival:
                self._arrive(same)
            elif kind is CopyIn:
                self._copy_in(same)
            else:
                self.products.perform(same)

    def _arrive(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            ones = np.ones(len(arrival.words), np.int64)
            self.batch.mbarriers.change(arrival.words, ones, np.zeros_like(ones))

    def _copy_in(self, copies: list[CopyIn]) -> None:
        for copy in copies:
            layout = copy.layout
            try:
                units = _rows(copy.descriptor, layout.rows, layout.row_bytes)
            except ValueError as error:
                raise self.batch.fault_here("bad-descriptor", f"{error}; it is {copy.descriptor:#018x}") from error
            words = self.products.take(copy.ctas, units).view(np.uint32)
            columns = slice(copy.column, copy.column + layout.row_bytes // 4)
            part = layout.rows // len(layout.lanes)
            for index, lanes in enumerate(layout.lanes):
                rows = words[:, index * part : (index + 1) * part]
                copies_of = np.tile(rows, (1, len(lanes) // part, 1))
                self.memory.cells[copy.ctas[:, None], lanes[None, :], columns] = copies_of

    def _loaded(self, movement: Movement, place: Place) -> Array:
        """Registers (count, warps, 32) of the warps of one place."""
        runs = [self.memory.cells[self._cells(place, movement, start)] for start in movement.starts(place.column)]
        cells = np.concatenate(runs, axis=2) if len(runs) > 1 else runs[0]
        return movement.fragment.scatter(tensor_memory.pack_pairs(cells) if movement.packs else cells)

    def _store(self, stores: list[Store]) -> None:
        for store in stores:
            movement = store.movement
            for place in store.places:
                cells = movement.fragment.gather(store.values[:, place.rows])
                cells = tensor_memory.unpack_pairs(cells) if movement.packs else cells
                starts = movement.starts(place.column)
                for start, part in zip(starts, np.split(cells, len(starts), axis=2), strict=True):
                    self.memory.cells[self._cells(place, movement, start)] = part

    def _cells(self, place: Place, movement: Movement, column: int) -> tuple[Any, slice, slice]:
        lanes = slice(place.lane, place.lane + movement.fragment.shape[0])
        return run_of(place.ctas), lanes, slice(column, column + movement.columns)

    def _places(self, front: Front, movement: Movement, address: Any, offset: int, rows: Array) -> tuple[Place, ...]:
        """The warps by what they access; each may access the 32 lanes of its number in the warpgroup alone."""
        words = uniform(self.batch, front, address, rows) + offset
        warps, ctas = front.indices()[rows] // self.batch.ctas, self.batch.cta_of(front)[rows]
        keys = warps % _CHUNKS << 32 | words
        found = []
        for key in np.unique(keys):
            chosen = np.flatnonzero(keys == key)
            first, height = int(rows[chosen[0]]), movement.fragment.shape[0]
            for start in movement.starts(0):
                word = int(key & 0xFFFFFFFF) + start
                lane, _ = self.memory.require(front, first, ctas[chosen], word, height, movement.columns)
            chunk = int(key >> 32)
            if lane // _CHUNK_LANES != chunk or lane % _CHUNK_LANES + height > _CHUNK_LANES:
                message = (
                    f"lanes {lane} to {lane + height - 1} of tensor memory; warp {int(warps[chosen[0]])} may access"
                )
                bounds = f"{chunk * _CHUNK_LANES} to {chunk * _CHUNK_LANES + _CHUNK_LANES - 1}"
                raise self.batch.fault("tensor-memory-lanes", f"{message} {bounds}", front, (first, 0))
            found.append(Place(chosen, ctas[chosen], lane, int(key & 0xFFFF)))
        return tuple(found)


def run_of(ctas: Array) -> Any:
    """Indices as a slice where they follow one another, so that NumPy makes a view."""
    first, last = int(ctas[0]), int(ctas[-1])
    return slice(first, last + 1) if last - first == len(ctas) - 1 and (np.diff(ctas) == 1).all() else ctas


def _turns(ctas: Array) -> Array:
    """How many times each CTA has occurred before."""
    if len(np.unique(ctas)) == len(ctas):
        return np.zeros(len(ctas), np.int64)
    order = np.argsort(ctas, kind="stable")
    ordered = ctas[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    turns = np.empty(len(ctas), np.int64)
    turns[order] = np.arange(len(ctas)) - np.repeat(starts, np.diff(np.r_[starts, len(ctas)]))
    return turns


@lru_cache(maxsize=1024)
def _rows(descriptor: int, rows: int, row_bytes: int) -> Array:
    return matrix_units(decode_tcgen05(descriptor), rows, row_bytes, 1, True)
