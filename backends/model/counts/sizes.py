"""How many CTAs of a launch run at once on a machine, and which caches they see."""

from __future__ import annotations

from backends.emulator.counters.sizes import CacheSizes
from backends.machines.loader import rate
from backends.model.counts.launch import Launch
from backends.model.occupancy import RESERVED_SMEM_BYTES, Footprint, occupancy
from ir.machine import Machine

# CUDA C++ Programming Guide, "Shared memory", 8.0 to 12.0: what of the unified cache can be shared memory, in KiB.
_CARVEOUTS_KIB = (0, 8, 16, 32, 64, 100, 132, 164, 196, 228)
_LEAST_L1_BYTES = 16384


def launch_sizes(launch: Launch, machine: Machine) -> CacheSizes:
    """Sizes for a launch. Raises UserError: `too-large`, `missing-rate`."""
    geometry = launch.geometry
    footprint = Footprint(geometry.threads, launch.registers, geometry.shared_bytes, launch.tmem_columns)
    sms = int(rate(machine, "sm_count"))
    resident = min(occupancy(footprint, machine).ctas, max(-(-geometry.ctas // sms), 1))
    unified = int(rate(machine, "l1_bytes"))
    wanted = resident * (geometry.shared_bytes + RESERVED_SMEM_BYTES) if geometry.shared_bytes else 0
    carveout = next((kib << 10 for kib in _CARVEOUTS_KIB if kib << 10 >= wanted), wanted)
    l1_bytes = max(unified - carveout, _LEAST_L1_BYTES)
    partitions = int(machine.rates.get("l2_partitions", 1))
    return CacheSizes(machine.name, l1_bytes, int(rate(machine, "l2_bytes")), sms, sms * resident, partitions)
