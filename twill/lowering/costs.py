"""Cycles and registers of tile operations on one machine, computed from the rates of its file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from backends.machines import rate
from ir.diagnostics import Location
from ir.machine import Machine
from ir.types import Type
from twill.lowering.work import instructions, unit_and_rate

KIB = 1024


@dataclass(frozen=True)
class Cost:
    """`cycles` of one unit, and `depth_cycles` more until the last result is there."""

    unit: str
    cycles: float
    depth_cycles: int = 0


@dataclass(frozen=True)
class Costs:
    """Costs for tile operations that `warps` warps execute together."""

    machine: Machine
    warps: int

    @property
    def threads(self) -> int:
        """Threads of the group."""
        return self.warps * self.machine.threads_per_warp

    def rate(self, name: str, location: Location | None = None) -> float:
        """A number of the machine file. Raises UserError `missing-rate`."""
        return rate(self.machine, name, location)

    def cycles(self, name: str) -> int:
        """A latency of the machine file."""
        return round(self.rate(name))

    def registers(self, tile: Type) -> int:
        """32-bit registers that the tile takes in each thread."""
        return math.ceil(tile.elements * tile.element_bits / 32 / self.threads)

    def elementwise(self, opcode: str, operand: Type, result: Type) -> tuple[Cost, ...]:
        """Cost on each unit that the operation uses, the smallest first."""
        parts: dict[str, Cost] = {}
        for kind, count in instructions(opcode, operand, result):
            unit, name, latency = unit_and_rate(kind, _computed(operand, result))
            before = parts.get(unit, Cost(unit, 0))
            depth = before.depth_cycles + self.cycles(latency)
            parts[unit] = Cost(unit, before.cycles + result.elements * count / self.rate(name), depth)
        return tuple(sorted(parts.values(), key=lambda cost: cost.cycles))

    def combine(self, opcodes: Iterable[str], element: Type, elements: float) -> float:
        """ALU cycles of the scalar operations inside a reduction, over `elements` elements."""
        total = 0.0
        for opcode in opcodes:
            for kind, count in instructions(opcode, element, element):
                total += elements * count / self.rate(unit_and_rate(kind, element.element)[1])
        return total

    def shared_memory(self, size_bytes: int) -> float:
        """Cycles of the load/store unit to move so many bytes to or from shared memory."""
        return size_bytes / self.rate("smem_bytes_per_cycle")

    def handoff_of_registers(self, tile: Type) -> int:
        """Extra cycles for a register tile to reach another warp group, through shared memory."""
        per_kib = self.rate("register_handoff_cycles_per_kib") * tile.bytes / KIB
        fixed = self.rate("register_handoff_cycles") + self.rate("mbarrier_handoff_cycles")
        return math.ceil(fixed + per_kib)


def _computed(operand: Type, result: Type) -> str:
    """The element type in which the operation computes: that of the operand where the result is a predicate."""
    wide = max((operand, result), key=lambda t: t.element_bits)
    return operand.element if result.element == "i1" else wide.element
