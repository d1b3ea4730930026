"""The stages from a source to a verified schedule, one function each, timed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from backends.machines import load_machine
from ir.diagnostics import Diagnostic, UserError, fail
from ir.graph import DependenceGraph
from ir.loop import Kernel, Loop
from ir.machine import Machine
from ir.schedule import Conflict, Schedule, Status
from ir.serialize import read_graph
from twill.explain.why_not import why_not
from twill.problem.check import check, is_negative_answer
from twill.problem.pins import load_pins
from twill.problem.problem import Pins, Problem
from twill.problem.verify import verify
from twill.solve.protocol import Limits, Solver

# Solvers by name: module and class, imported when asked for.
SOLVERS = {
    "cpsat": ("twill.solve.cpsat", "CpSat"),
    "smt": ("twill.solve.smt", "Smt"),
    "ims": ("twill.solve.ims", "Ims"),
    "brute": ("twill.solve.brute", "Brute"),
}
DEFAULT_TARGET = "h100"
# In place of a pin file: the stages that Triton's own pipeliner chose.
TRITON_PINS = "triton"
# Most seconds spent on saying why a problem is infeasible and what would help.
CONFLICT_S = 30.0


class InternalError(RuntimeError):
    """The verifier rejected what a solver called valid: a defect here; `schedule` reproduces it."""

    def __init__(self, schedule: Schedule, findings: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(finding.render() for finding in findings))
        self.schedule = schedule


@dataclass(frozen=True)
class Options:
    """Everything that a user may choose; `twill.schedule` documents each."""

    target: Machine | str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    config_index: int | None = None
    num_warps: int | None = None
    num_stages: int | None = None
    loop: str | None = None
    subtile: int | Literal["auto"] = 1
    joint: bool | None = None
    max_groups: int | None = None
    max_stages: int | None = None
    max_ii: int | None = None
    forbid_register_handoff: bool = False
    pins: Path | str | None = None
    solver: str = "cpsat"
    normalize: int | None = None
    certify: bool = False


@dataclass(frozen=True)
class Instance:
    """A loop ready to be scheduled; kernel and loop are None for a bare graph.

    pipelined: the kernel with the stages of Triton's own pipeliner, where they are wanted as pins.
    """

    graph: DependenceGraph
    machine: Machine
    kernel: Kernel | None = None
    loop: Loop | None = None
    joint: bool = True
    pipelined: Kernel | None = None


@dataclass(frozen=True)
class Outcome:
    """A schedule with the problem and the instance that it answers."""

    schedule: Schedule
    problem: Problem
    instance: Instance


class PassTimes:
    """Seconds that each stage took, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to `stage`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


def run(source: Any, options: Options, limits: Limits) -> Outcome:
    """From a source to the best verified schedule over the sub-tilings asked for, with times under `timing`.

    The time limit holds for each solve, and once more for the cross-check.
    """
    times = PassTimes()
    outcomes = [_schedule(instance, options, limits, times) for instance in instances(source, options, times)]
    best = _finished(min(outcomes, key=lambda outcome: _rank(outcome.schedule)), options, limits, times)
    timed = {**{f"{stage}_s": s for stage, s in times.seconds.items()}, **best.schedule.timing}
    return replace(best, schedule=replace(best.schedule, timing=timed))


def instances(source: Any, options: Options, times: PassTimes) -> Iterator[Instance]:
    """The loop of `source` lowered for the target, once for each sub-tiling to try."""
    bare = _bare_instance(source, options)
    if bare is not None:
        yield bare
        return
    machine = find_machine(options.target or DEFAULT_TARGET)
    with times.measure("frontend"):
        kernel = load_kernel(source, machine, options)
        loop = choose_loop(kernel, options.loop)
        pipelined = load_kernel(source, machine, options, pipelined=True) if options.pins == TRITON_PINS else None
    for subtile in _subtile_choices(kernel, loop, machine, options.subtile):
        with times.measure("lowering"):
            instance = replace(lower_loop(kernel, loop, machine, subtile), pipelined=pipelined)
        yield instance


def make_problem(instance: Instance, options: Options) -> Problem:
    """The problem of an instance under the user's options and pins."""
    problem = Problem(
        graph=instance.graph,
        machine=instance.machine,
        joint=instance.joint if options.joint is None else options.joint,
        max_groups=options.max_groups,
        max_stages=options.max_stages,
        max_ii=options.max_ii,
        forbid_register_handoff=options.forbid_register_handoff,
    )
    return replace(problem, pins=_pins(instance, options.pins))


def _pins(instance: Instance, pins: Path | str | None) -> Pins:
    if pins is None:
        return Pins()
    if pins != TRITON_PINS:
        return load_pins(Path(pins), instance.graph)
    if instance.loop is None or instance.pipelined is None:
        raise fail("no-kernel", f"--pins {TRITON_PINS} needs a Triton kernel", remedy="give a pin file instead")
    from twill.frontend.triton_pipeliner import stage_pins

    return stage_pins(instance.pipelined, instance.loop, instance.graph)


def _schedule(instance: Instance, options: Options, limits: Limits, times: PassTimes) -> Outcome:
    problem = make_problem(instance, options)
    with times.measure("solve"):
        schedule = solve(problem, _solver(options), _restarted(limits))
    return Outcome(schedule, problem, instance)


def _finished(outcome: Outcome, options: Options, limits: Limits, times: PassTimes) -> Outcome:
    """The answer with its conflict explained, and cross-checked where that is asked for."""
    schedule = outcome.schedule
    if schedule.status is Status.INFEASIBLE:
        with times.measure("explain"):
            schedule = _with_conflict(schedule, outcome.problem, limits)
    if options.certify:
        from twill.solve.certify import certify

        with times.measure("certify"):
            schedule = certify(outcome.problem, schedule, _restarted(limits))
    return replace(outcome, schedule=schedule)


def _restarted(limits: Limits) -> Limits:
    return replace(limits, started=time.monotonic())


def _with_conflict(schedule: Schedule, problem: Problem, limits: Limits) -> Schedule:
    """The negative answer with its minimal conflict and the relaxations that help, as far as time allows."""
    from twill.explain.conflict import explain_conflict

    budget = replace(_restarted(limits), time_s=min(CONFLICT_S, limits.time_s))
    conflict = explain_conflict(problem, find_solver("cpsat"), budget, known_infeasible=True)
    return schedule if conflict is None else replace(schedule, conflict=conflict)


def _solver(options: Options) -> Solver:
    solver = find_solver(options.solver)
    if options.normalize is None:
        return solver
    from twill.solve.normalize import Normalized

    return Normalized(solver, options.normalize)


def _bare_instance(source: Any, options: Options) -> Instance | None:
    if isinstance(source, DependenceGraph):
        return Instance(source, find_machine(options.target or DEFAULT_TARGET))
    if isinstance(source, str | Path) and str(source).endswith(".json"):
        return read_bare_graph(Path(source), options.target)
    return None


def find_solver(name: str) -> Solver:
    """The solver of that name. Raises UserError for an unknown name."""
    if name not in SOLVERS:
        raise fail("unknown-solver", f"no solver {name!r}", remedy=f"solvers: {', '.join(SOLVERS)}")
    module, cls = SOLVERS[name]
    solver: Solver = getattr(import_module(module), cls)()
    return solver


def find_machine(target: Machine | str) -> Machine:
    """A machine by name, by path of a machine file, or as it is."""
    return target if isinstance(target, Machine) else load_machine(target)


def load_kernel(source: Any, machine: Machine, options: Options, pipelined: bool = False) -> Kernel:
    """The kernel of a source spec, or of a Triton function object."""
    if isinstance(source, Kernel):
        return source
    from twill.frontend.load import FrontendOptions, load_function, load_kernel

    chosen = FrontendOptions(
        arguments=options.arguments,
        constants=options.constants,
        config_index=options.config_index,
        num_warps=options.num_warps,
        num_stages=options.num_stages,
        architecture=machine.architecture,
        pipelined=pipelined,
    )
    load = load_kernel if isinstance(source, str | Path) else load_function
    return load(source, chosen)


def choose_loop(kernel: Kernel, name: str | None) -> Loop:
    """The loop of that name; without a name the innermost loop with the most matrix products, then most operations."""
    loops = list(kernel.loops())
    if not loops:
        raise fail("no-loop", f"kernel {kernel.name!r} has no loop, there is nothing to pipeline", kernel.location)
    if name is not None:
        return _loop_named(kernel, loops, name)
    innermost = [loop for loop in loops if loop.is_innermost]
    return max(innermost, key=lambda loop: (loop.refusal is None, _dots(loop), len(loop.body)))


def _loop_named(kernel: Kernel, loops: list[Loop], name: str) -> Loop:
    for loop in loops:
        if loop.name == name:
            return loop
    known = ", ".join(loop.name for loop in loops)
    raise fail("unknown-loop", f"kernel {kernel.name!r} has no loop {name!r}", kernel.location, f"loops: {known}")


def _dots(loop: Loop) -> int:
    return sum("dot" in getattr(item, "opcode", "") for item in loop.body)


def read_bare_graph(path: Path, target: Machine | str | None) -> Instance:
    """A graph document; `target` overrides the machine that it names."""
    graph, machine = read_graph(path)
    chosen = target or machine or DEFAULT_TARGET
    return Instance(graph, find_machine(chosen))


def lower_loop(kernel: Kernel, loop: Loop, machine: Machine, subtile: int) -> Instance:
    """The dependence graph of one loop; PTX loops are lowered at instruction level. Raises UserError if refused."""
    refusals = [finding for finding in why_not(loop) if finding.rule != "loop-trip-count"]
    if refusals:
        raise UserError(*refusals)
    if kernel.dialect == "ptx":
        from twill.lowering.ptx import instruction_machine, lower_ptx

        if subtile != 1:
            raise fail("subtile-refused", "instructions of a PTX loop cannot be sub-tiled", loop.location)
        return Instance(lower_ptx(kernel, loop, machine), instruction_machine(machine), kernel, loop, joint=False)
    from twill.lowering import lower

    return Instance(lower(kernel, loop, machine, subtile=subtile), machine, kernel, loop)


def _subtile_choices(kernel: Kernel, loop: Loop, machine: Machine, subtile: int | str) -> tuple[int, ...]:
    if subtile != "auto":
        return (int(subtile),)
    if kernel.dialect == "ptx" or loop.refusal is not None:
        return (1,)
    from twill.lowering import legal_subtiles

    return legal_subtiles(kernel, loop, machine)


def solve(problem: Problem, solver: Solver, limits: Limits) -> Schedule:
    """Check, solve, verify. Raises UserError for an invalid problem, InternalError for an invalid schedule."""
    findings = check(problem)
    if findings and not all(map(is_negative_answer, findings)):
        raise UserError(*(f for f in findings if not is_negative_answer(f)))
    if findings:
        return _negative(problem, solver, findings)
    schedule = solver.solve(problem, limits)
    violations = verify(schedule, problem)
    if violations:
        raise InternalError(schedule, violations)
    return schedule


def _negative(problem: Problem, solver: Solver, findings: tuple[Diagnostic, ...]) -> Schedule:
    message = "; ".join(finding.message for finding in findings)
    families = tuple(dict.fromkeys(finding.rule for finding in findings))
    remedies = tuple(finding.remedy for finding in findings if finding.remedy)
    conflict = Conflict(families, message, remedies)
    return Schedule(
        Status.INFEASIBLE,
        problem.graph,
        problem.machine,
        solver.name,
        problem.joint,
        conflict=conflict,
        message=message,
    )


def _rank(schedule: Schedule) -> tuple[Any, ...]:
    if not schedule.found:
        return (1,)
    return (0, schedule.ii_cycles, schedule.length_cycles, len(schedule.groups), schedule.status is not Status.OPTIMAL)
