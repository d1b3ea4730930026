"""From a sample of CTAs to what the grid finds in the caches: records tapes, makes waves of them, follows these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.caches import COUNT, GROUPS
from backends.emulator.counters.sizes import CacheSizes
from backends.model.counts.classes import Found
from backends.model.counts.movement import Movement, find_movement
from backends.model.counts.reuse import Reuse, follow
from backends.model.counts.tape import Tape, Windows
from backends.model.counts.units import Units
from backends.model.counts.wave import Lines, groups_for, moved, recorded

Array = NDArray[Any]
# Accesses to lines of one wave that are made up from one CTA's; beyond, its loops are followed in windows.
MOVED_LINES = 1.2e7
RECORDED_LINES = 4e6
# Waves before the one that is followed.
_EARLIER = 2
_VERIFIED = 8
# Of the CTAs, those that must be of one class for the others to be taken as its like.
_ONE_CLASS = 0.9
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
        if movement is not None:
            return Cached(self._follow(*self._moved(movement)), "accesses move with the CTA's position", True)
        lines, before, part = self._recorded()
        told = f"accesses of {part:.0%} of a wave were recorded, for they do not move with the CTA's position"
        return Cached(self._follow(lines, before, part), told, False)

    def _follow(self, wave: Lines, before: Sequence[Lines], part: float = 1.0) -> Reuse:
        followed = float(COUNT[wave.sectors].sum())
        every = self.sectors_per_cta * self.wave * self.size * part
        sizes = CacheSizes(
            self.sizes.machine, self.sizes.l1_bytes, int(self.sizes.l2_bytes * part), self.sizes.sm_count,
            self.sizes.wave_ctas,
        )  # fmt: skip
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
        if sliced.data or sliced.watchful or not is_alike:
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

    def _moved(self, movement: Movement) -> tuple[Lines, list[Lines]]:
        lines = self.lines_per_cta * self._share(MOVED_LINES) * self.wave * self.size
        groups = groups_for(lines)
        waves = [self._positions(start) for start in self._starts()]
        followed, *before = (moved(movement, p, self.sizes.sm_count, groups) for p in waves)
        return followed, before

    def _positions(self, start: int) -> Array:
        stop = min(start + self.wave, self.units.count)
        return np.array([self._position(u) for u in range(start, stop)])

    # Recorded

    def _recorded(self) -> tuple[Lines, list[Lines], float]:
        """A wave and those before it, or part of each; and which part."""
        starts = self._runnable()
        units = [list(range(s, min(s + self.wave, self.units.count))) for s in starts]
        part = min(_WAVES_S / max(2 * self.units.cost_s(sum(map(len, units))), 1e-9), 1.0)
        if part < 1.0:
            units = [u[: max(int(len(u) * part), 1)] for u in units[:1]]
        lines = self.lines_per_cta * self.size * sum(map(len, units))
        share = self._share(RECORDED_LINES / max(part, 1e-3))
        groups = groups_for(lines * share / len(units))
        tape = self._tape([u for wave in units for u in wave], share, groups)
        waves = [recorded(tape, self.units.ctas_of(u), self.sizes.sm_count, groups) for u in units]
        return waves[0], waves[1:], len(units[0]) / self.wave

    def _runnable(self) -> list[int]:
        """Waves that can be run: those at the start, where CTAs wait for earlier ones."""
        starts = self._starts()
        if self.units.launch.loaded.sliced.needs_memory:
            return [0] if len(starts) == 1 else [self.wave, 0]
        return starts[:2]

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
        counts = self.units.run(order)
        ctas = self.units.ctas_of(order)
        by_cta = dict(zip(ctas.tolist(), counts.reshape(-1, *counts.shape[2:]), strict=True))
        plan = Windows(by_cta, share, self.opcodes, groups)
        self.units.run(order, plan, streamed=True)
        return plan.recorder.tape()
