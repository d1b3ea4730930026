"""What the CTAs of a cluster do together: barriers of all their threads, and asynchronous stores to one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.atomics import Update, in_turns
from backends.emulator.fronts import PARKED, Front, Mask, front_of, part_of
from backends.emulator.memory import SharedSpace
from backends.emulator.semantics.table import storage
from backends.emulator.spaces import CLUSTER_RANK_SHIFT, WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
KIND = "st.async"


class ClusterBarrier:
    """`barrier.cluster`: one barrier for each cluster, of all its threads that have not ended."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        shape = (batch.instances, WARP_LANES)
        self._arrived = np.zeros(shape, np.bool_)
        self._passed = np.zeros(shape, np.bool_)
        self._waiting: dict[int, Mask] = {}
        self._names: dict[int, str] = {}
        self._site = 0

    def arrive(self, front: Front, name: str, guard: Mask | None) -> None:
        """Arrive and go on; LaunchFault for a thread that arrives twice with no wait between."""
        active = front.full_mask(guard)
        again = active & (self._arrived | self._passed)[front.warps]
        if again.any():
            lane = np.unravel_index(again.argmax(), again.shape)
            message = "a second `barrier.cluster.arrive` with no `barrier.cluster.wait` between"
            raise self.batch.fault("bad-barrier", message, front, lane, int(again.sum()))
        self._arrived[front.warps] |= active
        self._note(front, name, active)
        self.recheck()

    def wait(self, front: Front, name: str, guard: Mask | None) -> Any:
        """Wait until all threads of the cluster have arrived; returns what a block's function returns."""
        active = front.full_mask(guard)
        passed = self._passed[front.warps] & active
        never = active & ~passed & ~self._arrived[front.warps]
        if never.any():
            lane = np.unravel_index(never.argmax(), never.shape)
            message = "a `barrier.cluster.wait` of a thread that has not arrived"
            raise self.batch.fault("bad-barrier", message, front, lane, int(never.sum()))
        self._passed[front.warps] &= ~passed
        self._note(front, name, passed)
        stay = active & ~passed
        if not stay.any():
            return None
        waiting = self._waiting.setdefault(front.block, np.zeros_like(self._arrived))
        waiting[front.warps] |= stay
        self._names[front.block] = name
        self._site = self.batch.site
        rest = part_of(front, front.full_mask() & ~stay, front.block + 1)
        if rest is not None:
            self.batch.scheduler.push(rest)
        return PARKED

    def recheck(self) -> None:
        """Let the clusters go on in which every thread has arrived or ended."""
        if not self._arrived.any():
            return
        batch = self.batch
        missing = batch.alive & ~self._arrived
        full = ~self._of_clusters(missing) & self._of_clusters(self._arrived)
        if not full.any():
            return
        if batch.observer is not None:
            batch.observer.cluster_barrier(full)
        size = batch.geometry.cluster_ctas
        rows = np.tile(np.repeat(full, size), batch.warps_per_cta)
        self._passed[rows] = self._arrived[rows]
        self._arrived[rows] = False
        for block, lanes in list(self._waiting.items()):
            self._let_go(block, lanes, rows)

    def waiting(self) -> list[str]:
        """Who waits, for the report of a deadlock."""
        if not self._waiting:
            return []
        missing = int((self.batch.alive & ~self._arrived).sum())
        return [
            f"{missing} threads have not arrived at the barrier of their cluster, {self.batch.program.site(self._site)}"
        ]

    def _let_go(self, block: int, lanes: Mask, rows: NDArray[np.bool_]) -> None:
        going = lanes & rows[:, None]
        front = front_of(going, block + 1)
        if front is None:
            return
        self._passed &= ~going
        np.copyto(lanes, False, where=going)
        if not lanes.any():
            del self._waiting[block]
        self._note(front, self._names[block], front.full_mask())
        self.batch.scheduler.push(front)

    def _of_clusters(self, lanes: Mask) -> NDArray[np.bool_]:
        """Whether any thread of each cluster is in `lanes`, shape (clusters,)."""
        batch = self.batch
        grouped = lanes.reshape(batch.warps_per_cta, -1, batch.geometry.cluster_ctas, WARP_LANES)
        return np.asarray(grouped.any(axis=(0, 2, 3)))

    def _note(self, front: Front, name: str, lanes: Mask) -> None:
        if self.batch.observer is not None and lanes.any():
            self.batch.observer.event(front, name, lanes)


@dataclass(frozen=True, eq=False)
class RemoteStore:
    """Stores in flight: element indices (lanes, count), values in the storage type, the mbarrier objects (lanes,).

    `update`: what a `red.async` makes of the old value and the operand.
    """

    index: Array
    values: Array
    words: Array
    update: Update | None


class Clusters:
    """Addresses and asynchronous stores within a cluster."""

    def __init__(self, batch: Batch, shared: SharedSpace) -> None:
        self.batch = batch
        self.shared = shared

    def window(self, front: Front) -> NDArray[np.uint32]:
        """Where each lane's own shared memory begins in its cluster's addresses, shape (n, 32)."""
        if "window" not in front.cache:
            rank = self.batch.cta_of(front) % self.batch.geometry.cluster_ctas
            starts = (rank << CLUSTER_RANK_SHIFT).astype(np.uint32)
            front.cache["window"] = np.repeat(starts[:, None], WARP_LANES, axis=1)
        found: NDArray[np.uint32] = front.cache["window"]
        return found

    def is_own(self, front: Front, address: Array) -> NDArray[np.bool_]:
        """Whether generic addresses lie in the shared memory of the lane's own CTA."""
        rank = (np.asarray(address) >> np.uint64(CLUSTER_RANK_SHIFT)) & np.uint64(0xFF)
        own = self.window(front) >> np.uint32(CLUSTER_RANK_SHIFT)
        return np.asarray(self.batch.in_space(np.asarray(address), "shared") & (rank == own))

    def store(
        self, front: Front, place: tuple[Any, int], kind: str, values: list[Any], update: Update | None,
        barrier: tuple[Any, int], guard: Mask | None,
    ) -> None:  # fmt: skip
        """`st.async` and `red.async`: store now or later; the bytes complete at the mbarrier."""
        active = front.full_mask(guard)
        if not active.any():
            return
        dtype = storage(kind)
        nbytes = dtype.itemsize * len(values)
        lanes = front.active(guard)
        flat = self.shared.flat(front, np.asarray(place[0]), place[1], nbytes, lanes)
        words = self.batch.mbarriers.words_of(front, barrier[0], barrier[1], lanes)[active]
        columns = [np.broadcast_to(v, active.shape)[active] for v in values]
        index = flat[active][:, None] // dtype.itemsize + np.arange(len(values))
        store = RemoteStore(index, np.stack(columns, axis=1).view(dtype), words, update)
        if self.batch.observer is not None:
            self.batch.observer.event(front, "red.async" if update else "st.async", active, (store, flat, nbytes))
        self.batch.agents.issue(KIND, self._perform, store, front, active)

    def _perform(self, stores: list[RemoteStore]) -> None:
        for store in stores:
            units = self.shared.units[store.values.dtype.itemsize].view(store.values.dtype)
            if store.update is None:
                units[store.index] = store.values
            else:
                in_turns(units, store.index.reshape(-1), store.values.reshape(-1), None, store.update)
            nbytes = np.full(len(store.words), store.values.nbytes // len(store.words), np.int64)
            self.batch.mbarriers.complete_bytes(store.words, nbytes)
