"""The counters of one launch: block counts of every batch, accesses of those that are watched, scaled to all.

What is watched is scaled instruction by instruction, by how often all warps executed it over how often the watched ones
did. That is exact where every CTA is watched or where warps do not differ, and an estimate otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.classify import Traits, traits
from backends.emulator.counters.executed import Executed
from backends.emulator.counters.metrics import METRICS
from backends.emulator.counters.sizes import CacheSizes
from backends.emulator.counters.stream import CACHE_COLUMNS, Stream
from backends.emulator.counters.sums import Sums
from backends.emulator.counters.watch import Watch, Watched
from backends.emulator.geometry import Geometry
from backends.emulator.program import Program, leaves
from backends.profile import Profile
from backends.ptx.syntax import Address, Instruction, Operand, Register, Symbol

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Column = NDArray[np.float64]
_WRITES = "l2_write_sectors"


class Counting:
    """Counts a launch of `program`; at most about `watched_ctas` CTAs are followed access by access."""

    def __init__(self, program: Program, geometry: Geometry, sizes: CacheSizes, watched_ctas: int) -> None:
        self.program = program
        self.geometry = geometry
        self.watched_ctas = watched_ctas
        self.opcodes = [instruction.parts for instruction in program.instructions]
        self.every, self.seen = Executed.of(len(self.opcodes)), Executed.of(len(self.opcodes))
        self.watched = Watched(self.opcodes, Stream(self.opcodes, sizes))

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
            self.watched.stream.end_batch(batch.ctas)

    def profile(self) -> Profile:
        """What was counted."""
        self.watched.stream.flush()
        return _Result(self).profile()


@dataclass(frozen=True)
class _Result:
    counting: Counting

    def profile(self) -> Profile:
        counting = self.counting
        sums = Sums(self.columns, counting.opcodes, self.traits, self.singles)
        counters, estimated = {}, set()
        for metric in METRICS:
            sums.used.clear()
            value = metric.value(sums)
            if value is None:
                continue
            counters[metric.name] = value
            if any(self.is_estimate.get(name, False) for name in sums.used):
                estimated.add(metric.name)
        sites = tuple(counting.program.site(index) for index in range(len(counting.opcodes)))
        return Profile(counters, frozenset(estimated), counting.every.ctas, counting.seen.ctas, sites, self.columns)

    @cached_property
    def traits(self) -> tuple[Traits, ...]:
        instructions = self.counting.program.instructions
        found = [traits(instruction.opcode) for instruction in instructions]
        read = _registers_read(instructions)
        for index, instruction in enumerate(instructions):
            if instruction.base == "atom" and not _returns(instruction, read):
                found[index] = replace(found[index], operation="red")
        for index, path in self.counting.watched.tensor_paths.items():
            found[index] = replace(found[index], tensor_path=path)
        return tuple(found)

    @cached_property
    def scale(self) -> Column:
        """By instruction, executions of all warps over those of watched ones."""
        every, seen = self.counting.every.warps, self.counting.seen.warps
        return np.divide(every, seen, out=np.zeros(len(every)), where=seen > 0)

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        counting = self.counting
        warps, threads = counting.every.warps.astype(float), counting.every.threads.astype(float)
        seen = {**counting.watched.columns, **counting.watched.stream.columns}
        scaled = {name: column * self.scale for name, column in seen.items()}
        guarded = np.array([i.guard is not None for i in counting.program.instructions], np.bool_)
        # What no watched warp reached is taken to be executed by all threads that stood there.
        on = np.where(guarded & (counting.seen.warps > 0), scaled["thread_inst_executed_pred_on"], threads)
        weights = np.array([t.weight for t in self.traits])
        branches = np.array([p[0] in ("bra", "brx") for p in counting.opcodes], np.bool_) & guarded
        products = np.array([t.tensor_ops for t in self.traits], float)
        return {
            "inst_executed": warps, "thread_inst_executed": threads, **scaled, "thread_inst_executed_pred_on": on,
            "thread_operations": on * weights, "branches": warps * branches,
            "tensor_ops": warps * products + scaled["tensor_ops"],
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
        guarded = np.array([i.guard is not None for i in counting.program.instructions], np.bool_)
        dynamic = counting.watched.columns["tensor_ops"] > 0
        on = bool((apart & guarded).any())
        flags |= {
            "thread_inst_executed_pred_on": on,
            "thread_operations": on,
            "tensor_ops": bool((apart & dynamic).any()),
        }
        partial = counting.every.ctas != counting.seen.ctas or counting.watched.stream.is_sampled
        flags |= {name: flags[name] or partial for name in CACHE_COLUMNS if name != "l1_sectors"}
        return {**flags, "written_back_sectors": partial, "dirty_sectors": partial}

    @cached_property
    def singles(self) -> Mapping[str, float]:
        """Sectors written back are scaled as the sectors written are."""
        counting, stream = self.counting, self.counting.watched.stream
        seen = sum(float(stream.columns[name].sum()) for name in (_WRITES, "l2_atomic_sectors"))
        every = sum(float(self.columns[name].sum()) for name in (_WRITES, "l2_atomic_sectors"))
        scale = every / seen if seen else 0.0
        return {
            "warps_launched": float(-(-counting.geometry.threads // 32) * counting.every.ctas),
            "written_back_sectors": stream.written_back * scale, "dirty_sectors": stream.dirty_sectors * scale,
        }  # fmt: skip


def _registers_read(instructions: tuple[Instruction, ...]) -> set[str]:
    """Registers that any instruction reads; an atomic's own result does not count."""
    read = {i.guard.register.name for i in instructions if i.guard}
    for instruction in instructions:
        skipped = 1 if instruction.base == "atom" else 0
        stores = instruction.operands[skipped:] if skipped else instruction.operands
        first_is_result = instruction.base not in ("st", "red", "bra", "ret", "exit", "bar", "barrier", "cp")
        sources = stores[1:] if first_is_result and not skipped else stores
        probe = replace(instruction, operands=tuple(sources), guard=None)
        read |= {o.name for o in leaves(probe) if isinstance(o, Register)}
        read |= {o.name for first in instruction.operands[:1] for o in _address_registers(first)}
    return read


def _address_registers(operand: Operand) -> list[Register]:
    return [operand.base] if isinstance(operand, Address) and isinstance(operand.base, Register) else []


def _returns(instruction: Instruction, read: set[str]) -> bool:
    """Whether anything reads what an `atom` found."""
    target = instruction.operands[0]
    if isinstance(target, Symbol) and target.is_sink:
        return False
    return not isinstance(target, Register) or target.name in read
