"""Finds accesses that nothing orders, by comparing a shadow's epochs with the clocks of those who access now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.clocks import FENCED, SEEN, Clocks
from backends.emulator.checkers.lanes import bits_of
from backends.emulator.checkers.log import EventLog, Findings
from backends.emulator.checkers.shadow import ALL_LANES, TIME_SHIFT, Shadow, SharedShadow, agent_of, epochs_of, lane_of
from backends.emulator.checkers.sites import Order
from backends.emulator.checkers.stored import Stored
from backends.emulator.checkers.wording import BARRIER_FENCE, ROUNDING, WARNINGS, Conflict, describe, place_of
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
_EVERY_LANE = (1 << WARP_LANES) - 1


@dataclass(frozen=True)
class Matters:
    """Of (indices of accesses, indices of units in them): where two values differ; whether all do in last bits only."""

    differ: Callable[[Array, Array], Array]
    is_rounding: Callable[[Array, Array], bool]


@dataclass(frozen=True)
class Actors:
    """Who makes `n` accesses: the warp that issued each, the agent that does it, the lane; arrays (n,).

    `issuers`: the lanes, as sets, whose knowledge counts; without it that is `lane`.
    """

    instance: Array
    agent: Array
    lane: Array
    is_async: bool = False
    issuers: Array | None = None

    def lanes(self, index: int) -> int:
        """The set of lanes that issued an access."""
        if self.issuers is not None:
            return int(self.issuers[index])
        lane = int(self.lane[index])
        return _EVERY_LANE if lane == ALL_LANES else 1 << lane


class Conflicts:
    """Checks accesses of a batch against shadows and keeps the shadows."""

    def __init__(
        self,
        batch: Batch,
        clocks: Clocks,
        log: EventLog,
        findings: Findings,
        orders: tuple[Order, ...],
        names: frozenset[str],
    ) -> None:
        self.batch = batch
        self.clocks = clocks
        self.log = log
        self.findings = findings
        self.orders = orders
        self.races, self.init = "race" in names, "init" in names

    def read(
        self, shadow: Shadow, who: Actors, cells: Array, time: int, ordered: bool = False, requires: bool = True
    ) -> None:
        """Accesses that read `cells` (n, units) at `time`; `ordered`: strong, which do not race with strong ones.

        `requires`: what is read must have been written.
        """
        epochs = shadow.write[cells]
        if requires:
            self.require_written(shadow, who, cells)
        self._compare("read-after-write", shadow, who, cells, epochs, ordered)
        self._compare_fenced(shadow, who, cells, epochs)
        shadow.note_read(cells, epochs_of(time, who.agent, who.lane)[:, None])
        if isinstance(shadow, SharedShadow):
            shadow.note_reads(cells, self.reader_of(who), time)

    def complete_at(self, shadow: Shadow, who: Actors, cells: Array) -> None:
        """An asynchronous engine will complete at the mbarrier objects in `cells`: it must see them initialised."""
        epochs = shadow.write[cells]
        self._compare("read-after-write", shadow, who, cells, epochs, False)
        self._compare_fenced(shadow, who, cells, epochs, BARRIER_FENCE)

    def write(
        self, shadow: Shadow, who: Actors, cells: Array, time: int, ordered: bool = False, stored: Stored | None = None
    ) -> None:
        """Accesses that write `cells` (n, units) at `time`; `stored`: the values, where they are known."""
        epochs = shadow.write[cells]
        matters = Matters(stored.changes, stored.changes_last_bits) if stored else None
        self._compare("write-after-write", shadow, who, cells, epochs, ordered, matters)
        if isinstance(shadow, SharedShadow):
            self._compare_readers(shadow, who, cells, ordered)
        else:
            for readers in shadow.readers(cells):
                self._compare("write-after-read", shadow, who, cells, readers, ordered)
        mine = epochs_of(time, who.agent, who.lane)[:, None]
        shadow.note_write(cells, mine)
        if stored is not None and not ordered:
            self._compare_lanes(shadow, who, cells, mine, stored)

    def reader_of(self, who: Actors) -> Array:
        """Index of each agent among the readers of its cluster's shared memory."""
        kind = who.agent // self.clocks.instances
        ctas, size = self.batch.ctas, self.batch.geometry.cluster_ctas
        warp, rank = who.instance // ctas, who.instance % ctas % size
        reader: Array = (kind * size + rank) * self.batch.warps_per_cta + warp
        return reader

    def require_written(self, shadow: Shadow, who: Actors, cells: Array) -> None:
        """Units that are read must have been written, by the kernel or before it."""
        never = self.unwritten(shadow, cells)
        if never is not None:
            access, unit = (int(x[0]) for x in np.nonzero(never))
            place = place_of(self.batch, shadow.name, shadow.offset(int(cells[access, unit])))
            thread = self.batch.thread_at(int(who.instance[access]), min(int(who.lane[access]), WARP_LANES - 1))
            self.findings.add(
                "uninitialised", f"{place} is read, and nothing has written it",
                self.batch.program.site(self.batch.site), thread, count=int(never.any(axis=1).sum()),
            )  # fmt: skip

    def unwritten(self, shadow: Shadow, cells: Array) -> Array | None:
        """Which units hold nothing, shape as `cells`; None for none, or where nobody asks."""
        if not self.init:
            return None
        epochs = shadow.write[cells]
        if epochs.all():
            return None
        never: Array = epochs == 0
        if shadow.written_before is not None:
            never &= ~shadow.written_before[cells]
        return never if never.any() else None

    # Comparisons

    def _compare(
        self, rule: str, shadow: Shadow, who: Actors, cells: Array, epochs: Array, ordered: bool,
        matters: Matters | None = None,
    ) -> None:  # fmt: skip
        late = self._unordered(epochs, who, are_reads=rule == "write-after-read")
        if late.any():
            self._report(rule, shadow, who, cells, epochs, late, ordered, matters)

    def _unordered(self, epochs: Array, who: Actors, are_reads: bool = False) -> Array:
        """Which earlier accesses are not known to have happened before."""
        time, agent = epochs >> TIME_SHIFT, self._agent(epochs)
        instance = who.instance[:, None]
        late: Array = time > self.clocks.known[instance, SEEN, agent]
        own = agent == instance
        if own.any():
            other_lane = lane_of(epochs) != who.lane[:, None]
            late |= own & other_lane & (time > self._synced(who, are_reads)[:, None])
        if self._is_in_order(who):
            late &= agent != who.agent[:, None]
        return late & ~self._known_apart(late, who, SEEN, agent, time)

    def _known_apart(self, asked: Array, who: Actors, plane: int, agent: Array, time: Array) -> Array:
        """Where the lanes that access know more than their whole warp does; only where it is `asked`."""
        found = np.zeros(asked.shape, np.bool_)
        if not self.clocks.lanes.rows or not asked.any():
            return found
        for index in np.flatnonzero(asked.reshape(len(asked), -1).any(axis=1)).tolist():
            warp, lanes = int(who.instance[index]), who.lanes(index)
            if warp in self.clocks.lanes.rows:
                lanes &= int(bits_of(self.clocks.alive[warp : warp + 1])[0])
                found[index] = self.clocks.known_apart(warp, lanes, plane, agent[index], time[index])
        return found

    def _is_in_order(self, who: Actors) -> bool:
        """Whether the engine does what one warp issues in order."""
        agent = int(who.agent[0])
        is_engine = who.is_async and agent < self.clocks.past
        return is_engine and bool(self.clocks.in_order[agent // self.clocks.instances])

    def _synced(self, who: Actors, are_reads: bool) -> Array:
        lane = np.minimum(who.lane, WARP_LANES - 1)
        synced = np.maximum(self.clocks.synced, self.clocks.exchanged) if are_reads else self.clocks.synced
        return np.where(who.lane == ALL_LANES, synced[who.instance].min(axis=1), synced[who.instance, lane])

    def _agent(self, epochs: Array) -> Array:
        """Agents of earlier batches are one."""
        start = self.clocks.start << TIME_SHIFT
        return np.where(epochs < start, self.clocks.past, agent_of(epochs)) if start else agent_of(epochs)

    def _compare_fenced(
        self, shadow: Shadow, who: Actors, cells: Array, epochs: Array, rule: str = "proxy-fence"
    ) -> None:
        """What an asynchronous engine reads must have been fenced if a thread, or `cp.async`, wrote it.

        What it overwrites need not: compilers leave that fence out (after `tcgen05.alloc`, `mbarrier.init`).
        """
        if not who.is_async:
            return
        time, agent = epochs >> TIME_SHIFT, self._agent(epochs)
        instance = who.instance[:, None]
        known = self.clocks.known
        late = (agent < self.clocks.generic_columns) & (time > known[instance, FENCED, agent])
        seen = time <= known[instance, SEEN, agent]
        late &= seen | self._known_apart(late & ~seen, who, SEEN, agent, time)
        late &= ~self._known_apart(late, who, FENCED, agent, time)
        if late.any():
            self._report(rule, shadow, who, cells, epochs, late, ordered=False)

    def _compare_readers(self, shadow: SharedShadow, who: Actors, cells: Array, ordered: bool) -> None:
        columns = shadow.columns[cells[:, 0] // shadow.stride_cells]
        known = self.clocks.known[who.instance[:, None], SEEN, columns]
        times = shadow.reads[cells]
        late = times > known[:, None, :]
        if self._is_in_order(who):
            late &= (columns != who.agent[:, None])[:, None, :]
        late &= ~self._known_apart(late, who, SEEN, np.broadcast_to(columns[:, None, :], late.shape), times)
        if late.any():
            access, unit, reader = np.nonzero(late)
            agent = columns[access, reader]
            epochs = np.zeros(cells.shape, np.int64)
            epochs[access, unit] = epochs_of(0, agent, np.full(len(agent), ALL_LANES)) | (
                times[access, unit, reader].astype(np.int64) << TIME_SHIFT
            )
            self._report("write-after-read", shadow, who, cells, epochs, epochs != 0, ordered)
        # Readers of the same warp: the lane matters.
        epochs = shadow.recent[cells]
        own = agent_of(epochs) == who.instance[:, None]
        if own.any():
            late = own & self._unordered(epochs, who, are_reads=True)
            if late.any():
                self._report("write-after-read", shadow, who, cells, epochs, late, ordered)

    def _compare_lanes(self, shadow: Shadow, who: Actors, cells: Array, mine: Array, stored: Stored) -> None:
        """Lanes of one instruction that wrote the same place: only one of them is in the shadow now."""
        winner = shadow.write[cells]
        lost = winner != mine
        if lost.any():
            matters = Matters(
                partial(stored.disagrees, cells=cells), partial(stored.disagrees_in_last_bits, cells=cells)
            )
            self._report("write-after-write", shadow, who, cells, winner, lost, False, matters)

    # Reports

    def _report(
        self, rule: str, shadow: Shadow, who: Actors, cells: Array, epochs: Array, late: Array, ordered: bool,
        matters: Matters | None = None,
    ) -> None:  # fmt: skip
        if not self.races:
            return
        access, unit = np.nonzero(late)
        times = epochs[access, unit] >> TIME_SHIFT
        for time in np.unique(times):
            chosen = np.flatnonzero(times == time)
            site = self.log.sites[time]
            if ordered and self.orders[site].is_strong:
                continue
            told = rule
            if matters is not None:
                chosen = chosen[matters.differ(access[chosen], unit[chosen])]
                if not len(chosen):
                    continue
                # Compilers let threads that hold the same value all store it, rounded as each has computed it.
                if site == self.batch.site and matters.is_rounding(access[chosen], unit[chosen]):
                    told = ROUNDING
            self._add(told, shadow, who, cells, epochs, access[chosen], unit[chosen], site)

    def _add(
        self, rule: str, shadow: Shadow, who: Actors, cells: Array, epochs: Array, access: Array, unit: Array, site: int
    ) -> None:
        first, at = int(access[0]), int(unit[0])
        epoch = int(epochs[first, at])
        conflict = Conflict(
            rule, shadow.name, shadow.offset(int(cells[first, at])), int(who.instance[first]), int(who.agent[first]),
            int(who.lane[first]), int(self._agent(epochs[first, at])), epoch >> TIME_SHIFT, epoch & ALL_LANES, site,
        )  # fmt: skip
        message = describe(conflict, self.batch, self.clocks)
        thread = self.batch.thread_at(conflict.instance, min(conflict.lane, WARP_LANES - 1))
        program = self.batch.program
        count = len(np.unique(access))
        severity = "warning" if rule in WARNINGS else "error"
        self.findings.add(rule, message, program.site(self.batch.site), thread, program.site(site), count, severity)
