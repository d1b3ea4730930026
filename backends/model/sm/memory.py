"""Loads, stores, atomics and shuffles: the queue of a sub-core, the LSU, shared memory, L1, L2 and DRAM.

A request is timed when it issues. Without others it is accepted by the LSU `lsu_accept_delay_cycles` later; whatever it
waits longer there is added to the latencies of Huerta et al., MICRO 2025, table 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.model.parameters import WARP_LANES
from backends.model.sm.costs import SECTOR_BYTES, MemoryCost
from backends.model.sm.program import LSU, Program, Record
from backends.model.sm.state import Warp, signal

if TYPE_CHECKING:
    from backends.model.sm.engine import Engine

LINE_BYTES = 128
_WAVEFRONT_BYTES = 128
# The rate of atomics was measured with lanes side by side, which fill the sectors: a sector takes as long with fewer.
SECTOR_WORDS = 8
# Memory hangs on two partitions of the L2, and what misses is behind either as often.
_FAR_MISSES = 0.5
# Rounding of shares that should add up to whole requests.
_EPSILON = 1e-9


class Request:
    """What the execution of a memory instruction takes, fixed before the simulation."""

    __slots__ = ("address", "bytes", "conflict", "kind", "partial", "sectors", "share", "space", "uncached")

    def __init__(self, cost: MemoryCost, conflict: int, address: int) -> None:
        self.space = cost.space
        self.kind = cost.kind
        self.bytes = cost.bytes_per_lane * WARP_LANES
        self.sectors = cost.sectors
        self.partial = cost.partial_sectors if cost.kind == "store" else 0.0
        self.share = cost.executed_share
        self.conflict = conflict
        self.address = address
        self.uncached = cost.kind in ("atomic", "reduce")


def prepare_shared(program: Program, record: Record) -> None:
    """LDS, STS, LDSM, STSM, ATOMS: cycles in the data stage, and latency for the width."""
    cost = _cost(program, record, "shared")
    parameters = program.parameters
    ideal = max(1.0, cost.bytes_per_lane * WARP_LANES / _WAVEFRONT_BYTES)
    passes = cost.wavefronts * (parameters.rate("shared_atomic_passes") if cost.kind in ("atomic", "reduce") else 1)
    family = "STS" if cost.kind == "store" else "LDS"
    record.hold = max(passes, parameters.rate("lsu_accept_interval_cycles"))
    record.war, record.latency = _latency(program, record, family, cost)
    # ldmatrix reads what its registers hold in as many wavefronts, and each is as late as one more way of a conflict.
    alone = 1.0 if record.instruction.opcode in ("LDSM", "STSM") else ideal
    conflict = round(parameters.rate("smem_conflict_cycles") * max(0.0, passes - alone))
    record.details = Request(cost, conflict, _address_cycles(program, cost))


def shared(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """One request to shared memory."""
    request = record.details
    late = enter(sm, warp, record, now, request.address)
    if late is None:
        return
    sm.count("shared", request.bytes)
    done = now + late + record.latency + request.conflict
    if request.kind in ("load", "atomic"):
        done = warp.sub.writeback.take(now, done, request.bytes)
    signal(warp, record, now + late + record.war, done)


def prepare_global(program: Program, record: Record) -> None:
    """LDG, STG, atomics, local memory: cycles in the tag and the data stage, and latency for the width."""
    cost = _cost(program, record, "global")
    family = "LDG" if cost.kind in ("load", "atomic") else "STG"
    record.war, record.latency = _latency(program, record, family, cost)
    if cost.space == "distributed":
        # Shared memory of another CTA of the cluster: neither L1 nor L2 has a part in it.
        parameters = program.parameters
        record.latency += parameters.cycles("dsmem_latency_cycles") - parameters.cycles("l1_hit_latency_cycles")
        record.cost = cost = replace(
            cost, kind="load" if cost.kind == "load" else "store", l1_hit_share=1.0, sectors=0.0
        )
    record.hold = _l1_cycles(program, cost)
    record.details = Request(cost, 0, _address_cycles(program, cost))


def global_access(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """One request to global or local memory, through L1 to where its sectors are."""
    request = record.details
    late = enter(sm, warp, record, now, request.address)
    if late is None:
        return
    sm.count("l1", request.sectors * SECTOR_BYTES)
    accepted = now + late + sm.accept_delay
    writes = request.kind in ("store", "reduce")
    extra = _beyond_l1(sm, record, request, now, accepted, writes)
    if writes:
        sm.drained = max(sm.drained, accepted + extra)
        signal(warp, record, now + late + record.war, accepted + extra)
        return
    done = warp.sub.writeback.take(now, now + late + record.latency + extra, request.bytes)
    signal(warp, record, now + late + record.war, done)


def prepare_async_copy(program: Program, record: Record) -> None:
    """LDGSTS: a load whose data go to shared memory."""
    cost = _cost(program, record, "global")
    record.war, record.latency = program.parameters.memory_latency["LDGSTS", 32, "regular"]
    record.hold = _l1_cycles(program, cost)
    record.details = Request(cost, 0, _address_cycles(program, cost))


def async_copy(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """One asynchronous copy; its completion counts for the next commit."""
    request = record.details
    late = enter(sm, warp, record, now, request.address)
    if late is None:
        return
    sm.count("l1", request.sectors * SECTOR_BYTES)
    extra = _beyond_l1(sm, record, request, now, now + late + sm.accept_delay, writes=False)
    done = sm.smem_async.take(now, now + late + record.latency + extra, request.bytes)
    warp.copies = max(warp.copies, done)
    signal(warp, record, now + late + record.war, done)


def prepare_constant(program: Program, record: Record) -> None:
    """LDC, ULDC: a hit of the constant cache."""
    address = "regular" if any(r.file == "R" for r in record.instruction.reads) else "uniform"
    record.war, record.latency = program.parameters.memory_latency["LDC", 32, address]


def constant(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """One constant load, which does not pass the LSU."""
    del sm
    signal(warp, record, now + record.war, now + record.latency)


def prepare_shuffle(program: Program, record: Record) -> None:
    """SHFL: lanes through the LSU's crossbar."""
    parameters = program.parameters
    lanes = parameters.rate("shuffle_lanes_per_cycle")
    record.hold = max(WARP_LANES / lanes, parameters.rate("lsu_accept_interval_cycles"))
    record.latency = parameters.cycles("shuffle_latency_cycles")
    record.war = parameters.memory_latency["LDS", 32, "regular"][0]


def shuffle(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """One shuffle."""
    late = enter(sm, warp, record, now, sm.address_interval) or 0
    done = warp.sub.writeback.take(now, now + late + record.latency, _WAVEFRONT_BYTES)
    signal(warp, record, now + late + record.war, done)


def enter(sm: Engine, warp: Warp, record: Record, now: int, address_cycles: int) -> int | None:
    """Queue a request at the LSU; cycles that it waits there beyond an idle LSU, or None where no lane takes part."""
    request = record.details
    if request is not None and request.share < 1.0 and not happens(record, "part_carry", request.share):
        signal(warp, record, now + record.war, now + record.war)
        return None
    sub = warp.sub
    at, computed = now + sm.accept_delay, sub.address_free + address_cycles
    if computed > at:
        at = computed
    sub.address_free = at
    record.carry += record.hold
    hold = int(record.carry + _EPSILON)
    record.carry -= hold
    hold = hold or 1
    accepted = sm.lsu.take(now, at, hold)
    sm.busy["lsu"] = sm.busy.get("lsu", 0.0) + hold
    queue = sub.queue
    queue.append(accepted)
    if len(queue) == queue.maxlen:
        # The oldest of a full queue makes room in the cycle after it was accepted.
        sub.free[LSU] = max(now + 1, queue[0] + 1)
    return accepted - now - sm.accept_delay


def _beyond_l1(sm: Engine, record: Record, request: Request, now: int, accepted: int, writes: bool) -> int:
    """Cycles beyond an L1 hit: queues of the L2 and the DRAM, and their latencies for the sectors that miss.

    Requests hit or miss as a whole, as often as the shares say.
    """
    cost = record.cost
    assert cost is not None
    amount = request.sectors * SECTOR_BYTES
    if not (writes or request.uncached or happens(record, "l1_carry", 1.0 - cost.l1_hit_share)):
        return 0
    sm.count("l2", amount)
    passed = (sm.l2_writes if writes else sm.l2).take(now, accepted, amount)
    if request.partial:
        sm.count("l2 partial", request.partial * SECTOR_BYTES)
        passed = sm.l2_partial.take(now, passed, request.partial)
    if request.uncached:
        passed = sm.atomics.take(now, passed, max(request.sectors, 1.0) * SECTOR_WORDS)
    extra = passed - accepted + sm.l2_extra
    if happens(record, "l2_carry", 1.0 - cost.l2_hit_share):
        sm.count("dram", amount)
        extra += sm.dram.take(now, passed, amount) - passed + sm.dram_extra
        if sm.dram_far:
            extra += sm.dram_far if happens(record, "far_carry", _FAR_MISSES) else -sm.dram_far
    elif sm.far_extra and happens(record, "far_carry", 1.0 - cost.l2_near_share):
        extra += sm.far_extra
    return extra


def happens(record: Record, carry: str, share: float) -> bool:
    """Whether this execution is one of the share of them to which something happens, spread evenly."""
    if share <= 0.0 or share == 1.0:
        return share > 0.0
    total: float = getattr(record, carry) + share
    whole = total >= 1.0 - _EPSILON
    setattr(record, carry, total - whole)
    return whole


def _cost(program: Program, record: Record, space: str) -> MemoryCost:
    """The cost given for the instruction, or that of full lanes on adjacent addresses, which is then stated."""
    cost = record.cost
    if cost is not None:
        # Averages over all executions, made those of the executions in which some lane takes part.
        part = cost.executed_share if 0.0 < cost.executed_share < 1.0 else 1.0
        passes = None if cost.tag_passes is None else cost.tag_passes / part
        wavefronts, sectors, nbytes = (each / part for each in (cost.wavefronts, cost.sectors, cost.bytes))
        return replace(cost, wavefronts=wavefronts, sectors=sectors, bytes=nbytes, tag_passes=passes)
    access = record.instruction.access
    kind = access.kind if access else "load"
    width = (access.bytes_per_lane if access else 0) or 4
    program.assume(record, "memory-cost-unknown", f"{WARP_LANES} adjacent elements of {width} bytes, L2 hit")
    spread = max(1.0, width * WARP_LANES / _WAVEFRONT_BYTES)
    record.cost = MemoryCost(
        space, kind, width, spread, 0.0 if space == "shared" else width * WARP_LANES / SECTOR_BYTES
    )
    return record.cost


def _latency(program: Program, record: Record, family: str, cost: MemoryCost) -> tuple[int, int]:
    """(until the sources may be written, until the result may be read) without waiting anywhere."""
    access = record.instruction.access
    address = "uniform" if access and access.is_uniform_address else "regular"
    bits = min(128, max(32, 8 * cost.bytes_per_lane))
    width = 32 if record.instruction.opcode in ("LDSM", "STSM") else bits
    return program.parameters.memory_latency[family, width, address]


def _l1_cycles(program: Program, cost: MemoryCost) -> float:
    """Cycles that a request holds L1, a pass through the tags or the data in each (gpu-strides of RRZE gpu-benches).

    Where passes through the tags were not counted, as many as aligned groups of `l1_tags_per_cycle` lines in a row.
    """
    parameters = program.parameters
    passes = cost.tag_passes
    if passes is None:
        tags = parameters.rate("l1_tags_per_cycle")
        passes = (max(1.0, cost.sectors * SECTOR_BYTES / LINE_BYTES) + tags - 1) / tags
    return max(parameters.rate("lsu_accept_interval_cycles"), cost.wavefronts, passes)


def _address_cycles(program: Program, cost: MemoryCost) -> int:
    """Cycles of the sub-core's address unit, or, for a wide store, of its data path to the LSU."""
    parameters = program.parameters
    address = parameters.cycles("lsu_address_interval_cycles")
    if cost.kind == "load":
        return address
    return max(address, round(cost.bytes_per_lane * WARP_LANES / parameters.rate("store_data_bytes_per_cycle")))
