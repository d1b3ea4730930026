"""From a sample of CTAs to what the grid finds in the caches: records tapes, makes waves of them, follows these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import COUNT, GROUPS
from backends.emulator.counters.sizes import CacheSizes
from backends.model.counts.classes import Found
from backends.model.counts.contention import busiest_shares
from backends.model.counts.movement import Movement, find_movement
from backends.model.counts.reuse import Reuse, follow
from backends.model.counts.tape import Firsts, Tape, Windows
from backends.model.counts.units import Units
from backends.model.counts.wave import Lines, groups_for, moved, recorded

Array = NDArray[Any]
# Accesses to lines of one wave that are made up from one CTA's; beyond, its loops are followed in windows.
MOVED_LINES = 1.2e7
RECORDED_LINES = 1e6
# Waves before the one that is followed.
_EARLIER = 2
_VERIFIED = 8
# Units whose atomics are compared.
_CONTENDING = 8
# Of the CTAs, those that must be of one class for the others to be taken as its like.
_ONE_CLASS = 0.75
# Seconds for running whole waves where accesses do not move with the position.
_WAVES_S = 4.0


@dataclass(frozen=True, eq=False)
class Cached:
    """Shares by instruction, and in words how they were found."""

    reuse: Reuse
    told: str
    is_moved: bool


@dataclass
class Caching:
    """The launch's units, its classes, cache sizes, and accesses to lines and sectors of one CTA on average."""

    units: Units
    found: Found
    sizes: CacheSizes
    lines_per_cta: float
    sectors_per_cta: float
    random: np.random.Generator

    def __post_init__(self) -> None:
        program = self.units.launch.loaded.program
        self.opcodes = [i.parts for i in program.instructions]
        self.size = self.units.size
        self.wave = max(min(self.sizes.wave_ctas // self.size, self.units.count), 1)
        self.waves = self.units.count / self.wave

    def cached(self) -> Cached:
        """Follow a wave in the middle of the grid."""
        movement = self._movement()
        if movement is not None and movement.steps is not None:
            shifts = [movement.shifts(self._positions(start)) for start in self._starts()]
            return Cached(self._follow(*self._moved(movement, shifts)), "accesses move with the CTA's position", True)
        if movement is not None and (units := self._measurable()):
            told = "accesses are alike but for where they go, which was measured for every CTA"
            return Cached(self._follow(*self._moved(movement, self._measured(movement, units))), told, True)
        lines, before, part = self._recorded()
        told = f"accesses of {part:.0%} of a wave were recorded, none inferred"
        return Cached(self._follow(lines, before, part), told, False)

    def busiest_shares(self) -> Array:
        """Of the atomics of each instruction, the share that meets at one line; see `contention`.

        None where CTAs wait for each other: a few of them cannot be run alone.
        """
        units, width = self.units, len(self.opcodes)
        has_atomics = any({"atom", "red"} & set(parts) for parts in self.opcodes)
        if not has_atomics or units.launch.loaded.sliced.watchful or units.count < 2:
            return np.zeros(width)
        chosen = self.random.choice(units.count, min(units.count, _CONTENDING), replace=False)
        return busiest_shares(self._tape(chosen.tolist(), self._share(RECORDED_LINES), GROUPS), width)

    def _follow(self, wave: Lines, before: Sequence[Lines], part: float = 1.0) -> Reuse:
        followed = float(COUNT[wave.sectors].sum())
        every = self.sectors_per_cta * self.wave * self.size * part
        sizes = replace(self.sizes, l2_bytes=int(self.sizes.l2_bytes * part))
        return follow(wave, before, self.waves, every / max(followed, 1.0), sizes, len(self.opcodes))

    def _starts(self) -> list[int]:
        """First units of the wave in the middle of the grid, and of those before it."""
        middle = int(self.waves / 2) if self.waves > 1 else 0
        return [wave * self.wave for wave in range(middle, max(middle - _EARLIER, 0) - 1, -1)]

    # Moved

    def _movement(self) -> Movement | None:
        sliced = self.units.launch.loaded.sliced
        order = np.argsort(-self.found.weights)
        best = int(order[0])
        is_alike = self.found.weights[best] >= _ONE_CLASS * self.units.count
        # Where the grid is one wave that runs side by side, recording all of it takes no longer than some of it.
        is_small = self.waves <= 1 and self.units.fit_one_batch
        if sliced.data or sliced.watchful or is_small or not is_alike:
            return None
        chosen = self._chosen(best)
        if chosen is None:
            return None
        axes, units = chosen
        tapes = self._tapes(units, self._share(MOVED_LINES))
        positions = [self._position(u) for u in units]
        return find_movement(list(zip(positions, tapes, strict=True)), axes)

    def _chosen(self, label: int) -> tuple[list[int], list[int]] | None:
        """Axes, and units of the class: one, its neighbour on each axis, and some more; None without neighbours."""
        labels = self.found.labels
        axes = [axis for axis, extent in enumerate(labels.extent) if extent > 1]
        mine = sorted(u for u, k in labels.of.items() if k == label)
        for origin in sorted(mine, key=lambda u: abs(u - self.units.count // 2)):
            near = [self._neighbour(origin, axis) for axis in axes]
            labels.ensure(near)
            if all(labels.of[u] == label for u in near):
                others = [u for u in self.random.permutation(mine).tolist() if u not in (origin, *near)]
                return axes, [origin, *near, *others[:_VERIFIED]]
        return None

    def _neighbour(self, unit: int, axis: int) -> int:
        labels = self.found.labels
        position = list(labels.position(unit))
        position[axis] += 1 if position[axis] + 1 < labels.extent[axis] else -1
        return labels.number(position)

    def _position(self, unit: int) -> tuple[int, int, int]:
        return self.found.labels.position(unit)

    def _moved(self, movement: Movement, shifts: Sequence[Array]) -> tuple[Lines, list[Lines]]:
        lines = self.lines_per_cta * self._share(MOVED_LINES) * self.wave * self.size
        groups = groups_for(lines)
        followed, *before = (moved(movement, wave, self.sizes.sm_count, groups) for wave in shifts)
        return followed, before

    def _positions(self, start: int) -> Array:
        return np.array([self._position(u) for u in self._wave_at(start)])

    def _wave_at(self, start: int) -> range:
        return range(start, min(start + self.wave, self.units.count))

    # Measured

    def _measurable(self) -> list[range]:
        """The wave and those before it, as far as there is time to run all of their CTAs."""
        waves = [self._wave_at(start) for start in self._starts()]
        while waves and self.units.cost_s(sum(map(len, waves))) > _WAVES_S:
            waves.pop()
        return waves

    def _measured(self, movement: Movement, waves: Sequence[range]) -> list[Array]:
        """Shifts of each wave."""
        plan = Firsts(self.opcodes)
        origin = self.found.labels.number(movement.origin)
        self.units.run(sorted({origin, *(u for wave in waves for u in wave)}), plan, streamed=True)
        firsts = plan.recorder.tape()
        at = int(self.units.ctas_of([origin])[0])
        return [movement.measured(firsts, at, self.units.ctas_of(wave)[:: self.size]) for wave in waves]

    # Recorded

    def _recorded(self) -> tuple[Lines, list[Lines], float]:
        """A wave and those before it, or part of each; and which part."""
        units = [list(wave) for wave in self._runnable()]
        part = min(_WAVES_S / max(2 * self.units.cost_s(sum(map(len, units))), 1e-9), 1.0)
        if part < 1.0:
            units = [u[: max(int(len(u) * part), 1)] for u in units[:1]]
        lines = self.lines_per_cta * self.size * sum(map(len, units))
        share = self._share(RECORDED_LINES)
        groups = groups_for(lines * share / len(units))
        tape = self._tape([u for wave in units for u in wave], share, groups)
        waves = [recorded(tape, self.units.ctas_of(u), self.sizes.sm_count, groups) for u in units]
        return waves[0], waves[1:], len(units[0]) / self.wave

    def _runnable(self) -> list[range]:
        """The wave and the one before it; where CTAs wait for earlier ones, the first, as far as it was run."""
        if self.units.launch.loaded.sliced.needs_memory:
            return [range(min(self.wave, len(self.found.labels.of)))]
        return [self._wave_at(start) for start in self._starts()[:2]]

    # Tapes

    def _share(self, limit: float) -> float:
        """The share of long loops that can be followed in a wave."""
        return min(limit / max(self.lines_per_cta * self.wave * self.size, 1.0), 1.0)

    def _tapes(self, units: Sequence[int], share: float) -> list[Tape]:
        """The tape of each unit; CTAs of a cluster one after the other."""
        whole = self._tape(sorted(units), share, GROUPS)
        return [Tape.joined([whole.of(int(cta)) for cta in self.units.ctas_of([unit])]) for unit in units]

    def _tape(self, units: Sequence[int], share: float, groups: int) -> Tape:
        order = sorted(units)
        labels = self.found.labels
        labels.ensure(order)
        counts = np.stack([labels.counts_of(u) for u in order])
        ctas = self.units.ctas_of(order)
        by_cta = dict(zip(ctas.tolist(), counts.reshape(-1, *counts.shape[2:]), strict=True))
        plan = Windows(by_cta, share, self.opcodes, groups)
        self.units.run(order, plan, streamed=True)
        return plan.recorder.tape()
