"""What the whole grid executes and moves, by machine instruction: the columns that every report adds up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backends.emulator.counters.classify import traits
from backends.findings import Site
from backends.model.matching.match import MatchedClass
from backends.model.modelled import Modelled
from backends.model.parameters import SUB_CORES
from backends.model.sm import Run, WarpTrace
from backends.model.sm.costs import MemoryCost
from backends.sass.function import Function
from backends.sass.instruction import Instruction

Column = NDArray[np.float64]
WARP_LANES = 32
SECTOR_BYTES = 32
_WAVEFRONT_BYTES = 128
_FAR, _NEAR = ("global", "local"), ("shared",)
_OPERATIONS = {"load": "ld", "store": "st", "atomic": "atom", "reduce": "red", "copy": "ldgsts"}
# K of a tcgen05 product, 32 bytes of 16-bit, 8-bit and 4-bit elements (PTX ISA, "tcgen05.mma", shapes); half for tf32.
_TCGEN05_DEPTH = {"UTCHMMA": 16, "UTCQMMA": 32, "UTCIMMA": 32, "UTCMXQMMA": 32, "UTCOMMA": 64}
# Operations of one lane, as Nsight Compute's roofline counts them: additions and products, two for an FMA.
_LANE_FLOPS = {
    "fp32": {"FFMA": 2, "FADD": 1, "FMUL": 1, "FFMA32I": 2, "FADD32I": 1, "FMUL32I": 1, "FFMA2": 4, "FADD2": 2,
             "FMUL2": 2},
    "fp16": {"HFMA2": 4, "HADD2": 2, "HMUL2": 2, "HFMA2_32I": 4, "HADD2_32I": 2, "HMUL2_32I": 2},
    "fp64": {"DFMA": 2, "DADD": 1, "DMUL": 1},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Facts:
    """A modelled launch, and columns over its machine instructions, (instructions,), for the whole grid.

    Executions are of warps, and exact where the match of PTX and machine code is; sectors and wavefronts are those that
    were counted, spills taken as coalesced.
    """

    modelled: Modelled

    @property
    def function(self) -> Function:
        """The machine code."""
        return self.modelled.work.function

    @cached_property
    def executions(self) -> Column:
        """Executions by warps, whether or not a guard holds."""
        return executions(self.function, self.modelled.work.classes)

    @cached_property
    def lanes(self) -> float:
        """Threads of a warp, on average: 32 unless a CTA's threads are no multiple of it."""
        threads = self.modelled.footprint.threads
        return threads / -(-threads // WARP_LANES)

    @cached_property
    def spaces(self) -> tuple[tuple[str, str], ...]:
        """(space, operation) of each instruction: global, local, shared, ..., or "" where it accesses no memory."""
        return tuple(map(_space, self.function.instructions))

    @cached_property
    def requests(self) -> Column:
        """Executions of memory instructions in which a lane takes part."""
        return self._of_cost(lambda c: c.executed_share)

    @cached_property
    def sectors(self) -> Column:
        """32-byte sectors of global and local memory, each once for each request."""
        return self._of_cost(lambda c: c.sectors, _FAR)

    @cached_property
    def ideal_sectors(self) -> Column:
        """Sectors that would hold what the threads ask for, were it adjacent."""
        return self._of_cost(lambda c: min(c.sectors, c.bytes / SECTOR_BYTES) if c.bytes else c.sectors, _FAR)

    @cached_property
    def wavefronts(self) -> Column:
        """Passes through the banks of shared memory."""
        return self._of_cost(lambda c: c.wavefronts, _NEAR)

    @cached_property
    def ideal_wavefronts(self) -> Column:
        """Passes that the width of the accesses needs."""
        return self._of_cost(_ideal_wavefronts, _NEAR)

    @cached_property
    def l1_hits(self) -> Column:
        """Sectors that loads find in the L1."""
        return self._of_cost(lambda c: c.sectors * c.l1_hit_share if c.kind in ("load", "copy") else 0.0, _FAR)

    @cached_property
    def l2_sectors(self) -> Column:
        """Sectors that reach the L2."""
        return self.sectors - self.l1_hits

    @cached_property
    def l2_hits(self) -> Column:
        """Sectors of them that the L2 has."""
        share = np.zeros(len(self.executions))
        for index, cost in self.modelled.work.costs.items():
            share[index] = cost.l2_hit_share
        return self.l2_sectors * share

    @cached_property
    def stalls(self) -> dict[str, Column]:
        """Warp state -> warp-cycles by the instruction that waited, on the simulated CTAs of one SM."""
        return {name: np.array(column) for name, column in self.modelled.time.sm.stalls.items()}

    @cached_property
    def stall_cycles(self) -> Column:
        """Warp-cycles in any of these states."""
        total: Column = np.sum(list(self.stalls.values()), axis=0)
        return total

    @cached_property
    def flops(self) -> dict[str, float | None]:
        """Operations by precision, and those of matrix products as `tensor`, None if only their operands tell.

        Of all lanes: a guard or a branch that leaves lanes out is not seen.
        """
        opcodes = [i.opcode for i in self.function.instructions]
        found: dict[str, float | None] = {
            kind: self.lanes * float(sum(n * table.get(o, 0) for o, n in zip(opcodes, self.executions, strict=True)))
            for kind, table in _LANE_FLOPS.items()
        }
        return {**found, "tensor": self._tensor_flops()}

    @property
    def total_flops(self) -> float:
        """Of all precisions, those that are known."""
        return sum(n or 0.0 for n in self.flops.values())

    @property
    def dram_bytes(self) -> float:
        """Bytes between the L2 and the DRAM."""
        return self.modelled.counts.dram_read_bytes + self.modelled.counts.dram_write_bytes

    @property
    def chip_share(self) -> float:
        """What an average SM has to do, over what the busiest one has."""
        modelled = self.modelled
        sms = modelled.parameters.rate("sm_count")
        return modelled.work.ctas / sms / modelled.time.sm_ctas

    @property
    def issue_slots(self) -> float:
        """Instructions that an SM could issue while it is busy with one grid."""
        return SUB_CORES * max(self.modelled.time.cycles, 1.0)

    @cached_property
    def warps_active(self) -> float:
        """Warps that an SM held, on average over the time it had work."""
        time = self.modelled.time
        warps = -(-self.modelled.footprint.threads // WARP_LANES)
        held = sum(end - start for start, end in time.sm.ctas)
        return warps * held / time.simulated_share_cycles

    def mask(self, space: str = "", operation: str = "") -> Column:
        """1 for instructions of this space and operation, whichever where none is named, else 0."""
        wanted = [(not space or s == space) and (not operation or o == operation) for s, o in self.spaces]
        return np.array(wanted, float)

    def count(self, wanted: Callable[[Instruction], bool]) -> float:
        """Executions of the instructions that are wanted."""
        return float(sum(n for i, n in zip(self.function.instructions, self.executions, strict=True) if wanted(i)))

    def _of_cost(self, value: Callable[[MemoryCost], float], spaces: tuple[str, ...] = ()) -> Column:
        column = np.zeros(len(self.executions))
        for index, cost in self.modelled.work.costs.items():
            if not spaces or self.spaces[index][0] in spaces:
                column[index] = self.executions[index] * value(cost)
        return column

    @cached_property
    def tensor_paths(self) -> dict[str, float]:
        """Operations of matrix products by the types of their sources and results (`fp16_dst_fp32`, `int8`)."""
        counts = self.modelled.counts
        found: dict[str, float] = {}
        for site, executions in zip(counts.sites, counts.executions, strict=True):
            what = traits(ptx_opcode(site))
            if what.tensor_ops:
                path = what.tensor_path
                found[path] = found.get(path, 0.0) + float(executions) * what.tensor_ops
        return found

    def _tensor_flops(self) -> float | None:
        asynchronous = [i.index for i in self.function.instructions if i.opcode in _TCGEN05_DEPTH]
        shapes = self.modelled.work.shapes
        if any(index not in shapes and self.executions[index] for index in asynchronous):
            return None
        known = sum(self.executions[i] * self._tcgen05_ops(i) for i in asynchronous if i in shapes)
        return float(known) + sum(self.tensor_paths.values())

    def _tcgen05_ops(self, index: int) -> int:
        """Multiplications and additions of one instruction, of both CTAs where two work on it."""
        shape, opcode = self.modelled.work.shapes[index], self.function.instructions[index].opcode
        is_tf32 = opcode == "UTCHMMA" and any("kind::tf32" in s.text for s in self.modelled.counts.sites)
        return 2 * shape.m * shape.n * (_TCGEN05_DEPTH[opcode] // (2 if is_tf32 else 1))


def ptx_opcode(site: Site) -> str:
    """The opcode of a PTX instruction, after its guard.

    >>> ptx_opcode(Site("@%p1 bra $L;", None, None))
    'bra'
    """
    words = site.text.split()
    return words[1 if words[0].startswith("@") else 0].rstrip(";")


def executions(function: Function, classes: Sequence[MatchedClass]) -> Column:
    """Executions by warps of each instruction, over the whole grid, from the traces of all its warps."""
    blocks = np.zeros(len(function.blocks))
    for cta in classes:
        for trace in cta.warps:
            _add(blocks, trace, cta.weight)
    column = np.zeros(len(function.instructions))
    for block in function.blocks:
        column[block.first : block.last] = blocks[block.number]
    return column


def _add(blocks: Column, trace: WarpTrace, times: float) -> None:
    for step in trace:
        if isinstance(step, Run):
            for block in step.blocks:
                blocks[block] += times
        else:
            _add(blocks, step.body, times * step.count)


def _space(instruction: Instruction) -> tuple[str, str]:
    """As the emulated device's counters have it: generic addresses count as global."""
    access = instruction.access
    if access is None:
        return "", ""
    space = "global" if access.space == "generic" else access.space
    operation = _OPERATIONS[access.kind]
    if operation == "atom" and instruction.opcode in ("SYNCS",):
        return "mbarrier", ""
    return space, operation


def _ideal_wavefronts(cost: MemoryCost) -> float:
    needed = max(1.0, cost.bytes_per_lane * WARP_LANES / _WAVEFRONT_BYTES) * cost.executed_share
    return min(cost.wavefronts, needed)
