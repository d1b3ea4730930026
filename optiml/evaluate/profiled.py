"""What the search keeps of a modelled launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optiml.verdict import HotLine, Metrics, SizeTime

if TYPE_CHECKING:
    from backends.model.modelled import Modelled
    from backends.model.report.lines import SourceLine

SECTOR_BYTES = 32
# Lines that are kept, and the share of stalls below which one is not worth it.
_HOT_LINES, _WARM = 6, 0.01


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
        hot=_hot_lines(modelled),
    )


def _hot_lines(modelled: Modelled) -> tuple[HotLine, ...]:
    from backends.model.report.facts import Facts
    from backends.model.report.lines import source_lines

    lines = [line for line in source_lines(Facts(modelled)) if line.text and line.stall_share >= _WARM]
    return tuple(_hot_line(line) for line in sorted(lines, key=lambda line: -line.stall_share)[:_HOT_LINES])


def _hot_line(line: SourceLine) -> HotLine:
    requests = line.shared_requests
    return HotLine(
        text=(line.text or "").strip(),
        stall_share=line.stall_share,
        stall=line.stall or "",
        instruction_share=line.instruction_share,
        sectors_per_request=line.sectors_per_request,
        ideal_sectors_per_request=line.ideal_sectors_per_request,
        wavefronts_per_request=line.shared_wavefronts / requests if requests else None,
        ideal_wavefronts_per_request=line.shared_wavefronts_ideal / requests if requests else None,
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
