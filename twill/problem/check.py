"""What can be said of a problem before any search: is it well formed, and is it plainly impossible?

Each rule is one function in one of three tables. `STRUCTURE` and `MEANING` are faults of the input (exit code 2): there
is no problem to solve. `IMPOSSIBLE` are problems that are well formed and have no schedule at any II (exit code 1, a
valid negative answer): one op or one pin by itself already asks for more than the machine or the limits have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from ir.diagnostics import Diagnostic, Location
from ir.graph import Op
from twill.problem.problem import Family, Problem

Finding = tuple[str, Location | None, str]
"""Message, place, remedy."""

Check = Callable[[Problem], Iterator[Finding]]


def check(problem: Problem) -> tuple[Diagnostic, ...]:
    """Everything wrong with a problem that needs no search; empty means that a solver may start.

    Faults of structure hide the rest, since the rest looks up ops by name. `is_negative_answer` tells the two kinds of
    finding apart: an input that cannot be used, and one whose answer is known to be infeasible.
    """
    return _findings(STRUCTURE, problem) or (*_findings(MEANING, problem), *_findings(IMPOSSIBLE, problem))


def is_negative_answer(finding: Diagnostic) -> bool:
    """True where the problem is well formed and the finding proves it infeasible."""
    return finding.rule in IMPOSSIBLE


def _findings(checks: Mapping[str, Check], problem: Problem) -> tuple[Diagnostic, ...]:
    return tuple(Diagnostic(rule, *finding) for rule, run in checks.items() for finding in run(problem))


def _empty_graph(problem: Problem) -> Iterator[Finding]:
    if not problem.graph.ops:
        yield f"graph `{problem.graph.name}` has no ops", problem.graph.location, "there is nothing to schedule"


def _duplicate_op(problem: Problem) -> Iterator[Finding]:
    places = {op.name: op.location for op in problem.graph.ops}
    for name, count in Counter(op.name for op in problem.graph.ops).items():
        if count > 1:
            yield f"{count} ops are called `{name}`", places[name], "give each op a name of its own"


def _unknown_edge_end(problem: Problem) -> Iterator[Finding]:
    for edge in problem.graph.edges:
        for end in (edge.source, edge.target):
            if end not in problem.graph.by_name:
                message = f"the edge `{edge.source}` -> `{edge.target}` names no op `{end}`"
                yield message, problem.graph.location, _nearest(end, problem.graph.by_name)


def _unknown_reader(problem: Problem) -> Iterator[Finding]:
    for value in problem.graph.invariants:
        for reader in value.readers:
            if reader not in problem.graph.by_name:
                message = f"the invariant `{value.name}` is read by `{reader}`, which is no op"
                yield message, problem.graph.location, _nearest(reader, problem.graph.by_name)


def _unknown_pinned_op(problem: Problem) -> Iterator[Finding]:
    ordered = [op for order in problem.pins.orders for op, _ in order.entries]
    for op in dict.fromkeys([*problem.pins.groups, *problem.pins.stages, *ordered]):
        if op not in problem.graph.by_name:
            yield f"a pin names `{op}`, which is no op", problem.graph.location, _nearest(op, problem.graph.by_name)


def _zero_distance_cycle(problem: Problem) -> Iterator[Finding]:
    sorter = TopologicalSorter[str]()
    for edge in problem.graph.edges:
        if edge.distance == 0:
            sorter.add(edge.target, edge.source)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        message = f"these ops wait for each other within one iteration: {' -> '.join(cycle)}"
        remedy = "one edge of the cycle must have a distance of at least 1"
        yield message, problem.graph.by_name[cycle[0]].location, remedy


def _unknown_unit(problem: Problem) -> Iterator[Finding]:
    for op in problem.graph.ops:
        if op.unit is not None and op.unit not in problem.machine.units:
            message = f"`{op.name}` runs on unit `{op.unit}`, which machine {problem.machine.name} lacks"
            yield message, op.location, _nearest(op.unit, problem.machine.units)


def _limit_below_one(problem: Problem) -> Iterator[Finding]:
    limits = {
        "max_groups": problem.max_groups,
        "max_stages": problem.max_stages,
        "max_ii": problem.max_ii,
        "the pinned II": problem.pins.ii_cycles,
    }
    for name, value in limits.items():
        if value is not None and value < 1:
            yield f"{name} is {value}", None, "it must be at least 1"


def _pins_without_groups(problem: Problem) -> Iterator[Finding]:
    if not problem.joint and problem.pins.groups:
        yield "groups are pinned, and a modulo problem has none", None, "drop the group pins or solve jointly"


def _contradicting_pins(problem: Problem) -> Iterator[Finding]:
    pins = problem.pins
    for op, stage in pins.stages.items():
        if stage < 0 or (problem.max_stages is not None and stage >= problem.max_stages):
            message = f"`{op}` is pinned to stage {stage}, stages run from 0 to {(problem.max_stages or stage + 2) - 1}"
            yield message, None, "change the pin or max_stages"
    lowest = min(pins.stages.values(), default=0)
    if lowest > 0 and all(op in pins.stages for op in problem.graph.by_name):
        yield f"every op is pinned to stage {lowest} or later", None, "stages count from the smallest one in use, 0"
    if pins.ii_cycles and problem.max_ii and pins.ii_cycles > problem.max_ii:
        yield f"the II is pinned to {pins.ii_cycles} and limited to {problem.max_ii}", None, "drop one of the two"
    if cycle := _impossible_order(problem):
        yield f"the pinned orders ask that {' -> '.join(cycle)} run before itself", None, "drop one of the orders"


def _impossible_order(problem: Problem) -> tuple[str, ...]:
    """Ops of the pinned orders whose iterations go back in time around a cycle, at any II; empty if there are none."""
    steps: list[tuple[str, str, int]] = []
    for order in problem.pins.orders:
        entries = list(order.entries)
        entries += [(entries[0][0], entries[0][1] + 1)] if order.cyclic and entries else []
        steps += [(a, b, i - k) for (a, i), (b, k) in pairwise(entries)]
    late = {op: 0 for a, b, _ in steps for op in (a, b)}
    for _round in late:
        for a, b, iterations in steps:
            late[b] = max(late[b], late[a] + iterations)
    rising = [b for a, b, iterations in steps if late[b] < late[a] + iterations]
    return tuple(dict.fromkeys(rising))


def _no_register_budget(problem: Problem) -> Iterator[Finding]:
    machine = problem.machine
    if _applies(problem, Family.REGISTERS) and _largest_budget(problem) < machine.min_registers_per_thread:
        message = (
            f"machine {machine.name} has no multiple of {machine.register_granularity} registers between "
            f"{machine.min_registers_per_thread} and {machine.max_registers_per_thread}"
        )
        yield message, None, "correct the machine description"


def _smem_too_small(problem: Problem) -> Iterator[Finding]:
    if _applies(problem, Family.SMEM):
        held = sum(value.smem_bytes for value in problem.graph.invariants)
        sizes = {op.name: op.smem_bytes for op in problem.graph.ops}
        yield from _memory(problem, "bytes of shared memory", problem.machine.smem_bytes, held, sizes)


def _tmem_too_small(problem: Problem) -> Iterator[Finding]:
    if _applies(problem, Family.TMEM):
        held = sum(value.tmem_columns for value in problem.graph.invariants)
        sizes = {op.name: op.tmem_columns for op in problem.graph.ops}
        yield from _memory(problem, "columns of tensor memory", problem.machine.tmem_columns, held, sizes)


def _memory(problem: Problem, what: str, limit: int | None, held: int, sizes: Mapping[str, int]) -> Iterator[Finding]:
    if limit is None:
        return
    if held > limit:
        yield f"the loop's invariants take {held} {what}, {limit} allowed", problem.graph.location, "use smaller tiles"
    for name, size in sizes.items():
        if size and held <= limit < held + size:
            beside = f" beside {held} of the loop's invariants" if held else ""
            message = f"`{name}` needs {size} {what}{beside}, {limit} allowed"
            yield message, problem.graph.by_name[name].location, "use smaller tiles, or sub-tiles"


def _registers_too_few(problem: Problem) -> Iterator[Finding]:
    if not _applies(problem, Family.REGISTERS):
        return
    largest, limit, threads = (
        _largest_budget(problem),
        problem.machine.registers_per_sm,
        problem.machine.threads_per_warp,
    )
    for op in problem.graph.ops:
        need = _registers_needed(problem, op)
        budget = _round_up(max(need, problem.machine.min_registers_per_thread), problem.machine.register_granularity)
        if need > largest:
            message = f"`{op.name}` needs {need} registers of each thread, the largest budget is {largest}"
            yield message, op.location, "use smaller tiles, sub-tiles, or more warps to a group"
        elif limit is not None and budget * op.warps * threads > limit:
            message = f"`{op.name}` needs {op.warps} x {threads} x {budget} registers, {limit} allowed"
            yield message, op.location, "use smaller tiles or fewer warps"


def _carried_registers(problem: Problem) -> Iterator[Finding]:
    """An op that reads its own result of d iterations ago keeps d copies of it live in every cycle, at any II.

    Left out where one op alone needs too many.
    """
    limit = problem.machine.registers_per_sm
    if limit is None or not _applies(problem, Family.REGISTERS):
        return
    carried = [e for e in problem.graph.edges if e.source == e.target and e.kind == "data"]
    copies = {op: max(e.distance for e in carried if e.source == op) for op in {e.source for e in carried}}
    held = {op.name: op.registers * copies[op.name] * op.warps for op in problem.graph.ops if op.name in copies}
    total = problem.machine.threads_per_warp * sum(held.values())
    if total > limit and not any(_registers_too_few(problem)):
        names = ", ".join(f"`{name}`" for name, registers in held.items() if registers)
        message = f"{names} are carried from iteration to iteration in {total} registers, {limit} allowed"
        place = problem.graph.by_name[max(held, key=lambda name: held[name])].location
        yield message, place, "use smaller tiles, or carry some of them through memory"


def _registers_needed(problem: Problem, op: Op) -> int:
    """Registers of a thread that a group with this op has live at the op's issue."""
    held = sum(value.registers for value in problem.graph.invariants if op.name in value.readers)
    return op.registers + held + problem.machine.reserved_registers


def _warps_too_few(problem: Problem) -> Iterator[Finding]:
    if not _applies(problem, Family.GROUP_WARPS):
        return
    for op in problem.graph.ops:
        if op.warps > problem.machine.max_warps:
            message = f"`{op.name}` needs {op.warps} warps, {problem.machine.max_warps} allowed"
            yield message, op.location, "use smaller tiles"


def _groups_too_few(problem: Problem) -> Iterator[Finding]:
    if not _applies(problem, Family.GROUPS):
        return
    limit = problem.group_limit
    kinds = {op.variable_latency for op in problem.graph.ops}
    if problem.has_load_group and len(kinds) == 2 and limit < 2:
        yield f"a load group and one other are needed, {limit} group allowed", None, "allow 2 groups"
    labels = sorted(set(problem.pins.groups.values()))
    if problem.has(Family.PINS) and len(labels) > limit:
        yield f"the pins name {len(labels)} groups ({', '.join(labels)}), {limit} allowed", None, "merge some"


def _pinned_load_group(problem: Problem) -> Iterator[Finding]:
    if not (_applies(problem, Family.PINS) and problem.has_load_group):
        return
    loads: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for op, label in problem.pins.groups.items():
        kind = loads if problem.graph.by_name[op].variable_latency else others
        kind.setdefault(label, []).append(op)
    for label in loads.keys() & others.keys():
        message = (
            f"the pins put `{loads[label][0]}`, of variable latency, and `{others[label][0]}` into group `{label}`"
        )
        yield message, problem.graph.by_name[others[label][0]].location, "loads have a group of their own"
    if len(loads) > 1:
        yield f"the pins give the loads {len(loads)} groups: {', '.join(loads)}", None, "use one"


def _pinned_stage_order(problem: Problem) -> Iterator[Finding]:
    if not (_applies(problem, Family.PINS) and problem.has(Family.DEPENDENCE)):
        return
    stages = problem.pins.stages
    for edge in problem.graph.edges:
        if {edge.source, edge.target} <= stages.keys():
            first, then = stages[edge.source], stages[edge.target]
            if then + edge.distance < first:
                message = f"`{edge.target}` is pinned to stage {then} and needs `{edge.source}` of stage {first}"
                yield message, problem.graph.by_name[edge.target].location, "pin it to a later stage"


def _applies(problem: Problem, family: Family) -> bool:
    limited = family is not Family.REGISTERS or problem.machine.registers_per_sm is not None
    return problem.joint and problem.has(family) and limited


def _largest_budget(problem: Problem) -> int:
    machine = problem.machine
    return machine.max_registers_per_thread // machine.register_granularity * machine.register_granularity


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _nearest(wrong: str, known: Iterable[str]) -> str:
    options = list(known)
    near = get_close_matches(wrong, options, n=3, cutoff=0.5)
    return f"nearest: {', '.join(near)}" if near else f"known: {', '.join(options[:8]) or 'none'}"


STRUCTURE: Mapping[str, Check] = {
    "empty-graph": _empty_graph,
    "duplicate-op": _duplicate_op,
    "unknown-edge-end": _unknown_edge_end,
    "unknown-reader": _unknown_reader,
    "unknown-pinned-op": _unknown_pinned_op,
}
MEANING: Mapping[str, Check] = {
    "zero-distance-cycle": _zero_distance_cycle,
    "unknown-unit": _unknown_unit,
    "limit-below-one": _limit_below_one,
    "pins-without-groups": _pins_without_groups,
    "contradicting-pins": _contradicting_pins,
    "no-register-budget": _no_register_budget,
}
IMPOSSIBLE: Mapping[str, Check] = {
    "smem-too-small": _smem_too_small,
    "tmem-too-small": _tmem_too_small,
    "registers-too-few": _registers_too_few,
    "carried-registers": _carried_registers,
    "warps-too-few": _warps_too_few,
    "groups-too-few": _groups_too_few,
    "pinned-load-group": _pinned_load_group,
    "pinned-stage-order": _pinned_stage_order,
}
