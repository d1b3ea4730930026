"""Where a launch stands under the roofline: its operations by byte of DRAM, and what the machine could do with that."""

from __future__ import annotations

from dataclasses import dataclass

from backends.model.parameters import SmParameters
from backends.model.report.facts import Facts

# Rates of matrix products in a cycle of an SM, by the machine file, widest type first.
_TENSOR_RATES = {
    "fp16_dst": "tensor_fp16_flop_per_cycle", "bf16_dst": "tensor_bf16_flop_per_cycle",
    "tf32_dst": "tensor_tf32_flop_per_cycle", "fp8_dst": "tensor_fp8_flop_per_cycle",
    "int8": "tensor_int8_flop_per_cycle",
}  # fmt: skip
_LANE_RATES = {"fp32": "fp32_lanes_per_cycle", "fp16": "fp16_lanes_per_cycle", "fp64": "fp64_lanes_per_cycle"}


@dataclass(frozen=True)
class Roofline:
    """kind: the precision that has most of the operations, or `tensor`. intensity: operations by byte of DRAM.

    peak_gflop_per_s: of the machine for that kind, None where its file does not say; roof_gflop_per_s: what it could do
    at this intensity. achieved_gflop_per_s and achieved_gbyte_per_s: modelled. bound: `memory` or `compute`.
    is_complete: whether the operations of all matrix products are known.
    """

    kind: str
    flops: float
    dram_bytes: float
    intensity_flop_per_byte: float | None
    peak_gflop_per_s: float | None
    dram_gbyte_per_s: float
    roof_gflop_per_s: float | None
    achieved_gflop_per_s: float
    achieved_gbyte_per_s: float
    bound: str | None
    is_complete: bool = True

    @property
    def roof_share(self) -> float | None:
        """Achieved operations over what the roof allows; without any, bandwidth over the machine's."""
        if not self.flops:
            return self.achieved_gbyte_per_s / self.dram_gbyte_per_s
        return self.achieved_gflop_per_s / self.roof_gflop_per_s if self.roof_gflop_per_s else None


def roofline(facts: Facts) -> Roofline:
    """The position of a launch. DRAM at its data-sheet rate, pipes at the model's clock."""
    modelled = facts.modelled
    parameters, seconds = modelled.parameters, modelled.time_us.value * 1e-6
    flops = {kind: n or 0.0 for kind, n in facts.flops.items()}
    kind = max(flops, key=lambda k: flops[k])
    peak = _peak(kind, facts, parameters)
    dram = _dram(parameters)
    intensity = facts.total_flops / facts.dram_bytes if facts.dram_bytes else None
    roof = peak if intensity is None else min(peak, intensity * dram) if peak else None
    return Roofline(
        kind, facts.total_flops, facts.dram_bytes, intensity, peak, dram, roof,
        facts.total_flops / seconds * 1e-9, facts.dram_bytes / seconds * 1e-9,
        None if roof is None else "compute" if roof == peak and flops[kind] else "memory",
        facts.flops["tensor"] is not None,
    )  # fmt: skip


def _dram(parameters: SmParameters) -> float:
    rates = parameters.machine.rates
    return rates.get("dram_gbyte_per_s") or parameters.rate("dram_achieved_gbyte_per_s")


def _peak(kind: str, facts: Facts, parameters: SmParameters) -> float | None:
    """Operations that all SMs could do, in 1e9 a second."""
    name = _tensor_rate(facts) if kind == "tensor" else _LANE_RATES[kind]
    per_cycle = parameters.machine.rates.get(name or "")
    if per_cycle is None:
        return None
    # An FMA is two operations.
    each = 1 if kind == "tensor" else 2
    return each * per_cycle * parameters.rate("sm_count") * parameters.rate("clock_mhz") * 1e-3


def _tensor_rate(facts: Facts) -> str | None:
    paths = facts.tensor_paths
    if not paths:
        return None
    path = max(paths, key=lambda p: paths[p])
    return next((rate for start, rate in _TENSOR_RATES.items() if path.startswith(start)), None)
