"""What the simulator of an SM needs to know of a machine, out of its file: every number there has its source.

Units: cycles of the SM's clock, bytes, and, in the names of the machine file, whatever the name says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

from backends.machines import rate, rate_table
from ir.machine import Machine, RateTable

SUB_CORES = 4
WARP_LANES = 32
# Lanes of all four sub-cores that one instruction of each of them needs.
_ISSUE_LANES = SUB_CORES * WARP_LANES

# Pipe interval -> the rate (lanes or results in a cycle of the SM) that it follows from.
_INTERVAL_RATES = {
    "fp32": "fp32_lanes_per_cycle",
    "fp64": "fp64_lanes_per_cycle",
    "int32": "int32_lanes_per_cycle",
    "int32_mul": "int32_mul_lanes_per_cycle",
    "logic": "logic_lanes_per_cycle",
    "minmax": "minmax_lanes_per_cycle",
    "mufu": "sfu_results_per_cycle",
    "cvt_pack": "cvt_f32_f16_per_cycle",
    "cvt": "cvt_f32_i32_per_cycle",
}


@dataclass(frozen=True)
class SmParameters:
    """One SM of a machine. `overrides` replaces rates by name, such as one end of a spread.

    Raises UserError `missing-rate` or `missing-table` when a number is asked for that the machine does not state.
    """

    machine: Machine
    overrides: Mapping[str, float] = field(default_factory=dict)

    def rate(self, name: str) -> float:
        """One number of the machine file's [rates]."""
        return self.overrides[name] if name in self.overrides else rate(self.machine, name)

    def cycles(self, name: str) -> int:
        """A latency in whole cycles."""
        return round(self.rate(name))

    def table(self, name: str) -> RateTable:
        """One of the machine file's [tables]."""
        return rate_table(self.machine, name)

    @cached_property
    def intervals(self) -> Mapping[str, float]:
        """Cycles that a warp instruction holds a pipe of its sub-core, by kind of instruction.

        >>> from backends.machines import load_machine
        >>> a100 = SmParameters(load_machine("a100")).intervals
        >>> a100["fp32"], a100["int32"], a100["fp64"], a100["mufu"], a100["fp16"]
        (2.0, 2.0, 4.0, 8.0, 1.0)
        """
        lanes = {name: _ISSUE_LANES / self.rate(source) for name, source in _INTERVAL_RATES.items()}
        return {
            # No sub-core issues more than one instruction in a cycle.
            **{name: max(1.0, cycles) for name, cycles in lanes.items()},
            # Two results in each lane.
            "fp16": max(1.0, 2 * _ISSUE_LANES / self.rate("fp16_lanes_per_cycle")),
            # Two FMAs in each lane, at the rate of single ones.
            "fp32x2": 2 * lanes["fp32"],
            "int32_wide": max(1.0, lanes["int32_mul"]) * self.rate("wide_multiply_passes"),
            "uniform": self.rate("uniform_interval_cycles"),
            "control": self.rate("control_interval_cycles"),
            "none": 1.0,
        }

    @property
    def l2_bytes_per_cycle(self) -> float:
        """What one SM gets of the L2 when all SMs ask, at most its own port."""
        return min(self.rate("l2_bytes_per_cycle"), self.rate("l2_chip_bytes_per_cycle") / self.rate("sm_count"))

    @property
    def l2_partial_writes_per_cycle(self) -> float:
        """Parts of sectors that one SM may write to the L2 in a cycle when all SMs do; infinite if unknown."""
        if "l2_partial_writes_per_cycle" not in self.machine.rates:
            return inf
        return self.rate("l2_partial_writes_per_cycle") / self.rate("sm_count")

    @property
    def dram_bytes_per_cycle(self) -> float:
        """What one SM gets of the DRAM when all SMs ask, at the machine's clock."""
        bytes_per_s = 1e9 * self.rate("dram_achieved_gbyte_per_s")
        return bytes_per_s / (1e6 * self.rate("clock_mhz") * self.rate("sm_count"))

    @property
    def l2_extra_cycles(self) -> int:
        """Latency of an L1 miss that L2 has, beyond a hit; both from pointer chases."""
        return round(self.rate("l2_latency_cycles") - self.rate("ptx_l1_latency_cycles"))

    @property
    def far_extra_cycles(self) -> int:
        """Latency of a hit in a far partition of the L2 beyond one in the near; 0 where there are no partitions."""
        if "l2_far_latency_cycles" not in self.machine.rates:
            return 0
        return round(self.rate("l2_far_latency_cycles") - self.rate("l2_latency_cycles"))

    @property
    def dram_extra_cycles(self) -> int:
        """Latency of an L2 miss beyond a hit."""
        return round(self.rate("dram_latency_cycles") - self.rate("l2_latency_cycles"))

    @property
    def dram_far_cycles(self) -> int:
        """By how much an L2 miss in a far partition takes longer than the mean, and one in the near partition less."""
        if "dram_far_latency_cycles" not in self.machine.rates:
            return 0
        return round(self.rate("dram_far_latency_cycles") - self.rate("dram_latency_cycles"))

    @cached_property
    def memory_latency(self) -> Mapping[tuple[str, int, str], tuple[int, int]]:
        """(instruction, bits, "uniform" | "regular") -> cycles until its sources may be written, its result read.

        The table's loads are shifted by what this machine's L1 and shared memory take more or less than the table's.
        """
        rows = {(str(i), int(b), str(a)): (int(w), int(r)) for i, b, a, w, r in self.table("memory_latency").rows}
        bases = {"LDG": "l1_hit_latency_cycles", "LDS": "lds_latency_cycles"}
        shifts = {i: self.cycles(name) - rows[i, 32, "regular"][1] for i, name in bases.items()}
        return {(i, b, a): (war, raw + shifts.get(i, 0)) for (i, b, a), (war, raw) in rows.items()}
