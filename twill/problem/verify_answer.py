"""Is a schedule's record of itself right: placements, length, group table, buffers, levels, bounds, rejections?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from ir.diagnostics import Diagnostic
from ir.schedule import Bound, Buffer, Level, Schedule, Status
from twill.problem.problem import Family, Problem
from twill.problem.verify_steady import Steady, names

MODULO_LEVELS = ("ii", "length")
JOINT_LEVELS = ("ii", "length", "groups", "crossings")


def same_problem(schedule: Schedule, problem: Problem) -> Iterator[Diagnostic]:
    """The schedule answers this very problem."""
    pairs = {
        "graph": schedule.graph == problem.graph,
        "machine": schedule.machine == problem.machine,
        "kind (joint or modulo)": schedule.joint == problem.joint,
    }
    for what, same in pairs.items():
        if not same:
            yield Diagnostic("problem", f"the schedule was made for another {what} than the problem has")


def no_schedule(schedule: Schedule, _problem: Problem) -> Iterator[Diagnostic]:
    """An answer without a schedule has nothing placed, and an infeasible one says why."""
    leftovers = {
        "an II": schedule.ii_cycles is not None,
        "a length": schedule.length_cycles is not None,
        "placements": bool(schedule.placements),
        "groups": bool(schedule.groups),
        "buffers": bool(schedule.buffers),
    }
    for what, there in leftovers.items():
        if there:
            yield Diagnostic("answer", f"the status is {schedule.status}, and yet the schedule has {what}")
    if schedule.status is Status.INFEASIBLE and not schedule.certificate.rejections and not schedule.conflict:
        yield Diagnostic("answer", "the answer is infeasible with neither a rejected II nor a conflict to show for it")


def placement(schedule: Schedule, problem: Problem) -> Iterator[Diagnostic]:
    """Each op once, at a time from 0 on, in a group that exists; an II of at least 1."""
    count = Counter(p.op for p in schedule.placements)
    known = problem.graph.by_name
    lists = {
        "not placed": [name for name in known if not count[name]],
        "placed more than once": [name for name, times in count.items() if times > 1],
        "not in the graph": [name for name in count if name not in known],
        "placed before cycle 0": [p.op for p in schedule.placements if p.time_cycles < 0],
        "an edge's end or pinned, and not in the graph": sorted(_mentioned(problem) - known.keys()),
        "in a negative group": [p.op for p in schedule.placements if p.group < 0],
        "in a group of a schedule that has no groups": [
            p.op for p in schedule.placements if p.group > 0 and not problem.joint
        ],
    }
    for what, ops in lists.items():
        if ops:
            yield Diagnostic("placement", f"{what}: {names(ops)}")
    if schedule.ii_cycles is None or schedule.ii_cycles < 1:
        yield Diagnostic("placement", f"the II is {schedule.ii_cycles}, and must be at least 1")


def _mentioned(problem: Problem) -> set[str]:
    pins = problem.pins
    ordered = {op for order in pins.orders for op, _ in order.entries}
    ends = {end for edge in problem.graph.edges for end in (edge.source, edge.target)}
    return ends | ordered | set(pins.groups) | set(pins.stages)


def extent(steady: Steady) -> Iterator[Diagnostic]:
    """The first op at cycle 0, the length to the end of the last op, the II within its limit."""
    first = min(steady.times.values())
    if first:
        yield Diagnostic("extent", f"the first op issues at cycle {first}, and must at 0")
    length = max(steady.times[op.name] + op.span_cycles for op in steady.ops)
    if steady.schedule.length_cycles != length:
        yield Diagnostic(
            "extent", f"the length is given as {steady.schedule.length_cycles}, the last op ends at {length}"
        )
    limit = steady.problem.max_ii
    if limit is not None and steady.ii > limit:
        yield Diagnostic("extent", f"the II is {steady.ii}, at most {limit} allowed")


def group_table(steady: Steady) -> Iterator[Diagnostic]:
    """One row for each group in use, with the warps that its ops need."""
    indices = [group.index for group in steady.schedule.groups]
    wanted = list(steady.members)
    if not steady.problem.joint and not indices:
        return
    if sorted(indices) != wanted:
        yield Diagnostic("group_table", f"the table lists groups {sorted(indices)}, ops are in groups {wanted}")
    for group in steady.schedule.groups:
        if group.index in steady.members and group.warps != steady.warps(group.index):
            message = f"group {group.index} has {group.warps} warps, its ops need {steady.warps(group.index)}"
            yield Diagnostic("group_table", message)


def buffers(steady: Steady) -> Iterator[Diagnostic]:
    """One buffer for each result and memory that holds it; size, lifetime and depths as the schedule implies."""
    count = Counter((b.op, b.memory) for b in steady.schedule.buffers)
    sizes = _sizes(steady)
    twice = [f"{op} ({memory})" for (op, memory), times in count.items() if times > 1]
    unknown = [f"{op} ({memory})" for op, memory in count if (op, memory) not in sizes]
    absent = [f"{op} ({memory})" for op, memory in sizes if (op, memory) not in count]
    lists = {"more than one": twice, "no value to hold": unknown}
    if steady.problem.joint:
        lists["none where one is needed"] = absent
    for what, ops in lists.items():
        if ops:
            yield Diagnostic("buffer", f"buffers, {what}: {names(ops)}")
    for buffer in steady.schedule.buffers:
        if (buffer.op, buffer.memory) in sizes:
            yield from _buffer(steady, buffer, sizes[buffer.op, buffer.memory])


def _sizes(steady: Steady) -> Mapping[tuple[str, str], int]:
    sizes = {}
    for op in steady.ops:
        footprint = {"smem": op.smem_bytes, "tmem": op.tmem_columns, "registers": op.registers}
        sizes.update({(op.name, memory): size for memory, size in footprint.items() if size})
    return sizes


def _buffer(steady: Steady, buffer: Buffer, size: int) -> Iterator[Diagnostic]:
    live = steady.ends[buffer.op] - steady.times[buffer.op]
    needed = -(-live // steady.ii)
    wrong = {
        f"has size {buffer.size}, the value {size}": buffer.size != size,
        f"is said to live {buffer.live_cycles} cycles, the value lives {live}": buffer.live_cycles != live,
        f"is said to need depth {buffer.needed_depth}, {live} cycles at II {steady.ii} need {needed}": (
            buffer.needed_depth != needed
        ),
        f"has depth {buffer.depth}, {needed} needed: fewer deadlock": buffer.depth < needed,
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            yield Diagnostic("buffer", f"the {buffer.memory} buffer of `{buffer.op}` {what}")


def certificate(steady: Steady) -> Iterator[Diagnostic]:
    """Levels that state the values reached, no refuted II in use, and OPTIMAL only with full proof."""
    schedule = steady.schedule
    values = _values(steady)
    for level in schedule.certificate.levels:
        yield from _level(level, values)
    yield from _proof_complete(steady)
    refuted = [r.ii_cycles for r in schedule.certificate.rejections if r.ii_cycles >= steady.ii]
    if refuted:
        yield Diagnostic(
            "certificate", f"the II is {steady.ii}, and every II up to {max(refuted)} is said to be refuted"
        )
    if schedule.lower_bound_cycles > steady.ii:
        yield Diagnostic("certificate", f"the lower bound {schedule.lower_bound_cycles} exceeds the II {steady.ii}")
    if schedule.conflict is not None:
        yield Diagnostic("certificate", "there is a schedule, and also a conflict that is said to forbid any")


def _values(steady: Steady) -> Mapping[str, int | None]:
    crossings = sum(steady.group_of[e.source] != steady.group_of[e.target] for e in steady.edges)
    modulo: dict[str, int | None] = {"ii": steady.ii, "length": steady.schedule.length_cycles}
    return {**modulo, "groups": len(steady.members), "crossings": crossings} if steady.problem.joint else modulo


def _level(level: Level, values: Mapping[str, int | None]) -> Iterator[Diagnostic]:
    value = values.get(level.name)
    if value != level.value:
        yield Diagnostic("certificate", f"level {level.name} is given as {level.value}, the schedule has {value}")
    if level.lower_bound > level.value:
        yield Diagnostic("certificate", f"level {level.name}: bound {level.lower_bound} exceeds value {level.value}")


def _proof_complete(steady: Steady) -> Iterator[Diagnostic]:
    schedule = steady.schedule
    levels = {level.name: level for level in schedule.certificate.levels}
    wanted = JOINT_LEVELS if steady.problem.joint else MODULO_LEVELS
    if schedule.status is Status.OPTIMAL:
        open_levels = [name for name in wanted if name not in levels or not levels[name].proven]
        if open_levels:
            yield Diagnostic(
                "certificate", f"the status is optimal, and no proof is given for: {', '.join(open_levels)}"
            )
    if "ii" in levels and (shown := _shown_bound(steady)) < levels["ii"].lower_bound:
        message = f"II below {levels['ii'].lower_bound} is said to be impossible, bounds and refutations reach {shown}"
        yield Diagnostic("certificate", message)


def _shown_bound(steady: Steady) -> int:
    given = steady.schedule.certificate
    pinned = steady.problem.pins.ii_cycles if steady.problem.joint and steady.problem.has(Family.PINS) else None
    return max(
        1,
        pinned or 1,
        *(bound.ii_cycles for bound in given.bounds),
        *(rejection.ii_cycles + 1 for rejection in given.rejections),
    )


def bounds(schedule: Schedule, problem: Problem) -> Iterator[Diagnostic]:
    """Each stated bound follows from the ops that it names."""
    if schedule.found and any(b.ii_cycles > (schedule.ii_cycles or 0) for b in schedule.certificate.bounds):
        yield Diagnostic("bound", f"a lower bound exceeds the II {schedule.ii_cycles}")
    for bound in schedule.certificate.bounds:
        unknown = [op for op in bound.ops if op not in problem.graph.by_name]
        if unknown:
            yield Diagnostic("bound", f"the bound of {bound.name} names ops that the graph lacks: {names(unknown)}")
        elif not problem.has(_FAMILY_OF[bound.kind]) or not _KINDS[bound.kind](bound, problem):
            message = f"the {bound.kind} bound II >= {bound.ii_cycles} of {bound.name} does not follow from its ops"
            yield Diagnostic("bound", f"{message}: {names(bound.ops)}")


def _unit_bound_holds(bound: Bound, problem: Problem) -> bool:
    ops = [op for op in problem.graph.ops if op.unit == bound.name]
    named = set(bound.ops) or {op.name for op in ops}
    held = sum(op.occupancy_cycles for op in ops if op.name in named)
    # II - 1 fails: its slots hold fewer cycles of the unit than the ops take.
    return bound.ii_cycles <= 1 or held > (bound.ii_cycles - 1) * problem.machine.units.get(bound.name, 0)


def _recurrence_bound_holds(bound: Bound, problem: Problem) -> bool:
    # II - 1 fails: around the cycle the delays exceed what the distances give. Of parallel edges the tightest counts.
    gain: dict[tuple[str, str], int] = {}
    for edge in problem.graph.edges:
        pair = edge.source, edge.target
        surplus = problem.graph.delay_cycles(edge) - (bound.ii_cycles - 1) * edge.distance
        gain[pair] = max(gain.get(pair, surplus), surplus)
    cycle = list(zip(bound.ops, [*bound.ops[1:], *bound.ops[:1]], strict=True))
    return bound.ii_cycles <= 1 or (all(pair in gain for pair in cycle) and sum(gain[pair] for pair in cycle) > 0)


_FAMILY_OF = {"unit": Family.UNIT, "recurrence": Family.DEPENDENCE}
_KINDS: Mapping[str, Callable[[Bound, Problem], bool]] = {
    "unit": _unit_bound_holds,
    "recurrence": _recurrence_bound_holds,
}
