"""From a task to its modelled time: compile, read the machine code, count, match, simulate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from backends.compilers.artifact import Compiled
from backends.compilers.cache import Cache
from backends.compilers.task import compile_task
from backends.model.asynchronous.match import asynchronous
from backends.model.chip import ChipTime, Work, chip_time
from backends.model.counts.count import count
from backends.model.counts.launch import Launch, task_launch
from backends.model.counts.result import KernelCounts
from backends.model.fidelity import class_error
from backends.model.limits import limits_of
from backends.model.matching.costs import Costs, access_costs
from backends.model.matching.lines import Lines
from backends.model.matching.match import Matched, match
from backends.model.modelled import Interval, Modelled
from backends.model.occupancy import Footprint, occupancy
from backends.model.parameters import SmParameters
from backends.model.spread import interval
from backends.sass.function import Function, read_sass
from ir.diagnostics import Diagnostic, fail
from ir.machine import Machine
from ir.task import Sizes, Task

# Beyond this share of executions that fit no path through the machine code, a note says so.
_DEVIATION_NOTE = 0.02


@dataclass(frozen=True)
class ProfileOptions:
    """with_interval: model the time again at the ends of the parameters' spreads. timeline: issues of an SM to keep."""

    with_interval: bool = True
    timeline: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Subject:
    """What is profiled, for people: the kernel's name, its source file, and sizes or other integers of the launch."""

    kernel: str
    source_file: str
    sizes: Sizes


@dataclass
class _Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started_s = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started_s


def profile_task(
    task: Task,
    sizes: Sizes,
    machine: Machine,
    options: ProfileOptions = ProfileOptions(),
    cache: Cache | None = None,
    compiled: Compiled | None = None,
) -> Modelled:
    """The modelled time of a task's launch at these sizes on a machine. compiled: the kernel, if it is there already.

    Raises UserError: what compiling, loading and counting raise; `no-machine-code` where there is no cubin to read;
    `too-large`, `missing-rate`, `model-deadlock`.
    """
    clock = _Clock()
    with clock.stage("compile"):
        compiled = compiled or compile_task(task, sizes, machine.architecture, cache)
    name = f"{task.name}:{task.variant_name}" if task.variant_name else task.name
    kernel = compiled
    subject = Subject(name, str(task.source), sizes)
    return _profiled(
        subject, kernel, lambda: task_launch(kernel, task, sizes, options.seed), machine, options, clock, cache
    )


def profile_launch(
    subject: Subject, compiled: Compiled, launch: Launch, machine: Machine, options: ProfileOptions = ProfileOptions()
) -> Modelled:
    """The modelled time of a launch whose kernel is compiled and whose memory is there. Raises as `profile_task`."""
    return _profiled(subject, compiled, lambda: launch, machine, options, _Clock())


def _profiled(
    subject: Subject,
    compiled: Compiled,
    launched: Callable[[], Launch],
    machine: Machine,
    options: ProfileOptions,
    clock: _Clock,
    cache: Cache | None = None,
) -> Modelled:
    with clock.stage("machine code"):
        function = _function(compiled, machine, cache)
    with clock.stage("count"):
        launch = launched()
        counts = count(launch, machine, options.seed)
    with clock.stage("barriers"):
        heaviest = max(counts.classes, key=lambda c: c.weight * c.warp_instructions)
        units = asynchronous(function, launch, heaviest.example)
    with clock.stage("match"):
        lines = Lines.of(counts.sites)
        matched = match(function, counts, units.late, cache)
        costs = access_costs(function, lines, counts.memory)
    footprint = _footprint(compiled, counts)
    held = occupancy(footprint, machine)
    work = Work(
        function, matched.classes, costs.by_instruction, held.ctas, units.barriers, units.shapes,
        meetings=counts.memory.meetings(),
    )  # fmt: skip
    parameters = SmParameters(machine)
    with clock.stage("simulate"):
        times = chip_time(work, parameters, options.timeline)
    with clock.stage("interval"):
        time_us = _interval(work, times, parameters, options)
    limits = limits_of(work, times, parameters)
    told = kernel_class(function, limits.limiter)
    return Modelled(
        kernel=subject.kernel,
        machine=machine.name,
        architecture=compiled.architecture,
        sizes=dict(subject.sizes),
        time_us=time_us,
        clock_mhz=parameters.rate("clock_mhz"),
        time=times,
        occupancy=held,
        limits=limits,
        kernel_class=told,
        error=class_error(told),
        deviation=matched.deviation,
        work=work,
        counts=counts,
        compiled=compiled,
        footprint=footprint,
        parameters=parameters,
        source_file=subject.source_file,
        has_interval=options.with_interval,
        notes=(*_notes(matched, costs, counts), *units.notes, *times.sm.assumptions),
        seconds=clock.seconds,
    )


def kernel_class(function: Function, limiter: str) -> str:
    """The class by which the model's error is told: asynchronous, tensor, memory (limited by DRAM) or plain.

    Units that work beside the warps are modelled more coarsely than the instructions of warps.
    """
    opcodes = {i.opcode for i in function.instructions}
    if opcodes & {"UTMALDG", "UTMASTG", "UTMAREDG", "UBLKCP", "HGMMA", "QGMMA", "IGMMA", "UTCHMMA", "UTCQMMA", "SYNCS"}:
        return "asynchronous"
    if opcodes & {"HMMA", "IMMA", "DMMA", "QMMA", "OMMA"}:
        return "tensor"
    return "memory" if limiter == "dram" else "plain"


def _function(compiled: Compiled, machine: Machine, cache: Cache | None) -> Function:
    if compiled.cubin is None:
        raise fail(
            "no-machine-code", f"`{compiled.entry}` was compiled without machine code for {machine.architecture}"
        )
    return read_sass(compiled.cubin, compiled.entry, compiled.architecture, cache)


def _footprint(compiled: Compiled, counts: KernelCounts) -> Footprint:
    resources = compiled.resources
    static = resources.static_smem_bytes if resources else 0
    return Footprint(
        math.prod(counts.block),
        resources.registers if resources else 0,
        static + compiled.dynamic_smem_bytes,
        compiled.tmem_columns,
    )


def _interval(work: Work, times: ChipTime, parameters: SmParameters, options: ProfileOptions) -> Interval:
    if options.with_interval:
        return interval(work, times, parameters)
    value = times.total_cycles / parameters.rate("clock_mhz")
    return Interval(value, value, value)


def _notes(matched: Matched, costs: Costs, counts: KernelCounts) -> Iterator[Diagnostic]:
    if matched.deviation > _DEVIATION_NOTE:
        message = f"{matched.deviation:.1%} of the PTX's executions fit no path through the machine code"
        yield Diagnostic("unmatched-executions", message)
    if matched.unproven:
        message = (
            f"the paths of {matched.unproven} kinds of warps may not be those that fit best: the search was cut off"
        )
        yield Diagnostic("unproven-match", message)
    if not counts.is_regular:
        yield Diagnostic("irregular-grid", f"CTAs differ: {'; '.join(counts.checks)}")
    if counts.assumed:
        message = f"{len(counts.assumed)} branches depend on data that was not there and are taken to be taken"
        yield Diagnostic("assumed-branches", message)
    if costs.unseen:
        message = f"{len(costs.unseen)} accesses of the assembler's own are taken for coalesced and cached"
        yield Diagnostic("unseen-accesses", message)
