"""Named barriers of a CTA: `bar.sync`, `bar.arrive`, `bar.red`, counted in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import PARKED, Front, Mask, part_of
from backends.emulator.program import Row
from backends.emulator.spaces import WARP_LANES

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

BARRIERS = 16


@dataclass
class _Arrival:
    """Threads that wait; `values` is what each hands to a reduction, `target` the row that gets its result."""

    front: Front
    site: int
    reduction: str = ""
    values: NDArray[Any] | None = None
    target: Row | None = None


class _Barrier:
    """One barrier in all CTAs of the batch. `arrived`: threads so far; `expected`: 0 means all threads of the CTA."""

    def __init__(self, batch: Batch) -> None:
        self.arrived = np.zeros(batch.ctas, np.int64)
        self.expected = np.zeros(batch.ctas, np.int64)
        self.waiting: list[_Arrival] = []


class NamedBarriers:
    """The 16 barriers of each CTA."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._barriers: dict[int, _Barrier] = {}

    def sync(
        self, front: Front, number: Any, threads: Any, guard: Mask | None, reduction: str = "", values: Any = None,
        target: Row | None = None,
    ) -> Any:  # fmt: skip
        """Arrive and wait; returns what a block's function returns."""
        if threads is None and not reduction and self._meets_all(front, number, guard):
            return front.block + 1
        active = front.active(guard)
        for identifier, chosen in self._by_number(front, number, active):
            part = part_of(front, chosen, front.block + 1)
            assert part is not None
            arrival = _Arrival(part, self.batch.site, reduction, None, target)
            if values is not None:
                whole = np.zeros((self.batch.instances, WARP_LANES), np.bool_)
                whole[front.warps] = np.broadcast_to(values, (front.n, WARP_LANES))
                arrival.values = whole
            self._arrive(identifier, part, threads, waits=True)
            self._barriers[identifier].waiting.append(arrival)
            self._release(identifier)
        if active is not None:
            rest = part_of(front, front.full_mask() & ~active, front.block + 1)
            if rest is not None:
                self.batch.scheduler.push(rest)
        return PARKED

    def arrive(self, front: Front, number: Any, threads: Any, guard: Mask | None) -> None:
        """Arrive and go on."""
        for identifier, chosen in self._by_number(front, number, front.active(guard)):
            part = part_of(front, chosen, front.block)
            assert part is not None
            self._arrive(identifier, part, threads, waits=False)
            self._release(identifier)

    def recheck(self) -> None:
        """Threads have ended: barriers of all threads of a CTA may now be complete."""
        for identifier, barrier in self._barriers.items():
            if barrier.waiting:
                self._release(identifier)

    def waiting(self) -> list[str]:
        """Who waits where, for the report of a deadlock."""
        lines = []
        for identifier, barrier in self._barriers.items():
            for arrival in barrier.waiting:
                warps = sorted({int(i) // self.batch.ctas for i in arrival.front.indices()})
                cta = int(self.batch.cta_of(arrival.front)[0])
                expected = barrier.expected[cta] or self._threads(cta)
                lines.append(
                    f"warps {warps} wait at barrier {identifier}, {barrier.arrived[cta]} of {expected} threads have"
                    f" arrived, at {self.batch.program.site(arrival.site)}"
                )
        return lines

    def _meets_all(self, front: Front, number: Any, guard: Mask | None) -> bool:
        """Whether every thread of the batch arrives at one barrier, where none waits: it opens at once."""
        if guard is not None or front.mask is not None or front.n != self.batch.instances:
            return False
        if self.batch.observer is not None or not isinstance(number, int) or number >= BARRIERS:
            return False
        barrier = self._barriers.get(number)
        is_fresh = barrier is None or not (barrier.waiting or barrier.arrived.any())
        return is_fresh and bool(self.batch.alive.all())

    def _by_number(self, front: Front, number: Any, active: Mask | None) -> list[tuple[int, Mask]]:
        chosen = front.full_mask() if active is None else active
        if not chosen.any():
            return []
        numbers = np.broadcast_to(number, chosen.shape)
        values = np.unique(numbers[chosen])
        if int(values[-1]) >= BARRIERS:
            bad = chosen & (numbers >= BARRIERS)
            lane = np.unravel_index(bad.argmax(), bad.shape)
            raise self.batch.fault("bad-barrier", f"barrier {int(values[-1])}, a CTA has {BARRIERS}", front, lane)
        return [(int(v), chosen & (numbers == v)) for v in values]

    def _arrive(self, identifier: int, part: Front, threads: Any, waits: bool) -> None:
        if self.batch.observer is not None:
            self.batch.observer.barrier_arrive(part, identifier, threads, waits)
        barrier = self._barriers.setdefault(identifier, _Barrier(self.batch))
        # Threads of an arriving warp that have ended or never existed count as arrived with it.
        lanes = np.full(part.n, WARP_LANES) if part.mask is None else part.mask.sum(axis=1)
        dead = WARP_LANES - self.batch.alive[part.warps].sum(axis=1)
        ctas = self.batch.cta_of(part)
        if threads is None:
            np.add.at(barrier.arrived, ctas, lanes)
            return
        np.add.at(barrier.arrived, ctas, lanes + dead)
        wanted = np.broadcast_to(threads, (part.n, WARP_LANES))[:, 0].astype(np.int64)
        if (wanted % WARP_LANES).any():
            raise self.batch.fault(
                "bad-barrier", f"{int(wanted[0])} threads, which is not a multiple of {WARP_LANES}", part, (0, 0)
            )
        barrier.expected[ctas] = wanted

    def _threads(self, cta: int) -> int:
        return int(self.batch.alive[cta :: self.batch.ctas].sum())

    def _release(self, identifier: int) -> None:
        barrier = self._barriers[identifier]
        alive = self.batch.alive.reshape(self.batch.warps_per_cta, self.batch.ctas, WARP_LANES).sum(axis=(0, 2))
        expected = np.where(barrier.expected > 0, barrier.expected, alive)
        done = (barrier.arrived >= expected) & (barrier.arrived > 0)
        if not done.any():
            return
        if self.batch.observer is not None:
            self.batch.observer.barrier(identifier, [a.front for a in barrier.waiting], done)
        self._reduce(barrier, done)
        barrier.arrived[done] = 0
        barrier.expected[done] = 0
        waiting, barrier.waiting = barrier.waiting, []
        for arrival in waiting:
            self._let_go(barrier, arrival, done[self.batch.cta_of(arrival.front)])

    def _let_go(self, barrier: _Barrier, arrival: _Arrival, released: NDArray[np.bool_]) -> None:
        front = arrival.front
        if released.all():
            self.batch.scheduler.push(front)
            return
        mask = front.full_mask()
        on = part_of(front, mask & released[:, None], front.block)
        stay = part_of(front, mask & ~released[:, None], front.block)
        if on is not None:
            self.batch.scheduler.push(on)
        assert stay is not None
        arrival.front = stay
        barrier.waiting.append(arrival)

    def _reduce(self, barrier: _Barrier, done: NDArray[np.bool_]) -> None:
        """Write the result of `bar.red` to the threads of the CTAs that are done."""
        arrivals = [a for a in barrier.waiting if a.values is not None]
        if not arrivals:
            return
        shape = (self.batch.warps_per_cta, self.batch.ctas, WARP_LANES)
        taking = np.zeros((self.batch.instances, WARP_LANES), np.bool_)
        truth = np.zeros_like(taking)
        for arrival in arrivals:
            mask = arrival.front.full_mask()
            assert arrival.values is not None
            taking[arrival.front.warps] |= mask
            truth[arrival.front.warps] |= arrival.values[arrival.front.warps] & mask
        counts = truth.reshape(shape).sum(axis=(0, 2))
        totals = taking.reshape(shape).sum(axis=(0, 2))
        results = {"popc": counts, "and": counts == totals, "or": counts > 0}
        for arrival in arrivals:
            self._give(arrival, results[arrival.reduction], done)

    def _give(self, arrival: _Arrival, result: NDArray[Any], done: NDArray[np.bool_]) -> None:
        assert arrival.target is not None
        front = arrival.front
        ctas = self.batch.cta_of(front)
        mask = front.full_mask() & done[ctas][:, None]
        warp, lane = np.nonzero(mask)
        register = self.batch.registers[arrival.target.width][arrival.target.index]
        register[front.indices()[warp], lane] = result[ctas[warp]]
