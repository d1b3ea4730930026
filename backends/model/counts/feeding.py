"""Which stores to shared memory feed the loads on which a kernel's way depends, seen in a run of a few CTAs.

Warps tell each other through shared memory what to do, and keep their tiles there too. A slice that knows nothing of
addresses takes every store for one that matters. A run of the slice without its matrix products shows which bytes each
load and each store touch; a store that such a load never meets is left out, one that was not reached is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.faults import LaunchFault
from backends.emulator.fronts import Front, Mask
from backends.emulator.geometry import Geometry
from backends.emulator.observer import Observer
from backends.model.counts.loaded import LoadedSlice, run_ctas
from backends.model.counts.roles import is_product
from backends.model.counts.slicing import slice_program, space_of_store

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Bytes = NDArray[np.bool_]
_READS = frozenset(["load", "atomic"])
_WRITES = frozenset(["store", "async-store", "atomic"])
# Warp instructions after which the products are kept: counted, not timed, so that every machine decides alike.
_BUDGET = 10_000_000


def refined(loaded: LoadedSlice, geometry: Geometry, parameters: bytes) -> LoadedSlice:
    """The same kernel with a slice that leaves out stores to shared memory which feed nothing that matters."""
    sliced = loaded.sliced
    products = {i for i in sliced.kept if is_product(loaded.program.instructions[i])}
    if "shared" not in sliced.spaces or not products:
        return loaded
    without = replace(loaded, sliced=replace(sliced, kept=sliced.kept - products))
    traffic = Traffic()
    first = geometry.cluster_order()[: geometry.cluster_ctas].tolist()
    try:
        run_ctas(without, geometry, parameters, first, traffic, instruction_budget=_BUDGET)
    except LaunchFault:
        # The way depends on the products themselves, or is too long to be watched.
        return loaded
    stores = [i for i, r in enumerate(sliced.roles) if space_of_store(r) == "shared"]
    return replace(loaded, sliced=slice_program(loaded.program, traffic.feeds(stores)))


@dataclass
class Traffic(Observer):
    """Watches everything, and notes which bytes of shared memory each instruction reads and writes."""

    reads: dict[int, Bytes] = field(default_factory=dict)
    writes: dict[int, Bytes] = field(default_factory=dict)
    batch: Any = None

    def watches(self, batch: Batch, front: Front, block: int) -> bool:
        """See `Plan.watches`."""
        del front, block
        self.batch = batch
        batch.observer = self
        return True

    def access(
        self, front: Front, space: str, flat: NDArray[np.int64], nbytes: int, active: Mask | None, kind: str,
        values: Sequence[NDArray[Any]] | None = None,
    ) -> None:  # fmt: skip
        """Note an access."""
        del front, values
        if space != "shared":
            return
        shared = self.batch.shared
        lanes = (flat if active is None else flat[active]).reshape(-1) % shared.stride_bytes
        places = (lanes[:, None] + np.arange(nbytes)).reshape(-1)
        for kinds, table in ((_READS, self.reads), (_WRITES, self.writes)):
            if kind in kinds:
                table.setdefault(self.batch.site, np.zeros(shared.stride_bytes, np.bool_))[places] = True

    def feeds(self, stores: Sequence[int]) -> Mapping[int, frozenset[int]]:
        """Load -> stores that write a byte which it reads, and those that were not seen."""
        found: dict[int, frozenset[int]] = defaultdict(frozenset)
        unseen = {i for i in stores if i not in self.writes}
        for load, read in self.reads.items():
            found[load] = frozenset(unseen | {i for i, written in self.writes.items() if (read & written).any()})
        return dict(found)
