"""What the search keeps of a modelled launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optiml.verdict import Metrics, SizeTime

if TYPE_CHECKING:
    from backends.model.modelled import Modelled

SECTOR_BYTES = 32


def metrics_of(modelled: Modelled) -> Metrics:
    """The time with its interval, the limiter, and counters by which a candidate can be compared with another one."""
    resources, time = modelled.compiled.resources, modelled.time_us
    return Metrics(
        kind="modelled",
        times=(SizeTime(dict(modelled.sizes), time.value, time.low, time.high),),
        limiter=modelled.limits.limiter,
        stall=modelled.limits.stall,
        busy=dict(modelled.limits.busy),
        registers=modelled.footprint.registers,
        spill_bytes=resources.spill_store_bytes + resources.spill_load_bytes if resources else 0,
        smem_bytes=modelled.footprint.smem_bytes,
        occupancy=modelled.occupancy.warps / modelled.occupancy.max_warps,
        counters=_counters(modelled),
        error_percent=modelled.error_percent,
        kernel_class=modelled.kernel_class,
        stalls=_shares(modelled.time.sm.stall_cycles()),
    )


def _shares(cycles: Mapping[str, float]) -> dict[str, float]:
    total = sum(cycles.values())
    return {state: cycles_in_it / total for state, cycles_in_it in cycles.items() if cycles_in_it}


def _counters(modelled: Modelled) -> dict[str, float]:
    counts, memory = modelled.counts, modelled.counts.memory
    sectors, wanted = float(memory.sectors.sum()), float(memory.bytes.sum())
    return {
        "warp_instructions": float(counts.warp_instructions),
        "dram_bytes": float(counts.dram_read_bytes + counts.dram_write_bytes),
        "unique_bytes": float(counts.unique_bytes),
        "sector_bytes": sectors * SECTOR_BYTES,
        "asked_bytes": wanted,
        "shared_passes": float(memory.shared_wavefronts.sum()),
        "shared_requests": float(memory.shared_requests.sum()),
    }
