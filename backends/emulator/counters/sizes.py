"""How large the caches are that a launch sees, and how many CTAs run at once, from a machine file."""

from __future__ import annotations

from dataclasses import dataclass

from backends.emulator.geometry import Geometry
from backends.machines.loader import load_machine, machine_names, rate
from ir.machine import Machine

# CUDA C++ Programming Guide, "Shared memory": each CTA takes 1 KiB for the system.
_RESERVED_BYTES = 1024
_WARP_THREADS = 32
_LEAST_L1_BYTES = 16384


@dataclass(frozen=True)
class CacheSizes:
    """Bytes of one SM's L1 beside the shared memory of its CTAs, bytes of the L2, SMs, and CTAs that run at once.

    l2_partitions: parts of the L2, each of which keeps what the SMs next to it read.
    """

    machine: str
    l1_bytes: int
    l2_bytes: int
    sm_count: int
    wave_ctas: int
    l2_partitions: int = 1


def machine_for(architecture: int) -> Machine:
    """The first shipped machine of a compute capability (90), or of the nearest below it that there is."""
    machines = [load_machine(name) for name in machine_names()]
    numbers = {m.name: int("".join(c for c in m.architecture if c.isdigit())) for m in machines}
    known = [number for number in numbers.values() if number <= architecture] or list(numbers.values())
    nearest = max(known) if min(known) <= architecture else min(known)
    return next(m for m in machines if numbers[m.name] == nearest)


def cache_sizes(machine: Machine, geometry: Geometry) -> CacheSizes:
    """Sizes for a launch; registers, which may limit the CTAs of an SM too, are not known here.

    Raises UserError `missing-rate` where the machine file does not state what is needed.
    """
    threads = -(-geometry.threads // _WARP_THREADS) * _WARP_THREADS
    shared = geometry.shared_bytes + _RESERVED_BYTES
    unified, sms = int(rate(machine, "l1_bytes")), int(rate(machine, "sm_count"))
    resident = max(
        min(
            int(rate(machine, "max_threads_per_sm")) // threads,
            int(rate(machine, "max_ctas_per_sm")),
            unified // shared,
        ),
        1,
    )
    resident = min(resident, max(-(-geometry.ctas // sms), 1))
    left = max(unified - resident * (shared if geometry.shared_bytes else 0), _LEAST_L1_BYTES)
    return CacheSizes(machine.name, left, int(rate(machine, "l2_bytes")), sms, sms * resident)
