"""Follows the accesses of a batch: requests, sectors, wavefronts, guards, divergence and copies, by instruction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backends.emulator.bulk import RunCopy, TensorCopy
from backends.emulator.counters.banks import Wavefronts
from backends.emulator.counters.classify import source_of, tensor_path
from backends.emulator.counters.sectors import SECTOR_BYTES, Touched, touched, touched_local
from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import LocalSpace
from backends.emulator.observer import Observer
from backends.emulator.spaces import GLOBAL_BASE
from backends.emulator.tcgen05_product import Issued
from backends.emulator.tensor.boxes import Box

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
_KINDS = {"load": "load", "async-load": "load", "store": "store", "async-store": "store", "atomic": "atomic"}
_CONSTANT = ("param", "const")
COLUMNS = (
    "thread_inst_executed_pred_on", "global_requests", "global_sectors", "global_bytes", "global_wavefronts",
    "local_requests", "local_sectors", "shared_requests", "shared_wavefronts", "shared_bank_conflicts",
    "branches_divergent", "tma_copies", "tma_read_bytes", "tma_write_bytes", "tensor_ops",
)  # fmt: skip


class Sink(Protocol):
    """Takes accesses to global and local memory."""

    def add(self, site: int, step: int, space: str, kind: str, sectors: Array, ctas: Array, requests: Array) -> None:
        """One instruction: sector numbers, the CTA and the request (any number) of each; `step` counts in its batch."""


class Watched:
    """What was seen in the batches that were watched, by instruction: `columns` of COLUMNS, each (instructions,)."""

    def __init__(self, opcodes: Sequence[tuple[str, ...]], stream: Sink) -> None:
        self.columns = {name: np.zeros(len(opcodes)) for name in COLUMNS}
        self.is_constant = [any(p.partition("::")[0] in _CONSTANT for p in parts) for parts in opcodes]
        self.wavefronts = Wavefronts()
        self.tensor_paths: dict[int, str] = {}
        self.stream = stream

    def add(self, name: str, index: int, amount: float | np.integer[Any]) -> None:
        """Count `amount` more at an instruction."""
        self.columns[name][index] += amount


class Watch(Observer):
    """The observer of one batch."""

    def __init__(self, batch: Batch, watched: Watched) -> None:
        self.batch = batch
        self.watched = watched
        self.step = 0
        self._memory = {"global": self._global, "local": self._local, "shared": self._shared}
        self._events: dict[str, Callable[[Front, Mask, Any], None]] = {
            "bulk.tensor_load": self._tensor_copy, "bulk.tensor_store": self._tensor_copy,
            "bulk.run_load": self._run_copy, "bulk.run_store": self._run_copy, "bulk.run_to_cluster": self._run_copy,
            "tcgen05.mma": self._product,
        }  # fmt: skip

    # Control

    def guard(self, front: Front, index: int, guard: Mask) -> None:
        """Count the threads whose guard holds."""
        mask = guard if front.mask is None else guard & front.mask
        self.watched.add("thread_inst_executed_pred_on", index, np.count_nonzero(mask))

    def branch(self, front: Front, taken: Mask) -> None:
        """Count the warps whose threads part."""
        lanes = np.count_nonzero(front.mask, axis=1) if front.mask is not None else taken.shape[1]
        count = np.count_nonzero(taken, axis=1)
        divergent = np.count_nonzero((count > 0) & (count < lanes))
        self.watched.add("branches_divergent", self.batch.program.blocks[front.block][-1], divergent)

    # Accesses by threads

    def access(
        self, front: Front, space: str, flat: Array, nbytes: int, active: Mask | None, kind: str,
        values: Sequence[Array] | None = None,
    ) -> None:  # fmt: skip
        """Count the access by its space; parameters and constants have a cache of their own."""
        del values
        if not self.watched.is_constant[self.batch.site]:
            self._memory[space](front, flat, nbytes, active, _KINDS[kind])

    def _global(self, front: Front, flat: Array, nbytes: int, active: Mask | None, kind: str) -> None:
        site, found = self.batch.site, touched(flat, nbytes, active)
        self.watched.add("global_bytes", site, nbytes * (flat.size if active is None else np.count_nonzero(active)))
        # The data of an L1 line lie in the banks of shared memory.
        passes, _ = self.watched.wavefronts.count(flat, nbytes, active, "line load" if kind == "load" else kind)
        self.watched.add("global_wavefronts", site, passes.sum())
        self._note("global", front, found, kind)

    def _local(self, front: Front, flat: Array, nbytes: int, active: Mask | None, kind: str) -> None:
        size = local_bytes(self.batch)
        warps = self._numbers(front) * self.batch.warps_per_cta + front.indices() // self.batch.ctas
        self._note("local", front, touched_local(flat % size, nbytes, active, warps, size), kind)

    def _note(self, space: str, front: Front, found: Touched, kind: str) -> None:
        site = self.batch.site
        self.watched.add(f"{space}_requests", site, found.requests)
        self.watched.add(f"{space}_sectors", site, len(found.sectors))
        self._stream(space, kind, found.sectors, self._numbers(front)[found.rows], found.rows)

    def _shared(self, front: Front, flat: Array, nbytes: int, active: Mask | None, kind: str) -> None:
        del front
        passes, conflicts = self.watched.wavefronts.count(flat, nbytes, active, kind)
        site = self.batch.site
        self.watched.add("shared_requests", site, np.count_nonzero(passes))
        self.watched.add("shared_wavefronts", site, passes.sum())
        self.watched.add("shared_bank_conflicts", site, conflicts.sum())

    def _stream(self, space: str, kind: str, sectors: Array, ctas: Array, requests: Array) -> None:
        self.step += 1
        self.watched.stream.add(self.batch.site, self.step, space, kind, sectors, ctas, requests)

    def _numbers(self, front: Front) -> Array:
        """Linear index in the grid of each instance's CTA, (n,)."""
        numbers: Array = self.batch.numbers[self.batch.cta_of(front)]
        return numbers

    # Engines

    def event(self, front: Front, name: str, lanes: Mask | None, detail: Any = None) -> None:
        """Count bulk copies, and the products of `tcgen05.mma`, whose shapes are operands."""
        handler = self._events.get(name)
        if handler is not None:
            handler(front, front.full_mask() if lanes is None else lanes, detail)

    def _tensor_copy(self, front: Front, lanes: Mask, copy: TensorCopy) -> None:
        runs = [
            sectors_of_box(self.batch.bulk.box_of(copy), i, copy.map.address - GLOBAL_BASE)
            for i in range(len(copy.shared))
        ]
        self._copy(front, lanes, runs, copy.word is not None, copy.reduction is not None)

    def _run_copy(self, front: Front, lanes: Mask, copy: RunCopy) -> None:
        loads = copy.word is not None
        if "global" not in self.batch.program.instructions[self.batch.site].opcode:
            self.watched.add("tma_copies", self.batch.site, len(copy.target))
            return
        starts = copy.source if loads else copy.target
        runs = [sectors_of_run(s, n) for s, n in zip(starts.tolist(), copy.nbytes.tolist(), strict=True)]
        self._copy(front, lanes, runs, loads, copy.reduction is not None)

    def _copy(self, front: Front, lanes: Mask, runs: list[Array], loads: bool, reduces: bool) -> None:
        """Copies past the L1; a multicast reads once for all its targets."""
        rows = np.nonzero(lanes)[0]
        copies = max(len(runs) // max(len(rows), 1), 1)
        runs = runs[::copies]
        site = self.batch.site
        self.watched.add("tma_copies", site, len(rows))
        sectors = np.concatenate(runs)
        self.watched.add("tma_read_bytes" if loads else "tma_write_bytes", site, len(sectors) * SECTOR_BYTES)
        ctas = np.repeat(self._numbers(front)[rows], [len(run) for run in runs])
        requests = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
        self._stream("tma", "load" if loads else "atomic" if reduces else "store", sectors, ctas, requests)

    def _product(self, front: Front, lanes: Mask, issued: Issued) -> None:
        del front, lanes
        shape = issued.product.instruction
        self.watched.tensor_paths[self.batch.site] = tensor_path(source_of(shape.a_type), shape.d_type)
        self.watched.add("tensor_ops", self.batch.site, 2.0 * shape.m * shape.n * shape.k * len(issued.ctas))


def local_bytes(batch: Batch) -> int:
    """Bytes of one thread's own memory."""
    space = batch.access.spaces["local"]
    assert isinstance(space, LocalSpace)
    return space.nbytes


def sectors_of_run(start: int, nbytes: int) -> Array:
    """Sector numbers of a run of bytes."""
    return np.arange(start // SECTOR_BYTES, -(-(start + nbytes) // SECTOR_BYTES))


def sectors_of_box(box: Box, index: int, origin: int) -> Array:
    """Sector numbers of the part of one box that lies in its tensor, each once; `origin`: the tensor's offset."""
    starts = box.starts[index][box.valid[index]] + origin
    low, high = int(box.first_byte[index]), int(box.end_byte[index])
    if not len(starts) or high <= low:
        return np.zeros(0, np.int64)
    first, last = (starts + low) // SECTOR_BYTES, (starts + high - 1) // SECTOR_BYTES
    longest = int((last - first).max()) + 1
    every = first[:, None] + np.arange(longest)
    return np.unique(every[every <= last[:, None]])
