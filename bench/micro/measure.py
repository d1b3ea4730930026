"""Runs probes on a timer and fits their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from backends.compilers.task import compile_task
from bench.micro.claims import faults
from bench.micro.fit import run_cost, step_cost
from bench.micro.listing import read_listing
from bench.micro.probe import Costs, Probe
from bench.micro.timer import Timer
from ir.diagnostics import UserError


@dataclass(frozen=True)
class Measurement:
    """A parameter as a probe found it; `failure` says why there is no value. costs: of a step at each point swept."""

    parameter: str
    probe: str
    value: float | None = None
    costs: tuple[float, ...] = ()
    failure: str = ""


def measure(
    probes: Sequence[Probe], timer: Timer, rates: Mapping[str, float], progress: Callable[[str], None] = lambda _: None
) -> list[Measurement]:
    """Every probe that the timer's architecture has, in order; `rates` are known facts such as `sm_count`."""
    found = []
    for probe in (p for p in probes if p.applies_to(timer.architecture)):
        found.append(_measured(probe, timer, rates))
        progress(_line(found[-1]))
    return found


def claim_faults(probe: Probe, architecture: str) -> Iterator[str]:
    """What of the probe's claim does not hold for the machine code of any of its kernels."""
    if probe.claim is None:
        return
    for (_, unroll), (task, sizes) in probe.tasks().items():
        compiled = compile_task(task, {**sizes, "REPEATS": probe.repeats[0]}, architecture)
        steps = unroll or 1
        yield from (
            f"{probe.name}, {architecture}: {fault}" for fault in faults(read_listing(compiled), probe.claim, steps)
        )


def _measured(probe: Probe, timer: Timer, rates: Mapping[str, float]) -> Measurement:
    try:
        broken = list(claim_faults(probe, timer.architecture))
        if broken:
            return Measurement(probe.parameter, probe.name, failure=broken[0])
        costs = _costs(probe, timer, int(rates.get("sm_count", 1)))
    except UserError as error:
        return Measurement(probe.parameter, probe.name, failure=str(error))
    if min(cost for _, cost in costs) <= 0:
        return Measurement(probe.parameter, probe.name, failure="more work took no more time")
    value = probe.fit(probe, costs, rates) + probe.shift
    return Measurement(probe.parameter, probe.name, value, tuple(cost for _, cost in costs))


def _costs(probe: Probe, timer: Timer, sm_count: int) -> Costs:
    tasks = probe.tasks(sm_count)
    times = {
        (point, unroll, repeats): timer.cycles(task, {**sizes, "REPEATS": repeats})
        for (point, unroll), (task, sizes) in tasks.items()
        for repeats in probe.repeats
    }
    return [(constants, _cost(probe, times, point)) for point, constants in enumerate(probe.sweep)]


def _cost(probe: Probe, times: Mapping[tuple[int, int, int], float], point: int) -> float:
    mine = {(unroll, repeats): time for (one, unroll, repeats), time in times.items() if one == point}
    if len(probe.repeats) == 1:
        return mine[probe.unrolls[0], probe.repeats[0]]
    return step_cost(mine) if len(probe.unrolls) > 1 else run_cost(mine, probe.unrolls[0])


def _line(found: Measurement) -> str:
    value = found.failure or f"{found.value:.6g}"
    return f"{found.parameter}: {value} ({found.probe})"
