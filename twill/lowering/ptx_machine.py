"""The machine of an instruction-level problem: one warp's stream on one sub-core and its share of the SM.

A sub-core issues one instruction a cycle, and has a quarter of the SM's pipes. What the four sub-cores share (load and
store unit, TMA) counts with the share that each gets while all four are busy, so a warp's access to 128 bytes holds the
load/store pipe of its sub-core four cycles. One warp runs: neither other warps of the sub-core nor their stalls are
modelled. `wgmma` and `tcgen05` instructions use all four sub-cores' tensor cores together, and so hold this one's.
"""

from __future__ import annotations

from dataclasses import replace

from ir.machine import Machine

SUBCORES = 4

# Pipes of a sub-core; `issue` is the scheduler's slot, one instruction a cycle. Source: Huerta et al., MICRO 2025.
PIPES = {
    "issue": "one instruction a cycle",
    "fma": "fp32, fp16 and integer multiply-add pipe",
    "alu": "integer, logic, compare, convert and move pipe",
    "fp64": "double-precision pipe",
    "sfu": "MUFU: exp2, log2, reciprocal, square root, sine; conversions at its rate",
    "lsu": "this sub-core's share of the load/store unit: global, shared and local memory, shuffles",
    "tensor": "tensor core",
    "tma": "this sub-core's share of the TMA engine",
}


def instruction_machine(machine: Machine) -> Machine:
    """`machine` with the pipes of one sub-core as units, no warp groups and no memory limits."""
    return replace(
        machine,
        name=f"{machine.name}-subcore",
        units=dict.fromkeys(PIPES, 1),
        smem_bytes=None,
        tmem_columns=None,
        registers_per_sm=None,
        max_groups=1,
        warp_specialization=False,
        sources={**machine.sources, **{f"units.{name}": what for name, what in PIPES.items()}},
        description=f"one sub-core of {machine.description}",
    )
