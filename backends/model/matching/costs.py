"""What each memory instruction of machine code costs, from what its PTX instruction was seen to access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.model.counts.result import MemoryCounts
from backends.model.matching.lines import Lines
from backends.model.sm.costs import MemoryCost
from backends.sass.function import Function
from backends.sass.instruction import MemoryAccess

_WARP_LANES = 32
_SECTOR_BYTES, _LINE_BYTES = 32, 128


@dataclass(frozen=True)
class Costs:
    """`by_instruction`: SASS instruction -> cost. `unseen`: those that had no PTX to tell, which are spills."""

    by_instruction: Mapping[int, MemoryCost]
    unseen: tuple[int, ...]


def access_costs(function: Function, lines: Lines, memory: MemoryCounts) -> Costs:
    """Costs of all instructions that access memory."""
    known, unseen = {}, []
    for instruction in function.instructions:
        access = instruction.access
        if access is None or access.space == "constant":
            continue
        indices = lines.instructions.get(instruction.ptx_line or 0, ())
        if lines.keeps(instruction) and memory.executions[list(indices)].sum():
            known[instruction.index] = _seen(access, indices, memory)
        else:
            known[instruction.index] = _coalesced(access)
            unseen.append(instruction.index)
    return Costs(known, tuple(unseen))


def _seen(access: MemoryAccess, indices: Sequence[int], memory: MemoryCounts) -> MemoryCost:
    chosen = list(indices)
    executions = float(memory.executions[chosen].sum())

    def each(name: str) -> float:
        return float(getattr(memory, name)[chosen].sum()) / executions

    def share(name: str, over: str) -> float:
        weights = getattr(memory, over)[chosen]
        total = float(weights.sum())
        return float((getattr(memory, name)[chosen] * weights).sum()) / total if total else 0.0

    return MemoryCost(
        access.space,
        access.kind,
        access.bytes_per_lane,
        wavefronts=each("shared_wavefronts") or each("global_wavefronts") or 1.0,
        sectors=each("sectors"),
        l1_hit_share=share("l1_hit_share", "sectors"),
        l2_hit_share=share("l2_hit_share", "l2_sectors"),
        l2_near_share=share("l2_near_share", "l2_sectors"),
        bytes=each("bytes"),
        tag_passes=each("tag_passes"),
        executed_share=min(each("requests") or each("shared_requests") or each("copies"), 1.0),
    )


def _coalesced(access: MemoryAccess) -> MemoryCost:
    """A spill or another access of the compiler's own: every lane its own word, next to each other, in the L1."""
    nbytes = access.bytes_per_lane * _WARP_LANES
    return MemoryCost(
        access.space, access.kind, access.bytes_per_lane, wavefronts=max(nbytes / _LINE_BYTES, 1.0),
        sectors=nbytes / _SECTOR_BYTES, l1_hit_share=1.0, tag_passes=1.0,
    )  # fmt: skip
