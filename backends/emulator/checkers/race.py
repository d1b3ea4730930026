"""The race checker: two accesses to the same bytes, one of them a write, that nothing orders.

Accesses of asynchronous engines are checked when they are issued, so that what is found does not depend on when they
happen. CTAs of different batches are unordered, like those of one, unless a release and an acquire through memory
order them; an acquire that reads a release of an earlier batch is taken to order everything before that moment. Stores
of the same value to the same place are no finding, of values that differ in their last bits a warning; atomics and
other strong accesses do not race with each other, and of many readers of a place in global memory the last two are
remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import Clocks, join, joined_by, kinds_in, widened
from backends.emulator.checkers.clusters import ClusterPhases
from backends.emulator.checkers.conflicts import Actors, Conflicts
from backends.emulator.checkers.engines import Engines
from backends.emulator.checkers.groups import Groups
from backends.emulator.checkers.lanes import bit_of, bits_of
from backends.emulator.checkers.launch_state import LaunchState
from backends.emulator.checkers.phases import Phases
from backends.emulator.checkers.releases import Places, Releases
from backends.emulator.checkers.shadow import SharedShadow
from backends.emulator.checkers.sites import Order, granule_bytes, orders_of
from backends.emulator.checkers.stored import Stored
from backends.emulator.checkers.tensor_cores import TensorCoreAccesses
from backends.emulator.checkers.undefined import UndefinedValues
from backends.emulator.fronts import Front, Mask
from backends.emulator.observer import Observer, Words
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
_WAITS = {
    "cp.async.wait_group": ("cp.async", ("cp.async",)),
    "wgmma.wait_group": ("wgmma", ("wgmma",)),
    "bulk.wait_group": ("bulk", ("bulk-read", "bulk-write")),
    "bulk.wait_group.read": ("bulk", ("bulk-read",)),
}
_MEETINGS = ("bar.warp.sync", "warp.exchange")
_COMMITS = {"cp.async.commit_group": "cp.async", "wgmma.commit_group": "wgmma", "bulk.commit_group": "bulk"}


class RaceChecker(Observer):
    """Follows one batch; `state` is that of its launch."""

    def __init__(self, batch: Batch, state: LaunchState) -> None:
        self.batch = batch
        self.state = state
        self.log = state.log
        self.orders = orders_of(batch.program)
        kinds = kinds_in(i.opcode for i in batch.program.instructions)
        self.clocks = Clocks(batch.instances, state.log.now, batch.alive, kinds)
        self.conflicts = Conflicts(batch, self.clocks, state.log, state.findings, self.orders, state.names)
        self.shared = _shared_shadow(batch, len(kinds))
        self.phases = Phases(self.clocks, batch.shared.stride_bytes)
        self.releases = Releases(self.clocks, batch.ctas)
        self.groups = {name: Groups(self.clocks) for name in ("cp.async", "wgmma", "bulk")}
        self.undefined = UndefinedValues(batch, state.findings, self.shared)
        self.engines = Engines(batch, self.conflicts, self.phases, self.shared, state.memory, self.undefined)
        self.tensor_cores = TensorCoreAccesses(batch, self.conflicts, self.phases, self.shared, self.undefined)
        self.places = {"shared": Places(self.shared), "global": state.places}
        self.initialised = np.zeros(batch.instances, np.int64)
        self.barriers: dict[int, Array] = {}
        self.clusters = ClusterPhases(self.clocks, batch.ctas, batch.geometry.cluster_ctas)

    # Values

    @property
    def follows_values(self) -> bool:
        """While some register holds what nothing has written."""
        return self.undefined.some

    def operands(self, front: Front, index: int, guard: Mask | None, predicate: Mask | None) -> None:
        """Follow those values."""
        self.undefined.step(front, index, guard, predicate)

    # Accesses

    def access(
        self, front: Front, space: str, flat: Array, nbytes: int, active: Mask | None, kind: str,
        values: Sequence[Array] | None = None,
    ) -> None:  # fmt: skip
        """Shared and global memory, and the `cp.async` that writes the former."""
        order = self.orders[self.batch.site]
        shadow = {"shared": self.shared, "global": self.state.memory}.get(space)
        if shadow is None or order.is_constant:
            return
        instance, lane, places = lanes_of(front, active, flat)
        if not len(places):
            return
        time = self.log.add(self.batch.site)
        agent = self.clocks.column("cp.async", instance) if kind == "async-store" else instance
        who = Actors(instance, agent, lane)
        cells = shadow.cells(places, nbytes)
        if kind in ("load", "async-load"):
            self.conflicts.read(shadow, who, cells, time, order.is_strong)
        else:
            if kind == "atomic":
                self.conflicts.require_written(shadow, who, cells)
            memory = self.batch.access.spaces[space].units[1]
            stored = None if values is None else Stored(memory, places, values, front, active, shadow.granule)
            self.conflicts.write(shadow, who, cells, time, order.is_strong, stored)
        if self.undefined.some:
            self.undefined.accessed(space, instance, lane, cells, kind not in ("load", "async-load"))
        if order.is_strong:
            self._synchronise(space, instance, lane, cells, order, kind, time)

    def _synchronise(
        self, space: str, instance: Array, lane: Array, cells: Array, order: Order, kind: str, time: int
    ) -> None:
        """A strong access may hand on, or find, what another warp has released."""
        warps, lanes = (np.repeat(x, cells.shape[1]) for x in (instance, lane))
        self.releases.access(
            self.places[space], warps, lanes, cells.reshape(-1), order, kind != "store", kind != "load", time
        )

    # Barriers

    def barrier_arrive(self, front: Front, identifier: int, threads: Any, waits: bool) -> None:
        """What the threads know is handed on when the barrier completes."""
        del threads, waits
        released = self.clocks.released(front.indices(), self.log.now, bits_of(front.full_mask()))
        ctas, rows = joined_by(self.batch.cta_of(front), released)
        pending = self.barriers.get(identifier)
        if pending is None:
            pending = np.zeros((self.batch.ctas, 2, self.clocks.columns), np.int32)
        pending = widened(pending, self.clocks.columns)
        target = pending[ctas]
        join(target, rows)
        pending[ctas] = target
        self.barriers[identifier] = pending

    def barrier(self, identifier: int, fronts: Sequence[Front], done: NDArray[np.bool_]) -> None:
        """Those who waited learn what all who arrived knew."""
        pending = self.barriers[identifier]
        for front in fronts:
            ctas = self.batch.cta_of(front)
            chosen = done[ctas]
            instance, lanes = front.indices()[chosen], bits_of(front.full_mask()[chosen])
            self.clocks.acquire(instance, pending[ctas[chosen]], lanes)
            self.clocks.meet(instance, lanes, self.log.now)
        pending[done] = 0

    def mbarrier(self, front: Front, event: str, words: Words, lanes: Mask) -> None:
        """An object is written by `init` and `inval`, read by all else; an arrival hands on, a wait learns."""
        warp, lane = np.nonzero(lanes)
        instance = front.indices()[warp]
        if not len(instance):
            return
        who = Actors(instance, instance, lane)
        time = self.log.add(self.batch.site)
        cells = self.shared.cells(words * 8, 8)
        if event in ("init", "inval"):
            self.conflicts.write(self.shared, who, cells, time)
            self.phases.init(words)
            self.initialised[instance] = time
            return
        self.conflicts.read(self.shared, who, cells, time, ordered=True)
        is_relaxed = "relaxed" in self.batch.program.instructions[self.batch.site].parts
        if event == "arrive":
            lane_sets = bit_of(lane)
            handed = self.releases.handed if is_relaxed else self._released
            self.phases.arrive(words, handed(instance, lane_sets))
        elif event == "wait":
            warps, lane_sets, rows = self.phases.waited(instance, words, lane)
            if is_relaxed:
                self.releases.find(warps, lane_sets, rows)
            else:
                self.clocks.acquire(warps, rows, lane_sets)

    def _released(self, instance: Array, lanes: Array) -> Array:
        return self.clocks.released(instance, self.log.now, lanes)

    def cluster_barrier(self, clusters: NDArray[np.bool_]) -> None:
        """What arrived is handed to those who wait."""
        self.clusters.complete(clusters)

    def bytes_complete(self, words: Words, nbytes: Array) -> None:
        """Copies have come."""
        self.phases.bytes_complete(words, nbytes)

    def phase_complete(self, words: Words) -> None:
        """What arrived in the phase is handed to those who wait."""
        self.phases.complete(words, self.log.now)

    # Everything else

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Commits, waits and fences; the rest goes to the engines that it is about."""
        mask = front.full_mask() if lanes is None else lanes
        rows = mask.any(axis=1)
        if not rows.any():
            return
        instance, bits, now = front.indices()[rows], bits_of(mask[rows]), self.log.now
        if name in _COMMITS:
            self.groups[_COMMITS[name]].commit(instance, now)
        elif name in _WAITS:
            group, engines = _WAITS[name]
            self.groups[group].wait(instance, bits, detail, engines)
        elif name.startswith(("fence", "membar")):
            self._fence(instance, bits, name)
        elif name.startswith("barrier.cluster"):
            self._cluster(instance, bits, name)
        elif name == "cp.async.wait_all":
            self.clocks.learn(instance, bits, self.clocks.column("cp.async", instance), now)
        elif name == "cp.async.mbarrier.arrive":
            self._arrive_after_copies(front, mask, detail)
        elif name in _MEETINGS:
            (self.clocks.meet if name == "bar.warp.sync" else self.clocks.exchange)(instance, bits, now)
        else:
            engine = self.tensor_cores if name.startswith("tcgen05") else self.engines
            engine.event(front, name, lanes, detail)

    def _cluster(self, instance: Array, lanes: Array, opcode: str) -> None:
        parts = opcode.split(".")
        if "wait" in parts:
            self.clusters.wait(instance, lanes)
        else:
            handed = self.releases.handed if "relaxed" in parts else self._released
            self.clusters.arrive(instance, handed(instance, lanes))

    def _fence(self, instance: Array, lanes: Array, opcode: str) -> None:
        parts = opcode.split(".")
        if "mbarrier_init" in parts:
            self.clocks.fence_own(instance, self.initialised[instance])
            self.releases.fence_init(instance, lanes, self.initialised[instance])
        elif "proxy" in parts:
            if parts[2].startswith("async"):
                self.clocks.fence_proxy(instance, lanes, self.log.now)
        else:
            self.releases.fence(instance, lanes, self.orders[self.batch.site].scope, self.log.now)

    def _arrive_after_copies(self, front: Front, lanes: Mask, words: Words) -> None:
        warp, lane = np.nonzero(lanes)
        instance = front.indices()[warp]
        rows = self.clocks.released(instance, self.log.now, bit_of(lane))
        rows[np.arange(len(rows)), 0, self.clocks.column("cp.async", instance)] = self.log.now
        self.phases.arrive(words, rows)


def lanes_of(front: Front, active: Mask | None, flat: Array) -> tuple[Array, Array, Array]:
    """(instance, lane, flat offset) of each lane that takes part, arrays (lanes,)."""
    if active is None:
        instance = np.repeat(front.indices(), WARP_LANES)
        return instance, np.tile(np.arange(WARP_LANES), front.n), flat.reshape(-1)
    warp, lane = np.nonzero(active)
    return front.indices()[warp], lane, flat[warp, lane]


def _shared_shadow(batch: Batch, kinds: int) -> SharedShadow:
    shared, size, warps = batch.shared, batch.geometry.cluster_ctas, batch.warps_per_cta
    first = np.arange(batch.ctas)[:, None] // size * size
    kind, rank, warp = (x.reshape(1, -1) for x in np.indices((kinds, size, warps)))
    columns = kind * batch.instances + warp * batch.ctas + first + rank
    granule = granule_bytes(batch.program.instructions, "shared")
    return SharedShadow("shared", batch.ctas * shared.stride_bytes, granule, shared.stride_bytes, columns)
