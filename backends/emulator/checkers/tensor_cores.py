"""What `tcgen05` touches: products read tiles of shared memory and cells of tensor memory, loads and stores the latter.

Tensor memory is followed by units of 16 lanes and one column. Products and copies of one thread happen in order, so
they never race with each other; everything else needs `tcgen05.wait` (by the warp that issued a load or store) or
`tcgen05.commit` and a wait on its mbarrier (for products and copies). The `tcgen05.fence` that the ISA wants beside
these is not asked for: Triton writes none, nor does it wait before it uses the registers of a load.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.conflicts import Actors, Conflicts
from backends.emulator.checkers.lanes import bit_of, bits_of
from backends.emulator.checkers.phases import Phases
from backends.emulator.checkers.shadow import ALL_LANES, SharedShadow
from backends.emulator.checkers.undefined import UndefinedValues
from backends.emulator.checkers.wording import place_of
from backends.emulator.fronts import Front, Mask
from backends.emulator.tcgen05 import Arrival, CopyIn, Load, Store
from backends.emulator.tcgen05_product import DEPTH_BYTES, Issued, bytes_of_unit, elements_dtype
from backends.emulator.tensor import tensor_memory
from backends.emulator.tensor.descriptors import decode_tcgen05
from backends.emulator.tensor.swizzle import UNIT_BYTES, matrix_units

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
UNIT_LANES = 16
COLUMNS = 512
# Units of a CTA's tensor memory: 128 lanes by 512 columns.
CELLS = 128 // UNIT_LANES * COLUMNS
# Scale factors of so many rows are in one column, in the lowest lanes.
_SCALE_LANES = 32
_WAITS = {"tcgen05.wait::ld": "tcgen05.ld", "tcgen05.wait::st": "tcgen05.st"}


class TensorCoreAccesses:
    """Hands the accesses of tcgen05, when they are issued, to the conflict checks."""

    def __init__(
        self, batch: Batch, conflicts: Conflicts, phases: Phases, shared: SharedShadow, undefined: UndefinedValues
    ) -> None:
        self.undefined = undefined
        self.batch = batch
        self.conflicts = conflicts
        self.clocks = conflicts.clocks
        self.phases = phases
        self.shared = shared
        self.cells = SharedShadow("tensor", batch.ctas * CELLS, 1, CELLS, shared.columns)

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any) -> None:
        """Products, copies, loads, stores, waits and commits."""
        mask = front.full_mask() if lanes is None else lanes
        if name in _WAITS:
            rows = mask.any(axis=1)
            instance = front.indices()[rows]
            column = self.clocks.column(_WAITS[name], instance)
            self.clocks.learn(instance, bits_of(mask[rows]), column, self.conflicts.log.now)
            return
        handlers: dict[type, Any] = {
            Issued: self._multiply, CopyIn: self._copy, Arrival: self._commit, Load: self._move, Store: self._move,
        }  # fmt: skip
        handler = handlers.get(type(detail))
        if handler is not None:
            handler(front, mask, detail)

    # What one thread issues

    def _multiply(self, front: Front, lanes: Mask, issued: Issued) -> None:
        """Reads A and B, reads (where it accumulates) and writes D."""
        time = self.conflicts.log.add(self.batch.site)
        warp, lane = np.nonzero(lanes)
        instance = front.indices()[warp]
        product, what = issued.product, issued.product.instruction
        share = issued.ctas.shape[1]
        sides = [] if product.form.a_in_cells else [(product.a, what.m // share, what.a_type, what.transpose_a)]
        sides.append((product.b, what.n // share, what.b_type, what.transpose_b))
        for position in range(share):
            ctas = issued.ctas[:, position]
            who = self._engine(instance, lane)
            for word, rows, kind, transposed in sides:
                size = elements_dtype(kind).itemsize
                unit_bytes = UNIT_BYTES if product.form.is_dense else bytes_of_unit(kind)
                self._read_tile(who, ctas, word, rows, DEPTH_BYTES, size, not transposed, time, unit_bytes)
            self._touch_cells(who, ctas, issued, time)

    def _touch_cells(self, who: Actors, ctas: Array, issued: Issued, time: int) -> None:
        product, what = issued.product, issued.product.instruction
        if product.form.a_in_cells:
            lanes = tensor_memory.matrix_a_lanes(what.m, product.form.group, product.form.is_stationary) or ()
            self.conflicts.read(self.cells, who, _cells(ctas, lanes, product.a, DEPTH_BYTES // 4), time)
        if product.form.is_scaled:
            for address, rows in zip(product.scales, (what.m // issued.ctas.shape[1], what.n), strict=True):
                factors = _cells(ctas, range(_SCALE_LANES), address, -(-rows // _SCALE_LANES))
                self.conflicts.read(self.cells, who, factors, time)
        target = _cells(ctas, issued.accumulator.lanes, product.d, issued.accumulator.columns)
        if product.accumulate:
            self.conflicts.read(self.cells, who, target, time)
        self.conflicts.write(self.cells, who, target, time)

    def _read_tile(
        self, who: Actors, ctas: Array, word: int, rows: int, depth_bytes: int, element_bytes: int, k_major: bool,
        time: int, unit_bytes: int = UNIT_BYTES,
    ) -> None:  # fmt: skip
        """`unit_bytes`: how many bytes of each unit of 16 are data."""
        try:
            units = matrix_units(decode_tcgen05(word), rows, depth_bytes, element_bytes, k_major)
        except ValueError:
            # The product itself reports a descriptor that it cannot read.
            return
        flat = (ctas * self.batch.shared.stride_bytes)[:, None] + np.unique(units) * UNIT_BYTES
        steps = np.arange(max(unit_bytes >> self.shared.shift, 1))
        cells = ((flat >> self.shared.shift)[:, :, None] + steps).reshape(len(flat), -1)
        self.conflicts.read(self.shared, who, cells, time)
        self.undefined.engine_reads(who.instance, cells)

    def _copy(self, front: Front, lanes: Mask, copy: CopyIn) -> None:
        time = self.conflicts.log.add(self.batch.site)
        warp, lane = np.nonzero(lanes)
        repeats = max(len(copy.ctas) // max(len(warp), 1), 1)
        instance = np.repeat(front.indices()[warp], repeats)
        who, layout = self._engine(instance, np.repeat(lane, repeats)), copy.layout
        self._read_tile(who, copy.ctas, copy.descriptor, layout.rows, layout.row_bytes, 1, True, time)
        reached = [lane for part in layout.lanes for lane in part]
        cells = _cells(copy.ctas, reached, copy.column, layout.row_bytes // 4)
        self.conflicts.write(self.cells, who, cells, time)

    def _commit(self, front: Front, lanes: Mask, arrival: Arrival) -> None:
        warp, lane = np.nonzero(lanes)
        repeats = max(len(arrival.words) // max(len(warp), 1), 1)
        instance = np.repeat(front.indices()[warp], repeats)
        rows = self.clocks.released(instance, self.conflicts.log.now, bit_of(np.repeat(lane, repeats)))
        rows[np.arange(len(rows)), 0, self.clocks.column("tcgen05", instance)] = self.conflicts.log.now
        self.phases.arrive(arrival.words, rows)

    def _engine(self, instance: Array, lane: Array) -> Actors:
        agent = self.clocks.column("tcgen05", instance)
        return Actors(instance, agent, np.full(len(instance), ALL_LANES), is_async=True, issuers=bit_of(lane))

    # What warps issue

    def _move(self, front: Front, lanes: Mask, access: Load | Store) -> None:
        time = self.conflicts.log.add(self.batch.site)
        issuing = front.indices()[lanes.any(axis=1)]
        kind = "tcgen05.st" if isinstance(access, Store) else "tcgen05.ld"
        for place in access.places:
            instance = issuing[place.rows]
            agent = self.clocks.column(kind, instance)
            who = Actors(instance, agent, np.full(len(instance), ALL_LANES), is_async=True)
            height = access.movement.fragment.shape[0]
            for start in access.movement.starts(place.column):
                reached = range(place.lane, place.lane + height)
                cells = _cells(place.ctas, reached, start, access.movement.columns)
                if isinstance(access, Store):
                    self.conflicts.write(self.cells, who, cells, time)
                else:
                    self._load(who, cells, time)

    def _load(self, who: Actors, cells: Array, time: int) -> None:
        """What is read and was never written is followed to where it is used."""
        self.conflicts.read(self.cells, who, cells, time, requires=False)
        never = self.conflicts.unwritten(self.cells, cells)
        if never is not None:
            access, unit = (int(x[0]) for x in np.nonzero(never))
            place = place_of(self.batch, self.cells.name, self.cells.offset(int(cells[access, unit])))
            self.undefined.load(who.instance[never.any(axis=1)], self.batch.site, place)


def _cells(ctas: Array, lanes: Iterable[int], address: int, columns: int) -> Array:
    """Units (CTAs, any) of lanes and `columns` columns from an address (lane in its upper half)."""
    groups = sorted({(lane + (address >> 16)) // UNIT_LANES for lane in lanes})
    inside = (np.array(groups)[:, None] * COLUMNS + (address & 0xFFFF) + np.arange(columns)).reshape(-1)
    cells: Array = (ctas * CELLS)[:, None] + inside
    return cells
