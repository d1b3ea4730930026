"""The interval of a modelled time: parameters that studies measured differently, a group of them at a time.

Groups are taken to err independently of each other, parameters of a group together: the time is modelled once more for
each group at the ends that make the machine slower, and once at those that make it faster, and the differences add up
as squares do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import sqrt

from backends.model.modelled import Interval
from backends.model.parameters import SmParameters
from ir.machine import Machine

# Group -> what is part of a parameter's name. A parameter is in the first group that fits; larger is slower for the
# latencies and intervals, faster for rates.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "bandwidth": ("gbyte_per_s", "bytes_per_cycle", "per_cycle"),
    "clock": ("clock_mhz",),
    "memory latency": ("l1_", "l2_", "dram_", "lds_", "smem_"),
    "other": ("",),
}
_FASTER_IF_LARGER = ("gbyte_per_s", "per_cycle", "clock_mhz", "entries")


@dataclass(frozen=True)
class Group:
    """Overrides of a group of parameters at their slow and at their fast ends."""

    name: str
    slow: Mapping[str, float]
    fast: Mapping[str, float]


def groups_of(machine: Machine) -> tuple[Group, ...]:
    """The groups that have a parameter with a spread."""
    members: dict[str, list[str]] = {name: [] for name in GROUPS}
    for name in machine.spreads:
        members[next(g for g, parts in GROUPS.items() if any(p in name for p in parts))].append(name)
    return tuple(_group(group, machine, names) for group, names in members.items() if names)


def interval(value: float, parameters: SmParameters, time_us: Callable[[SmParameters], float]) -> Interval:
    """The interval around `value`, which `time_us` gave for `parameters`."""
    slower = faster = 0.0
    for group in groups_of(parameters.machine):
        ends = [
            time_us(replace(parameters, overrides={**parameters.overrides, **end})) - value
            for end in (group.slow, group.fast)
        ]
        slower += max(0.0, *ends) ** 2
        faster += max(0.0, *(-e for e in ends)) ** 2
    return Interval(value, value - sqrt(faster), value + sqrt(slower))


def _group(name: str, machine: Machine, members: list[str]) -> Group:
    slow, fast = {}, {}
    for member in members:
        low, high = machine.spreads[member]
        is_rate = any(part in member for part in _FASTER_IF_LARGER)
        slow[member], fast[member] = (low, high) if is_rate else (high, low)
    return Group(name, slow, fast)
