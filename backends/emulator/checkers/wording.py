"""Puts a conflict in words: who did what to which bytes of what, and which ordering is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.emulator.checkers.clocks import SEEN, Clocks
from backends.emulator.checkers.shadow import ALL_LANES
from backends.emulator.spaces import GLOBAL_BASE

if TYPE_CHECKING:
    from backends.emulator.batch import Batch


@dataclass(frozen=True)
class Conflict:
    """An access of a warp's agent and lane to `offset` of a space, and the earlier one that it conflicts with."""

    rule: str
    space: str
    offset: int
    instance: int
    agent: int
    lane: int
    other_agent: int
    other_time: int
    other_lane: int
    other_site: int


# Two threads store, by one instruction, values that differ in their last bits: which of them stays is left to chance.
ROUNDING = "rounding-race"
# A bulk copy completes at an mbarrier that was initialised with no proxy fence since. The ISA wants one; Triton leaves
# it out, and its kernels work.
BARRIER_FENCE = "barrier-fence"
WARNINGS = frozenset({ROUNDING, BARRIER_FENCE})
_WORDS = {
    "read-after-write": ("written", "read"),
    "write-after-read": ("read", "overwritten"),
    "write-after-write": ("written", "overwritten"),
    "proxy-fence": ("written", "used"),
    BARRIER_FENCE: ("initialised", "used"),
    ROUNDING: ("written", "overwritten with a value that differs in its last bits"),
}
_ENGINES = {
    "cp.async": "cp.async", "wgmma": "wgmma", "bulk-read": "a bulk copy from shared memory",
    "bulk-write": "a bulk copy to global memory", "tcgen05": "tcgen05",
    "tcgen05.ld": "tcgen05.ld", "tcgen05.st": "tcgen05.st", "mbarrier": "a bulk copy (TMA)",
    "past": "a CTA of an earlier batch",
}  # fmt: skip
_WAITS = {
    "cp.async": "cp.async.wait_group, wait_all or mbarrier that covers it",
    "wgmma": "wgmma.wait_group that covers it",
    "bulk-read": "cp.async.bulk.wait_group that covers it",
    "bulk-write": "cp.async.bulk.wait_group (without .read) that covers it",
    "tcgen05.ld": "tcgen05.wait::ld",
    "tcgen05.st": "tcgen05.wait::st",
    "tcgen05": "wait on the mbarrier of a tcgen05.commit after it",
}


def describe(conflict: Conflict, batch: Batch, clocks: Clocks) -> str:
    """The sentence of a finding."""
    was, now = _WORDS[conflict.rule]
    before = _actor(clocks, conflict.other_agent, conflict.other_lane, batch)
    after = _actor(clocks, conflict.agent, conflict.lane, batch)
    place, missing = place_of(batch, conflict.space, conflict.offset), _missing(conflict, batch, clocks)
    return f"{place} {was} by {before}, {now} by {after}, {missing}"


def _actor(clocks: Clocks, agent: int, lane: int, batch: Batch) -> str:
    kind = clocks.kind_of(agent)
    if kind != "generic":
        return _ENGINES[kind]
    lanes = "" if lane == ALL_LANES else f" lane {lane}"
    position = batch.geometry.cta_position(int(batch.numbers[agent % batch.ctas]))
    return f"warp {agent // batch.ctas}{lanes} of CTA {position}"


def _missing(conflict: Conflict, batch: Batch, clocks: Clocks) -> str:
    if conflict.rule in ("proxy-fence", BARRIER_FENCE):
        return "with no fence.proxy.async between them"
    kind = clocks.kind_of(conflict.other_agent)
    if kind == "mbarrier":
        return f"with no wait on the mbarrier at shared address {_barrier_of(conflict, clocks):#x} between them"
    if kind == "past":
        return "and no release and acquire through memory orders the two CTAs"
    if kind != "generic":
        issuer = conflict.other_agent % clocks.instances
        has_waited = clocks.known[issuer, SEEN, conflict.other_agent] >= conflict.other_time
        if not has_waited:
            return f"with no {_WAITS[kind]} between them"
        return f"and nothing orders the wait of warp {issuer // batch.ctas} before it (a barrier is missing)"
    return _missing_between_threads(conflict, batch)


def _missing_between_threads(conflict: Conflict, batch: Batch) -> str:
    if conflict.other_agent == conflict.instance:
        return "with no __syncwarp (bar.warp.sync) between these lanes"
    size = batch.geometry.cluster_ctas
    here, there = conflict.instance % batch.ctas, conflict.other_agent % batch.ctas
    if here == there:
        return "with no barrier between these warps"
    if here // size == there // size:
        return "with no cluster barrier between these CTAs"
    return "and no release and acquire through memory orders the two CTAs"


def _barrier_of(conflict: Conflict, clocks: Clocks) -> int:
    return clocks.barriers.get(conflict.other_agent, 0)


def place_of(batch: Batch, space: str, offset: int) -> str:
    """The bytes at an offset of a space, by the name of the variable or buffer that they belong to."""
    if space == "shared":
        inside = offset % batch.shared.stride_bytes
        return f"shared address {inside:#x}{_shared_name(batch, inside)}"
    if space == "tensor":
        return f"tensor memory lanes from {offset // 512 % 8 * 16}, column {offset % 512}"
    if space == "local":
        return f"local address {offset % max(batch.access.spaces['local'].nbytes, 1):#x}"  # type: ignore[attr-defined]
    allocation = batch.memory.arena.find(offset + GLOBAL_BASE)
    if allocation is None:
        return f"global address {offset + GLOBAL_BASE:#x}"
    return f"byte {offset + GLOBAL_BASE - allocation.address} of `{allocation.label}` ({offset + GLOBAL_BASE:#x})"


def _shared_name(batch: Batch, offset: int) -> str:
    starts = [(start, name) for name, start in batch.program.shared.items() if start <= offset]
    if not starts:
        return ""
    start, name = max(starts)
    return f" (`{name}` + {offset - start})"
