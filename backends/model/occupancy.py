"""How many CTAs of a kernel an SM holds at once, and what limits them, as NVIDIA's occupancy calculator has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.machines.loader import rate
from ir.diagnostics import fail
from ir.machine import Machine

# CUDA C++ Programming Guide, "Shared memory", 8.0 and later: each CTA takes 1 KiB for the system.
RESERVED_SMEM_BYTES = 1024
# Allocation units of NVIDIA's occupancy calculator for 8.0 and later.
_SMEM_UNIT_BYTES = 128
_REGISTERS_UNIT = 256
_WARPS_UNIT = 4


@dataclass(frozen=True)
class Footprint:
    """What one CTA takes: threads, registers of each, static and dynamic shared memory."""

    threads: int
    registers: int
    smem_bytes: int
    tmem_columns: int = 0


@dataclass(frozen=True)
class Occupancy:
    """CTAs and warps that one SM holds at once. `limits`: what each resource alone would allow, in CTAs."""

    ctas: int
    warps: int
    max_warps: int
    limits: Mapping[str, int]

    @property
    def share(self) -> float:
        """Warps held over warps that the SM could hold."""
        return self.warps / self.max_warps

    @property
    def limiter(self) -> str:
        """The resource that runs out first: registers, shared memory, warps, ctas or tensor memory."""
        return min(self.limits, key=lambda name: self.limits[name])


def occupancy(footprint: Footprint, machine: Machine) -> Occupancy:
    """Occupancy of a machine's SM by CTAs of one kind.

    Raises UserError `too-large` where not even one fits, `missing-rate` where the machine file lacks a limit.
    """
    per_warp = machine.threads_per_warp
    warps = -(-footprint.threads // per_warp)
    max_warps = int(rate(machine, "max_threads_per_sm")) // per_warp
    limits = {
        "warps": max_warps // warps,
        "ctas": int(rate(machine, "max_ctas_per_sm")),
        "registers": _by_registers(footprint.registers, warps, machine),
        "shared memory": _by_smem(footprint.smem_bytes, machine),
        **_by_tmem(footprint.tmem_columns, machine),
    }
    ctas = min(limits.values())
    if ctas < 1:
        name = min(limits, key=lambda key: limits[key])
        raise fail("too-large", f"one CTA ({_told(footprint)}) does not fit an SM of {machine.name}: {name}")
    return Occupancy(ctas, ctas * warps, max_warps, limits)


def _by_registers(registers: int, warps: int, machine: Machine) -> int:
    """Registers are given to a warp in units of 256, warps to the four register files alike."""
    if machine.registers_per_sm is None or not registers:
        return int(rate(machine, "max_ctas_per_sm"))
    of_warp = _up(registers * machine.threads_per_warp, _REGISTERS_UNIT)
    held = machine.registers_per_sm // of_warp // _WARPS_UNIT * _WARPS_UNIT
    return held // warps


def _by_smem(smem_bytes: int, machine: Machine) -> int:
    if machine.smem_bytes is None:
        return int(rate(machine, "max_ctas_per_sm"))
    return (machine.smem_bytes + RESERVED_SMEM_BYTES) // _up(smem_bytes + RESERVED_SMEM_BYTES, _SMEM_UNIT_BYTES)


def _by_tmem(columns: int, machine: Machine) -> dict[str, int]:
    if not columns:
        return {}
    return {"tensor memory": (machine.tmem_columns or 0) // columns}


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _told(footprint: Footprint) -> str:
    return (
        f"{footprint.threads} threads of {footprint.registers} registers, {footprint.smem_bytes} B of shared memory, "
        f"{footprint.tmem_columns} columns of tensor memory"
    )
