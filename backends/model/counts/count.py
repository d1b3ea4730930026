"""Counts a launch: classes of CTAs by what their warps execute, then what the accesses of each class cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.sectors import SECTOR_BYTES
from backends.emulator.counters.sizes import CacheSizes
from backends.emulator.counters.watch import Watched
from backends.model.counts.caching import Caching
from backends.model.counts.classes import Found, Labels, at_random, every, find_classes, in_order
from backends.model.counts.launch import Launch
from backends.model.counts.recorder import Lines, Strata
from backends.model.counts.result import Column, CtaClass, KernelCounts, MemoryCounts
from backends.model.counts.sizes import launch_sizes
from backends.model.counts.units import Units
from ir.machine import Machine

Array = NDArray[np.float64]
# Seconds for running more CTAs than the rule needs, so that nothing has to be inferred.
EVERY_CTA_S = 1.0
# Nominal seconds in all.
COST_LIMIT_S = 240.0
# Classes whose accesses are measured by themselves; those of all others together.
MEASURED_CLASSES = 6
_MEMBERS = 4
_KEPT_MEMBERS = 256
_COLUMNS = (
    "requests", "sectors", "lines", "tag_passes", "global_wavefronts", "shared_requests", "shared_wavefronts", "bytes",
    "copies",
)  # fmt: skip


def count(launch: Launch, machine: Machine, seed: int = 0) -> KernelCounts:
    """Counts of a launch on a machine, of which the caches matter.

    Raises UserError for a launch that faults, and `budget-spent` for one whose CTAs all wait for each other and that is
    too large to be run.
    """
    return _Counting(launch, machine, seed).counts()


@dataclass
class _Counting:
    launch: Launch
    machine: Machine
    seed: int

    def __post_init__(self) -> None:
        self.units = Units(self.launch, COST_LIMIT_S)
        self.random = np.random.default_rng(self.seed)

    def counts(self) -> KernelCounts:
        launch, geometry = self.launch, self.launch.geometry
        found = self._found()
        classes = self._classes(found)
        memory = self._memory(found)
        sizes = launch_sizes(launch, self.machine)
        caching = self._caching(found, memory, sizes)
        cached = caching.cached()
        reuse = cached.reuse
        memory = replace(
            memory,
            l1_hit_share=np.nan_to_num(reuse.l1_hits),
            l2_hit_share=np.nan_to_num(reuse.l2_hits),
            l2_near_share=np.nan_to_num(reuse.near, nan=1.0),
            l2_sectors=memory.sectors * np.where(np.isnan(reuse.onward), 1.0, reuse.onward),
            busiest_line=memory.lines * caching.busiest_shares(),
        )
        # What no followed CTA did is taken to touch something new each time.
        unique = np.nan_to_num(reuse.unique, nan=1.0)
        program, touchable = launch.loaded.program, launch.loaded.arena.used_bytes
        return KernelCounts(
            grid=geometry.grid,
            ctas=geometry.ctas,
            block=geometry.block,
            cluster=geometry.cluster,
            block_starts=tuple(block.start for block in program.blocks),
            sites=tuple(program.site(i) for i in range(len(program.instructions))),
            classes=classes,
            memory=memory,
            dram_read_bytes=SECTOR_BYTES * float(memory.l2_sectors @ np.nan_to_num(reuse.reads)),
            dram_write_bytes=SECTOR_BYTES * float(memory.l2_sectors @ np.nan_to_num(reuse.writes)),
            # Waves that touch what others than the last two have touched are counted again: not beyond all buffers.
            unique_bytes=min(SECTOR_BYTES * float(memory.sectors @ unique), float(touchable)),
            wave_ctas=sizes.wave_ctas,
            ran_ctas=self.units.ran,
            is_regular=found.is_regular,
            checks=(*found.checks, cached.told),
            assumed=tuple(sorted(launch.loaded.sliced.assumed)),
        )

    def _caching(self, found: Found, memory: MemoryCounts, sizes: CacheSizes) -> Caching:
        ctas = self.launch.geometry.ctas
        lines, sectors = float(memory.lines.sum()) / ctas, float(memory.sectors.sum()) / ctas
        return Caching(self.units, found, sizes, lines, sectors, self.random)

    def _found(self) -> Found:
        """The classes of units: of all where CTAs may wait for others, else as few as show them."""
        sliced = self.launch.loaded.sliced
        labels = Labels(self.units.extent, self._run)
        if sliced.watchful and not self.launch.cooperative:
            return in_order(labels, self._affordable)
        if self.launch.cooperative or self.units.fit_one_batch:
            return every(labels)
        if sliced.data:
            return at_random(labels, self.random, self._affordable, ("data decides what CTAs do",))
        return find_classes(labels, self.random, self._affordable)

    def _affordable(self, units: int) -> bool:
        return self.units.cost_s(units) <= EVERY_CTA_S

    def _run(self, units: Sequence[int]) -> NDArray[np.int32]:
        return self.units.run(units)

    def _classes(self, found: Found) -> tuple[CtaClass, ...]:
        """Classes of CTAs, from those of units: CTAs of one cluster may differ."""
        lengths = self.launch.loaded.lengths
        members: dict[int, list[int]] = {}
        for unit, label in found.labels.of.items():
            members.setdefault(label, []).append(unit)
        weights: dict[bytes, float] = {}
        ran: dict[bytes, list[int]] = {}
        counts: dict[bytes, NDArray[np.int32]] = {}
        # Units that were run again, with more before them, may have left the class that they were in at first.
        for label, example in ((k, e) for k, e in enumerate(found.labels.examples) if k in members):
            ctas = self.units.ctas_of(members[label]).reshape(-1, self.units.size)
            for rank, one in enumerate(example):
                key = one.tobytes()
                counts[key] = one
                weights[key] = weights.get(key, 0.0) + found.weights[label]
                ran.setdefault(key, []).extend(ctas[:_KEPT_MEMBERS, rank].tolist())
        keys = sorted((k for k in weights if weights[k] > 0), key=lambda k: -weights[k])
        return tuple(
            CtaClass(
                weights[k], ran[k][0], np.array(ran[k][:_KEPT_MEMBERS]), counts[k].astype(np.int64),
                np.repeat(counts[k].astype(np.int64), lengths, axis=1),
            )
            for k in keys
        )  # fmt: skip

    def _memory(self, found: Found) -> MemoryCounts:
        """Columns of the grid: those of each group of classes, by how often it executes each instruction."""
        lengths = self.launch.loaded.lengths
        instructions = int(lengths.sum())
        total = {name: np.zeros(instructions) for name in ("executions", *_COLUMNS)}
        for labels in self._groups(found):
            executed = sum(found.weights[k] * found.labels.examples[k].sum(axis=(0, 1)) for k in labels)
            executions = np.repeat(np.asarray(executed, float), lengths)
            total["executions"] += executions
            for name, each in self._each(found, labels).items():
                total[name] += each * executions
        nothing = np.zeros(instructions)
        return MemoryCounts(
            **total, l1_hit_share=nothing, l2_hit_share=nothing, l2_near_share=nothing,
            l2_sectors=total["sectors"].copy(), busiest_line=nothing,
        )  # fmt: skip

    @property
    def _in_order(self) -> bool:
        """Whether CTAs must run with all those before them."""
        return self.launch.cooperative or bool(self.launch.loaded.sliced.watchful)

    def _groups(self, found: Found) -> list[list[int]]:
        """Classes whose accesses are measured together."""
        order = [k for k in np.argsort(-found.weights).tolist() if found.weights[k] > 0]
        if self._in_order:
            return [order]
        alone = [[k] for k in order[:MEASURED_CLASSES]]
        return [*alone, order[MEASURED_CLASSES:]] if order[MEASURED_CLASSES:] else alone

    def _each(self, found: Found, labels: Sequence[int]) -> dict[str, Column]:
        """Columns for one execution of each instruction by a warp of these classes."""
        launch, program = self.launch, self.launch.loaded.program
        tag_banks = 1 << round(math.log2(self.machine.rates["l1_tags_per_cycle"]))
        lines = Lines(len(program.instructions), tag_banks)
        watched = Watched([i.parts for i in program.instructions], lines)
        chosen = self._members(found, labels)
        most = np.max([found.labels.examples[k].max(axis=(0, 1)) for k in labels], axis=0)
        plan = Strata(most, self.random, watched)
        self.units.run(chosen, plan)
        seen = np.repeat(plan.seen, launch.loaded.lengths)
        columns = watched.columns
        raw = {
            "requests": columns["global_requests"] + columns["local_requests"],
            "sectors": columns["global_sectors"] + columns["local_sectors"] + lines.copied,
            "lines": lines.lines,
            "tag_passes": lines.tag_passes,
            "global_wavefronts": columns["global_wavefronts"],
            "shared_requests": columns["shared_requests"],
            "shared_wavefronts": columns["shared_wavefronts"],
            "bytes": columns["global_bytes"] + columns["tma_read_bytes"] + columns["tma_write_bytes"],
            "copies": columns["tma_copies"],
        }
        return {name: np.divide(column, seen, out=np.zeros(len(seen)), where=seen > 0) for name, column in raw.items()}

    def _members(self, found: Found, labels: Sequence[int]) -> list[int]:
        """Units to watch: some of each class, all of them where they wait for each other."""
        if self._in_order:
            return sorted(found.labels.of)
        each = max(_MEMBERS, 2 * _MEMBERS // len(labels)) if len(labels) == 1 else 1
        members: dict[int, list[int]] = {k: [] for k in labels}
        for unit in self.random.permutation(sorted(found.labels.of)).tolist():
            mine = members.get(found.labels.of[unit])
            if mine is not None and len(mine) < each:
                mine.append(unit)
        return sorted(u for units in members.values() for u in units)[: 4 * _MEMBERS]
