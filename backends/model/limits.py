"""How busy each unit was, and which of them limits the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.model.chip import ChipTime, Work, contention_cycles, hand_out_cycles, shared_cycles
from backends.model.parameters import SUB_CORES, WARP_LANES, SmParameters
from backends.model.sm.costs import MemoryCost
from backends.model.sm.result import SmResult

# Nsight Compute's rule "Speed of Light": below 60 % of every unit's rate, latencies limit the kernel.
FULL_SHARE = 0.6
# Pipe of the simulator -> the limiter's name, for those that go by another.
_PIPE_NAMES = {"fmaheavy": "imad", "xu": "mufu", "tmem": "tensor memory"}
_UNNAMED = ("lsu", "none", "control")
_LATENCY, _LAUNCH, _CTA_LAUNCH, _ATOMICS = "latency", "launch", "cta launch", "atomics"


@dataclass(frozen=True)
class Limits:
    """busy: unit -> share of the time that it was busy or its rate was used, largest first.

    limiter: the busiest unit if it is full, `launch` if the launch takes longer than the work, else `latency`. Among
    the units is what starts CTAs, one after the other for the whole chip: `cta launch`, and the busiest line of the L2
    at which atomics meet: `atomics`.
    stall: the state in which warps spent most of their time, by Nsight Compute's names. cycles: unit -> cycles that its
    work of the whole launch takes on the busiest SM.
    """

    busy: Mapping[str, float]
    limiter: str
    stall: str
    cycles: Mapping[str, float] = field(default_factory=dict)


def limits_of(work: Work, time: ChipTime, parameters: SmParameters) -> Limits:
    """What limits a launch. Shares are of the busiest SM's time, that of the launch itself apart."""
    shares = sorted(_busy(work, time, parameters).items(), key=lambda item: -item[1])
    # The busiest SM may use a little more than its even share of L2 and DRAM.
    busy = {name: min(share, 1.0) for name, share in shares}
    cycles = {name: share * time.cycles for name, share in shares}
    stall = next(iter(time.sm.stall_cycles()), "")
    name, share = shares[0]
    limiter = _LAUNCH if time.launch_cycles > time.cycles else name if share >= FULL_SHARE else _LATENCY
    return Limits(busy, limiter, stall, cycles)


def _busy(work: Work, time: ChipTime, parameters: SmParameters) -> dict[str, float]:
    sm = time.sm
    pipes = {_PIPE_NAMES.get(p, p): b / SUB_CORES for p, b in sm.pipe_busy.items() if p not in _UNNAMED and b}
    l1, shared = memory_cycles(work.costs, sm, parameters)
    share = SmParameters(parameters.machine, {**parameters.overrides, "sm_count": time.active_sms})
    held = {
        "issue": sum(sm.issues) / SUB_CORES,
        **pipes,
        "l1": l1,
        "shared": shared,
        **shared_cycles(sm, share),
    }
    shares = {name: value / time.simulated_share_cycles for name, value in held.items() if value}
    whole = {
        _CTA_LAUNCH: hand_out_cycles(work, parameters),
        _ATOMICS: contention_cycles(work, parameters),
    }
    return {**shares, **{name: cycles / max(time.cycles, 1.0) for name, cycles in whole.items() if cycles}}


def memory_cycles(costs: Mapping[int, MemoryCost], sm: SmResult, parameters: SmParameters) -> tuple[float, float]:
    """Cycles of global and of shared accesses: in the load/store unit, or on the way of what is loaded to registers."""
    passes, returned = dict.fromkeys(("l1", "shared"), 0.0), dict.fromkeys(("l1", "shared"), 0.0)
    for index, cost in costs.items():
        name = "shared" if cost.space in ("shared", "distributed") else "l1"
        passes[name] += sm.issues[index] * max(cost.wavefronts, cost.tag_passes or 1.0, 1.0)
        if cost.kind == "load":
            returned[name] += sm.issues[index] * cost.bytes_per_lane * WARP_LANES
    unit = sm.pipe_busy.get("lsu", 0.0) / (sum(passes.values()) or 1.0)
    way = parameters.rate("writeback_bytes_per_cycle") * SUB_CORES
    l1, shared = (max(passes[name] * unit, returned[name] / way) for name in passes)
    return (l1, shared) if any(passes.values()) else (sm.pipe_busy.get("lsu", 0.0), 0.0)
