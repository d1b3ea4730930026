"""The counters of one launch: block counts of every batch, accesses of those that are watched, scaled to all.

What is watched is scaled instruction by instruction, by how often all warps executed it over how often the watched ones
did. That is exact where every CTA is watched or where warps do not differ, and an estimate otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.executed import Executed
from backends.emulator.counters.kinds import Kinds
from backends.emulator.counters.metrics import METRICS
from backends.emulator.counters.sizes import CacheSizes
from backends.emulator.counters.stream import CACHE_COLUMNS, Stream
from backends.emulator.counters.sums import Sums
from backends.emulator.counters.watch import Watch, Watched
from backends.emulator.geometry import Geometry
from backends.profile import Profile

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Column = NDArray[np.float64]
_WRITES = "l2_write_sectors"


class Counting:
    """Counts a launch of a kernel; about `watched_ctas` CTAs at most are followed access by access."""

    def __init__(self, kinds: Kinds, geometry: Geometry, sizes: CacheSizes, watched_ctas: int) -> None:
        self.kinds = kinds
        self.geometry = geometry
        self.watched_ctas = watched_ctas
        count = len(kinds.opcodes)
        self.every, self.seen = Executed.of(count), Executed.of(count)
        self.stream = Stream(kinds.opcodes, sizes)
        self.watched = Watched(kinds.opcodes, self.stream)

    def wants(self, batch: int, size: int) -> bool:
        """Whether batch number `batch` of `size` CTAs is watched: they are spread evenly, and the first is one."""
        batches = -(-self.geometry.ctas // size)
        wanted = max(self.watched_ctas // size, 1)
        return self.watched_ctas >= self.geometry.ctas or batch * wanted % batches < wanted

    def observe(self, batch: Batch) -> Watch:
        """The observer of a watched batch."""
        return Watch(batch, self.watched)

    def end(self, batch: Batch, is_watched: bool) -> None:
        """A batch has ended."""
        self.every.add(batch)
        if is_watched:
            self.seen.add(batch)
            self.stream.end_batch(batch.ctas)

    def profile(self) -> Profile:
        """What was counted."""
        self.stream.flush()
        return _Result(self).profile()


@dataclass(frozen=True)
class _Result:
    counting: Counting

    def profile(self) -> Profile:
        counting = self.counting
        sums = Sums(self.columns, counting.kinds, self.singles, counting.watched.tensor_paths)
        counters, estimated = {}, set()
        for metric in METRICS:
            sums.used.clear()
            value = metric.value(sums)
            if value is None:
                continue
            counters[metric.name] = value
            if any(self.is_estimate.get(name, False) for name in sums.used):
                estimated.add(metric.name)
        sites = counting.kinds.sites
        return Profile(counters, frozenset(estimated), counting.every.ctas, counting.seen.ctas, sites, self.columns)

    @cached_property
    def scale(self) -> Column:
        """By instruction, executions of all warps over those of watched ones."""
        every, seen = self.counting.every.warps, self.counting.seen.warps
        return np.divide(every, seen, out=np.zeros(len(every)), where=seen > 0)

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        counting = self.counting
        warps, threads = counting.every.warps.astype(float), counting.every.threads.astype(float)
        seen = {**counting.watched.columns, **counting.stream.columns}
        scaled = {name: column * self.scale for name, column in seen.items()}
        guarded = counting.kinds.guarded
        # What no watched warp reached is taken to be executed by all threads that stood there.
        on = np.where(guarded & (counting.seen.warps > 0), scaled["thread_inst_executed_pred_on"], threads)
        branches = counting.kinds.mask((("base", ("bra", "brx")),)) & guarded
        return {
            "inst_executed": warps, "thread_inst_executed": threads, **scaled, "thread_inst_executed_pred_on": on,
            "thread_operations": on * counting.kinds.weights, "branches": warps * branches,
            "tensor_ops": warps * counting.kinds.tensor_ops + scaled["tensor_ops"],
        }  # fmt: skip

    @cached_property
    def is_estimate(self) -> Mapping[str, bool]:
        """By column, whether anything in it was scaled."""
        counting = self.counting
        apart = counting.every.warps != counting.seen.warps
        exact = ("inst_executed", "thread_inst_executed", "branches")
        flags = {
            name: name not in exact and bool((apart & (column > 0)).any()) for name, column in self.columns.items()
        }
        guarded = counting.kinds.guarded
        dynamic = counting.watched.columns["tensor_ops"] > 0
        on = bool((apart & guarded).any())
        flags |= {
            "thread_inst_executed_pred_on": on,
            "thread_operations": on,
            "tensor_ops": bool((apart & dynamic).any()),
        }
        partial = counting.every.ctas != counting.seen.ctas or counting.stream.is_sampled
        flags |= {name: flags[name] or partial for name in CACHE_COLUMNS if name != "l1_sectors"}
        return {**flags, "written_back_sectors": partial, "dirty_sectors": partial}

    @cached_property
    def singles(self) -> Mapping[str, float]:
        """Sectors written back are scaled as the sectors written are."""
        counting, stream = self.counting, self.counting.stream
        seen = sum(float(stream.columns[name].sum()) for name in (_WRITES, "l2_atomic_sectors"))
        every = sum(float(self.columns[name].sum()) for name in (_WRITES, "l2_atomic_sectors"))
        scale = every / seen if seen else 0.0
        return {
            "warps_launched": float(-(-counting.geometry.threads // 32) * counting.every.ctas),
            "written_back_sectors": stream.written_back * scale, "dirty_sectors": stream.dirty_sectors * scale,
        }  # fmt: skip
