"""Bulk copies by the TMA engine: one instruction of one thread, a latency, and the SM's way to the L2."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from backends.model.sm.costs import MemoryCost
from backends.model.sm.memory import happens
from backends.model.sm.program import Program, Record
from backends.model.sm.state import Warp, signal
from backends.model.sm.sync import arrive, next_use, takes_part

if TYPE_CHECKING:
    from backends.model.sm.engine import Engine

_DEFAULT_BYTES = 16384.0


def prepare_bulk(program: Program, record: Record) -> None:
    """details: (bytes, whether it writes to global memory, cycles of the engine); its latency without others."""
    parameters = program.parameters
    if record.cost is None or not record.cost.bytes:
        program.assume(record, "memory-cost-unknown", f"a bulk copy of {_DEFAULT_BYTES:g} bytes that L2 has")
        record.cost = MemoryCost("global", "copy", bytes=_DEFAULT_BYTES)
    writes = any(word in record.instruction.opcode for word in ("STG", "RED"))
    if not writes and record.barrier is None:
        program.assume(record, "mbarrier-unknown", "which barrier it completes is unknown", "say which")
    amount = record.cost.bytes
    if record.barrier is not None and record.barrier.offsets is not None:
        # The bytes are those of all warps that pass, on average; those that take part move them all.
        amount /= record.cost.executed_share or 1.0
    record.latency = parameters.cycles("tma_latency_cycles")
    record.details = (amount, writes, amount / parameters.rate("tma_bytes_per_cycle"))


def bulk(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """One bulk copy; a load arrives at its mbarrier, a store counts for the next commit."""
    amount, writes, cycles = record.details
    cost = record.cost
    assert cost is not None
    signal(warp, record, now + record.step, now + record.step)
    if record.barrier is not None and not takes_part(warp, record):
        return
    begun = sm.hold("tma", now, cycles)
    sent = ceil(begun + cycles)
    sm.count("l2", amount)
    passed = max(sent, (sm.l2_writes if writes else sm.l2).finish(now, amount))
    missed = amount * (1.0 - cost.l2_hit_share)
    done = passed + record.latency
    if missed:
        sm.count("dram", missed)
        # Many lines are behind both partitions of the L2, and the copy waits for the last.
        done = max(done, sm.dram.finish(now, missed) + record.latency) + sm.dram_extra + sm.dram_far
    elif sm.far_extra and happens(record, "far_carry", 1.0 - cost.l2_near_share):
        done += sm.far_extra
    if writes:
        warp.copies = max(warp.copies, done)
        sm.drained = max(sm.drained, done)
    elif record.barrier is not None:
        arrive(sm, warp.cta, record, next_use(warp, record), done)
