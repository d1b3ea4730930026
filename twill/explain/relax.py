"""The least that would make an infeasible problem feasible: one knob at a time, the smallest value by bisection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ir.schedule import Schedule
from twill.explain.conflict import Answer, Core, Oracle
from twill.explain.words import plural, size_text
from twill.problem.problem import Family, Pins, Problem

# A knob is turned by at most 2 ** 12 of its steps: 4 MiB of shared memory, for one.
MAX_DOUBLINGS = 12


@dataclass(frozen=True)
class Knob:
    """A number that can grow from `value` in steps; `turn` sets it, `say` words the change to a new value."""

    family: Family
    value: int
    step: int
    turn: Callable[[Problem, int], Problem]
    say: Callable[[int, int], str]


@dataclass(frozen=True)
class Found:
    """The smallest value known to be feasible, its schedule, and whether all smaller ones are ruled out."""

    value: int
    schedule: Schedule
    exact: bool


def relaxations(problem: Problem, core: Core, oracle: Oracle) -> Iterator[str]:
    """What would help, in words; what could not be answered in time is said too, what does not help is not."""
    for knob in knobs(problem, core):
        outcome = smallest(problem, knob, oracle)
        if isinstance(outcome, Found):
            yield _found_text(knob, outcome)
        elif outcome is Answer.UNKNOWN:
            yield f"{knob.say(knob.value, knob.value + knob.step)}, or yet more: no answer in time"
    yield from _larger_ii(problem, oracle)
    yield from _switches(problem, core, oracle)
    yield from _single_pins(problem, core, oracle)


def smallest(problem: Problem, knob: Knob, oracle: Oracle) -> Found | Answer:
    """The least value above the present one that makes the problem feasible, by doubling the growth and bisecting.

    Assumes that more never hurts. INFEASIBLE: not even the largest growth tried helps.
    """
    most = knob.value + knob.step * 2**MAX_DOUBLINGS
    if oracle.ask(knob.turn(problem, most))[0] is Answer.INFEASIBLE:
        return Answer.INFEASIBLE
    low, exact = knob.value, True
    for doublings in range(MAX_DOUBLINGS + 1):
        value = knob.value + knob.step * 2**doublings
        answer, schedule = oracle.ask(knob.turn(problem, value))
        if schedule is not None:
            return _bisect(problem, knob, oracle, low, Found(value, schedule, exact))
        exact &= answer is Answer.INFEASIBLE
        low = value
        if oracle.limits.remaining_s <= 0:
            break
    return Answer.UNKNOWN


def _bisect(problem: Problem, knob: Knob, oracle: Oracle, low: int, found: Found) -> Found:
    """Narrow (infeasible low, feasible found] down to one step."""
    exact = found.exact
    while found.value - low > knob.step:
        middle = low + (found.value - low) // (2 * knob.step) * knob.step
        answer, schedule = oracle.ask(knob.turn(problem, middle))
        if schedule is not None:
            found = Found(middle, schedule, exact)
            continue
        exact &= answer is Answer.INFEASIBLE
        low = middle
    return replace(found, exact=exact)


def knobs(problem: Problem, core: Core) -> Iterator[Knob]:
    """The numbers whose growth loosens a family of the core."""
    for knob in (*_memory_knobs(problem), *_register_knobs(problem), *_limit_knobs(problem)):
        if knob.family in core.certain:
            yield knob


def _machine(name: str) -> Callable[[Problem, int], Problem]:
    """A turn of one number of the machine."""

    def turn(problem: Problem, value: int) -> Problem:
        return replace(problem, machine=replace(problem.machine, **{name: value}))  # type: ignore[arg-type]

    return turn


def _memory_knobs(problem: Problem) -> Iterator[Knob]:
    smem, tmem = problem.machine.smem_bytes, problem.machine.tmem_columns
    if smem is not None:
        yield Knob(Family.SMEM, smem, 1024, _machine("smem_bytes"), _say_memory("smem", "shared memory"))
    if tmem is not None:
        yield Knob(Family.TMEM, tmem, 32, _machine("tmem_columns"), _say_memory("tmem", "tensor memory"))


def _say_memory(memory: str, name: str) -> Callable[[int, int], str]:
    def say(old: int, new: int) -> str:
        more, total, now = (size_text(size, memory) for size in (new - old, new, old))
        return f"{more} more {name} ({total} instead of {now})"

    return say


def _register_knobs(problem: Problem) -> Iterator[Knob]:
    machine = problem.machine
    step = machine.register_granularity
    thread = machine.max_registers_per_thread // step * step
    yield Knob(
        Family.REGISTERS, thread, step, _machine("max_registers_per_thread"),
        lambda old, new: f"up to {new} registers a thread instead of {old}",
    )  # fmt: skip
    if machine.registers_per_sm is not None:
        unit = machine.threads_per_warp * step
        yield Knob(
            Family.REGISTERS, machine.registers_per_sm, unit, _machine("registers_per_sm"),
            lambda old, new: f"{new - old} more registers an SM ({new} instead of {old})",
        )  # fmt: skip
    yield Knob(
        Family.GROUP_WARPS, machine.max_warps, 1, _machine("max_warps"),
        lambda old, new: f"{plural(new - old, 'more warp')} ({new} instead of {old})",
    )  # fmt: skip


def _limit_knobs(problem: Problem) -> Iterator[Knob]:
    yield Knob(
        Family.GROUPS, problem.group_limit, 1, _more_groups,
        lambda old, new: f"{plural(new - old, 'more warp group')} ({new} instead of {old})",
    )  # fmt: skip
    if problem.max_stages is not None:
        yield Knob(
            Family.STAGES, problem.max_stages, 1, lambda p, value: replace(p, max_stages=value),
            lambda old, new: f"{plural(new - old, 'more stage')} ({new} instead of {old})",
        )  # fmt: skip


def _more_groups(problem: Problem, value: int) -> Problem:
    machine = replace(problem.machine, max_groups=max(value, problem.machine.max_groups))
    return replace(problem, machine=machine, max_groups=value)


def _found_text(knob: Knob, found: Found) -> str:
    text = knob.say(knob.value, found.value)
    buffers = [b for b in found.schedule.buffers if b.memory == str(knob.family)]
    if buffers:
        needs = " + ".join(f"{b.op} {b.needed_depth} x {size_text(b.size, b.memory)}" for b in buffers)
        text += f"; it then holds {needs}"
    text += f", II {found.schedule.ii_cycles}"
    return text if found.exact else f"{text} (less is not ruled out: no answer in time)"


def _larger_ii(problem: Problem, oracle: Oracle) -> Iterator[str]:
    """The II that there is without the limit on it; the solver finds the smallest itself."""
    if problem.max_ii is None:
        return
    answer, schedule = oracle.ask(replace(problem, max_ii=None))
    if schedule is not None and schedule.ii_cycles is not None:
        doubt = "" if schedule.lower_bound_cycles >= schedule.ii_cycles else " (less is not ruled out)"
        yield f"an II of {schedule.ii_cycles} cycles instead of at most {problem.max_ii}{doubt}"
    elif answer is Answer.UNKNOWN:
        yield f"an II above {problem.max_ii} cycles: no answer in time"


# Families that can be switched off by a choice of the user, and the words for that.
SWITCHES: Mapping[Family, str] = {
    Family.REGISTER_HANDOFF: "allow values to go from group to group in registers",
    Family.VARIABLE_LATENCY: "let the loads share a group with other ops",
    Family.BLOCKING: "waits that do not keep the group from issuing other ops",
    Family.HANDOFF: "hand-offs between groups that cost nothing",
    Family.PINS: "drop the pins",
}


def _switches(problem: Problem, core: Core, oracle: Oracle) -> Iterator[str]:
    for family, text in SWITCHES.items():
        if family in core.certain:
            yield from _try(replace(problem, relaxed=problem.relaxed | {family}), text, oracle)


def _single_pins(problem: Problem, core: Core, oracle: Oracle) -> Iterator[str]:
    """Each pin whose removal alone is enough; silent on those without an answer, as there may be many."""
    if Family.PINS not in core.certain:
        return
    for pins, text in _fewer_pins(problem.pins):
        _, schedule = oracle.ask(replace(problem, pins=pins))
        if schedule is not None:
            yield f"drop only {text}, II {schedule.ii_cycles}"


def _fewer_pins(pins: Pins) -> Iterator[tuple[Pins, str]]:
    for op, label in pins.groups.items():
        groups = {name: value for name, value in pins.groups.items() if name != op}
        yield replace(pins, groups=groups), f"the pin of {op} to group {label}"
    for op, stage in pins.stages.items():
        stages = {name: value for name, value in pins.stages.items() if name != op}
        yield replace(pins, stages=stages), f"the pin of {op} to stage {stage}"
    for order in pins.orders:
        orders = tuple(other for other in pins.orders if other is not order)
        yield replace(pins, orders=orders), f"the order {', '.join(op for op, _ in order.entries)}"
    if pins.ii_cycles is not None:
        yield replace(pins, ii_cycles=None), f"the pin of the II to {pins.ii_cycles}"


def _try(problem: Problem, text: str, oracle: Oracle) -> Iterator[str]:
    answer, schedule = oracle.ask(problem)
    if schedule is not None:
        yield f"{text}, II {schedule.ii_cycles}"
    elif answer is Answer.UNKNOWN:
        yield f"{text}: no answer in time"
