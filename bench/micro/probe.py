"""A probe: one parameter of a machine, the microbenchmark that measures it, and how its times become the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.micro.claims import Claim
from bench.micro.fit import fit_line
from ir.task import Sizes, Task, load_task

KERNELS = Path(__file__).parent / "kernels"
Constants = Mapping[str, int]
# Point of the sweep -> cost of one step there, in cycles.
Costs = Sequence[tuple[Constants, float]]
Fit = Callable[["Probe", Costs, Mapping[str, float]], float]


def in_cycles(_probe: Probe, costs: Costs, _rates: Mapping[str, float]) -> float:
    """The cost of a step as it is."""
    return costs[0][1]


def each(probe: Probe, costs: Costs, _rates: Mapping[str, float]) -> float:
    """The cost of a step over what it does."""
    return costs[0][1] / probe.work


def per_cycle(probe: Probe, costs: Costs, _rates: Mapping[str, float]) -> float:
    """What a step does, over what it costs."""
    return probe.work / costs[0][1]


def per_cycle_of_chip(probe: Probe, costs: Costs, rates: Mapping[str, float]) -> float:
    """The same over all SMs, where `work` is what one of them does."""
    return per_cycle(probe, costs, rates) * rates["sm_count"]


def gbyte_per_s_of_chip(probe: Probe, costs: Costs, rates: Mapping[str, float]) -> float:
    """Bytes of all SMs over the time that they cost."""
    return per_cycle_of_chip(probe, costs, rates) * rates["clock_mhz"] / 1e3


def beyond_shared_load(probe: Probe, costs: Costs, rates: Mapping[str, float]) -> float:
    """The cost of a step less the latency of a load from shared memory, which is in it."""
    return in_cycles(probe, costs, rates) - rates["lds_latency_cycles"]


def passes(probe: Probe, costs: Costs, rates: Mapping[str, float]) -> float:
    """The cost of an instruction of each sub-core, over that of an integer product."""
    return each(probe, costs, rates) * rates["int32_mul_lanes_per_cycle"] / 128


def intercept(probe: Probe, costs: Costs, _rates: Mapping[str, float]) -> float:
    """Cost where what is swept is nothing."""
    return fit_line([(constants[probe.axis] / probe.unit, cost) for constants, cost in costs]).intercept


def slope(probe: Probe, costs: Costs, _rates: Mapping[str, float]) -> float:
    """Cost for each `unit` of what is swept."""
    return fit_line([(constants[probe.axis] / probe.unit, cost) for constants, cost in costs]).slope


def slope_on_sm(probe: Probe, costs: Costs, rates: Mapping[str, float]) -> float:
    """The slope where each SM does its share of what is swept, one after the other."""
    return slope(probe, costs, rates) * rates["sm_count"]


def slope_ns(probe: Probe, costs: Costs, rates: Mapping[str, float]) -> float:
    """The slope as time."""
    return slope(probe, costs, rates) * 1e3 / rates["clock_mhz"]


def first_turn(probe: Probe, costs: Costs, _rates: Mapping[str, float]) -> float:
    """The slope of what a first turn costs beyond a second one: two costs at each place, of one turn and of two."""
    places = sorted({constants[probe.axis] for constants, _ in costs})
    cost = {(constants[probe.axis], constants["TURNS"]): found for constants, found in costs}
    return fit_line([(x / probe.unit, 2 * cost[x, 1] - cost[x, 2]) for x in places]).slope


@dataclass(frozen=True)
class Probe:
    """How `parameter` of a machine file's [rates] is measured.

    task: file under kernels/, with a variant. constants: what the measurement changes in it. sweep: points at which the
    cost of a step is wanted, each a change of constants; axis and unit: what of a point is the x of a line. work: what
    one step does, in the parameter's unit. shift: cycles to add, for a reason that `note` states. unrolls, repeats: the
    lengths that are compared; a kernel without UNROLL has one unroll of 0, and one that is timed whole one repeat.
    ctas_per_sm: the grid, where all SMs work. is_inside: the time is that of a part of the launch which the kernel
    picks, so that a model of whole launches has none. claim: what its machine code must have.
    """

    parameter: str
    task: str
    fit: Fit = in_cycles
    variant: str = ""
    constants: Constants = field(default_factory=dict)
    sweep: tuple[Constants, ...] = ({},)
    axis: str = ""
    unit: float = 1.0
    work: float = 1.0
    shift: float = 0.0
    note: str = ""
    ctas_per_sm: int = 0
    is_inside: bool = False
    unrolls: tuple[int, ...] = (32, 64)
    repeats: tuple[int, ...] = (8, 24)
    claim: Claim | None = None
    architectures: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its task, variant and changed constants, in words."""
        changes = " ".join(f"{k}={v}" for k, v in self.constants.items())
        return " ".join(part for part in (self.task.removesuffix(".toml"), self.variant, changes) if part)

    def applies_to(self, architecture: str) -> bool:
        """Whether its kernel has what it claims there."""
        named = self.architectures or load(self.task, "").targets
        return architecture in named

    def tasks(self, sm_count: int = 1) -> dict[tuple[int, int], tuple[Task, Sizes]]:
        """(point of the sweep, UNROLL) -> the task and its sizes without REPEATS, on a machine of so many SMs."""
        task = load(self.task, self.variant)
        found = {}
        grid = {"CTAS": self.ctas_per_sm * sm_count} if self.ctas_per_sm else {}
        for number, point in enumerate(self.sweep):
            for unroll in self.unrolls:
                changes = {**grid, **self.constants, **point, **({"UNROLL": unroll} if unroll else {})}
                sizes = {k: v for k, v in task.sizes["report"][0].items() if k != "REPEATS"}
                sizes |= {k: v for k, v in changes.items() if k in sizes}
                constants = {k: v for k, v in changes.items() if k in task.constants}
                assert constants.keys() | sizes.keys() >= changes.keys(), f"{self.name} changes what is not there"
                found[number, unroll] = replace(task, constants={**task.constants, **constants}), sizes
        return found


def load(file: str, variant: str) -> Task:
    """A task of this folder."""
    task = load_task(KERNELS / file)
    return task.variant(variant) if variant else task
