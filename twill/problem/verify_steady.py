"""The families of constraints, checked on the steady state of one schedule slot by slot, as the problem page states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from ir.diagnostics import Diagnostic
from ir.graph import Edge, Op
from ir.schedule import Schedule, WarpGroup
from twill.problem.problem import Family, OrderPin, Problem

Interval = tuple[int, int, int]
"""First cycle, the cycle after the last, and the weight that each covered slot gets."""


@dataclass(frozen=True)
class Steady:
    """A schedule whose placements are complete, with what the rules look up; `ii` is at least 1."""

    schedule: Schedule
    problem: Problem
    ii: int

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The ops of the problem, in graph order."""
        return self.problem.graph.ops

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """The edges of the problem."""
        return self.problem.graph.edges

    @cached_property
    def times(self) -> Mapping[str, int]:
        """Issue cycle by op name."""
        return {p.op: p.time_cycles for p in self.schedule.placements}

    @cached_property
    def group_of(self) -> Mapping[str, int]:
        """Warp group by op name."""
        return {p.op: p.group for p in self.schedule.placements}

    @cached_property
    def members(self) -> Mapping[int, tuple[Op, ...]]:
        """Ops by warp group, groups in ascending order."""
        used = sorted(set(self.group_of.values()))
        return {g: tuple(op for op in self.ops if self.group_of[op.name] == g) for g in used}

    @cached_property
    def table(self) -> Mapping[int, WarpGroup]:
        """Rows of the schedule's group table by index."""
        return {group.index: group for group in self.schedule.groups}

    @cached_property
    def ends(self) -> Mapping[str, int]:
        """End of the lifetime of each op's result, in cycles on the axis of `times`."""
        by_name = self.problem.graph.by_name
        ends = {op.name: self.times[op.name] + op.span_cycles for op in self.ops}
        for edge in self.edges:
            if edge.kind == "data":
                reads = 0 if edge.in_place else by_name[edge.target].span_cycles
                end = self.times[edge.target] + edge.distance * self.ii + reads
                ends[edge.source] = max(ends[edge.source], end)
        return ends

    @cached_property
    def spare_copies(self) -> Mapping[tuple[str, str], int]:
        """Copies beyond the needed depth, by op and memory: each is one more live value in every slot."""
        return {(b.op, b.memory): max(0, b.depth - b.needed_depth) for b in self.schedule.buffers}

    @cached_property
    def registers_apply(self) -> bool:
        """True where the machine limits registers and the family is not relaxed."""
        limited = self.problem.machine.registers_per_sm is not None
        return self.problem.joint and limited and self.problem.has(Family.REGISTERS)

    def warps(self, group: int) -> int:
        """Warps that a used group must have."""
        return max(op.warps for op in self.members[group])

    def lifetime(self, op: Op, size: int, memory: str) -> list[Interval]:
        """The lifetime of a result of `size`, and its spare copies as whole turns of the loop."""
        if not size:
            return []
        start = self.times[op.name]
        spare = self.spare_copies.get((op.name, memory), 0)
        return [(start, self.ends[op.name], size), (start, start + spare * self.ii, size)]


def coverage(intervals: Iterable[Interval], ii: int) -> list[int]:
    """Sum of weights over each slot 0 .. ii-1; an interval longer than `ii` covers slots more than once.

    >>> coverage([(3, 6, 1), (0, 9, 10)], 4)
    [31, 21, 20, 21]
    """
    steps = [0] * (ii + 1)
    for start, end, weight in intervals:
        turns, rest = divmod(end - start, ii)
        first = start % ii
        last = first + rest
        steps[0] += turns * weight + (weight if last > ii else 0)
        steps[first] += weight
        steps[last - ii if last > ii else last] -= weight
    return list(accumulate(steps[:ii]))


def covers(interval: tuple[int, int], slot: int, ii: int) -> bool:
    """Whether some copy of [start, end) covers the slot."""
    start, end = interval
    return (slot - start) % ii < end - start


def plural(count: int, noun: str) -> str:
    """`1 slot`, `2 slots`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def names(ops: Iterable[str]) -> str:
    """Op names for a message; a long list is cut, with the number left out."""
    listed = list(ops)
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return ", ".join(f"`{op}`" for op in listed[:8]) + more


def _excess(
    rule: Family, what: str, used: Sequence[int], limit: int, holders: Mapping[str, list[Interval]]
) -> Diagnostic:
    worst = max(range(len(used)), key=used.__getitem__)
    over = sum(1 for amount in used if amount > limit)
    ii = len(used)
    there = [name for name, spans in holders.items() if any(covers(span[:2], worst, ii) for span in spans)]
    message = f"{what}: slot {worst} holds {used[worst]}, {limit} allowed ({plural(over, 'such slot')}): {names(there)}"
    return Diagnostic(rule, message)


def _within(
    rule: Family, what: str, holders: Mapping[str, list[Interval]], limit: int, steady: Steady, constant: int = 0
) -> Iterator[Diagnostic]:
    spans = [span for held in holders.values() for span in held]
    used = [constant + amount for amount in coverage(spans, steady.ii)]
    if max(used) > limit:
        yield _excess(rule, what, used, limit, holders)


def dependence(steady: Steady) -> Iterator[Diagnostic]:
    """Each edge's delay."""
    for edge in steady.edges:
        delay = steady.problem.graph.delay_cycles(edge)
        slack = steady.times[edge.target] + edge.distance * steady.ii - steady.times[edge.source] - delay
        if slack < 0:
            yield _late(Family.DEPENDENCE, steady, edge, f"{delay}", slack)


def handoff(steady: Steady) -> Iterator[Diagnostic]:
    """Each edge's delay and hand-off cost, where it crosses groups; one that breaks its plain delay is not repeated."""
    plain = steady.problem.has(Family.DEPENDENCE)
    for edge in steady.edges:
        delay = steady.problem.graph.delay_cycles(edge)
        cost = steady.problem.graph.by_name[edge.source].handoff_cycles
        slack = steady.times[edge.target] + edge.distance * steady.ii - steady.times[edge.source] - delay
        crosses = steady.group_of[edge.source] != steady.group_of[edge.target]
        if crosses and slack < cost and not (plain and slack < 0):
            yield _late(Family.HANDOFF, steady, edge, f"{delay} + {cost} for the hand-off", slack - cost)


def _late(rule: Family, steady: Steady, edge: Edge, delay: str, slack: int) -> Diagnostic:
    source, target = steady.times[edge.source], steady.times[edge.target]
    distance = f" + {edge.distance} x {steady.ii}" if edge.distance else ""
    message = (
        f"`{edge.target}` issues at {target}{distance}, {plural(-slack, 'cycle')} too early: "
        f"`{edge.source}` issues at {source} and asks for {delay} cycles"
    )
    return Diagnostic(rule, message, steady.problem.graph.by_name[edge.target].location)


def unit(steady: Steady) -> Iterator[Diagnostic]:
    """Reservations of each unit in each slot."""
    by_unit: dict[str, dict[str, list[Interval]]] = {}
    for op in steady.ops:
        if op.unit is not None:
            start = steady.times[op.name]
            by_unit.setdefault(op.unit, {})[op.name] = [(start, start + op.occupancy_cycles, 1)]
    for name, holders in by_unit.items():
        limit = steady.problem.machine.units.get(name, 0)
        yield from _within(Family.UNIT, f"unit {name}", holders, limit, steady)


def stages(steady: Steady) -> Iterator[Diagnostic]:
    """The cap on stages."""
    cap = steady.problem.max_stages
    if cap is None:
        return
    for op in steady.ops:
        stage = steady.times[op.name] // steady.ii
        if stage >= cap:
            yield Diagnostic(
                Family.STAGES, f"`{op.name}` is in stage {stage}, at most {cap} stages allowed", op.location
            )


def smem(steady: Steady) -> Iterator[Diagnostic]:
    """Live shared memory in each slot."""
    limit = steady.problem.machine.smem_bytes
    if limit is not None:
        holders = {op.name: steady.lifetime(op, op.smem_bytes, "smem") for op in steady.ops}
        constant = sum(value.smem_bytes for value in steady.problem.graph.invariants)
        yield from _within(Family.SMEM, "bytes of shared memory", holders, limit, steady, constant)


def tmem(steady: Steady) -> Iterator[Diagnostic]:
    """Live tensor memory in each slot."""
    limit = steady.problem.machine.tmem_columns
    if limit is not None:
        holders = {op.name: steady.lifetime(op, op.tmem_columns, "tmem") for op in steady.ops}
        constant = sum(value.tmem_columns for value in steady.problem.graph.invariants)
        yield from _within(Family.TMEM, "columns of tensor memory", holders, limit, steady, constant)


def groups(steady: Steady) -> Iterator[Diagnostic]:
    """Number of groups in use; no relaxation gives groups to a machine that has no warp specialization."""
    problem = steady.problem
    limit = problem.group_limit if problem.has(Family.GROUPS) or not problem.machine.warp_specialization else None
    used = len(steady.members)
    if limit is not None and used > limit:
        yield Diagnostic(Family.GROUPS, f"{plural(used, 'warp group')} in use, {limit} allowed")


def group_warps(steady: Steady) -> Iterator[Diagnostic]:
    """Warps of all groups together."""
    needs = {g: steady.warps(g) for g in steady.members}
    total, limit = sum(needs.values()), steady.problem.machine.max_warps
    if total > limit:
        each = " + ".join(str(warps) for warps in needs.values())
        yield Diagnostic(Family.GROUP_WARPS, f"the groups need {each} = {total} warps, {limit} allowed")


def variable_latency(steady: Steady) -> Iterator[Diagnostic]:
    """Ops of variable latency, and only those, sit in group 0."""
    if not steady.problem.has_load_group:
        return
    for op in steady.ops:
        group = steady.group_of[op.name]
        if op.variable_latency != (group == 0):
            kind = "variable" if op.variable_latency else "fixed"
            message = f"`{op.name}` has {kind} latency and is in group {group}; group 0 is the load group"
            yield Diagnostic(Family.VARIABLE_LATENCY, message, op.location)


def registers(steady: Steady) -> Iterator[Diagnostic]:
    """Live registers of each group in each slot, the form of each budget, and all budgets together."""
    if not steady.registers_apply:
        return
    budgets = {g: steady.table[g].registers_per_thread for g in steady.members if g in steady.table}
    for group, budget in budgets.items():
        if budget is None:
            yield Diagnostic(Family.REGISTERS, f"group {group} has no register budget")
            continue
        yield from _budget_form(steady, group, budget)
        yield from _live_registers(steady, group, budget)
    machine = steady.problem.machine
    each = {g: machine.threads_per_warp * steady.warps(g) * (budget or 0) for g, budget in budgets.items()}
    total, limit = sum(each.values()), machine.registers_per_sm
    if limit is not None and total > limit:
        split = " + ".join(map(str, each.values()))
        yield Diagnostic(Family.REGISTERS, f"the budgets take {split} = {total} registers, {limit} allowed")


def _budget_form(steady: Steady, group: int, budget: int) -> Iterator[Diagnostic]:
    machine = steady.problem.machine
    low, high, step = (
        machine.min_registers_per_thread,
        machine.max_registers_per_thread,
        machine.register_granularity,
    )
    if not low <= budget <= high or budget % step:
        message = (
            f"group {group} has a budget of {budget} registers; it must be a multiple of {step} in {low} .. {high}"
        )
        yield Diagnostic(Family.REGISTERS, message)


def _live_registers(steady: Steady, group: int, budget: int) -> Iterator[Diagnostic]:
    members = steady.members[group]
    inside = {op.name for op in members}
    read = [value for value in steady.problem.graph.invariants if inside.intersection(value.readers)]
    constant = steady.problem.machine.reserved_registers + sum(value.registers for value in read)
    holders = {op.name: steady.lifetime(op, op.registers, "registers") for op in members}
    yield from _within(Family.REGISTERS, f"registers of group {group}", holders, budget, steady, constant)


def register_handoff(steady: Steady) -> Iterator[Diagnostic]:
    """No register value is read by another group, where that is forbidden."""
    if not steady.problem.forbid_register_handoff:
        return
    for edge in steady.edges:
        source = steady.problem.graph.by_name[edge.source]
        pair = steady.group_of[edge.source], steady.group_of[edge.target]
        if edge.kind == "data" and source.registers and pair[0] != pair[1]:
            message = f"`{edge.source}` keeps {source.registers} registers in group {pair[0]}, "
            message += f"and `{edge.target}` in group {pair[1]} reads them"
            yield Diagnostic(Family.REGISTER_HANDOFF, message, source.location)


def blocking(steady: Steady) -> Iterator[Diagnostic]:
    """While a group waits just before a blocking edge's target, it issues nothing."""
    wait, ii = steady.problem.machine.wait_cycles, steady.ii
    for target in dict.fromkeys(edge.target for edge in steady.edges if edge.blocking):
        at = steady.times[target]
        for op in steady.members[steady.group_of[target]]:
            start = steady.times[op.name]
            issue = (start, start + max(1, op.issue_cycles))
            # Two periodic intervals meet if and only if one covers the other's first slot.
            meet = wait and (covers((at - wait, at), start, ii) or covers(issue, at - wait, ii))
            if meet:
                message = f"group {steady.group_of[target]} waits for `{target}` in [{at - wait}, {at}) modulo {ii} "
                message += f"while `{op.name}` issues in [{issue[0]}, {issue[1]})"
                yield Diagnostic(Family.BLOCKING, message, op.location)


def pins(steady: Steady) -> Iterator[Diagnostic]:
    """What the user fixed."""
    fixed = steady.problem.pins
    if fixed.ii_cycles not in (None, steady.ii):
        yield Diagnostic(Family.PINS, f"the II is {steady.ii} and pinned to {fixed.ii_cycles}")
    first = min(steady.times.values()) // steady.ii
    for op, stage in fixed.stages.items():
        actual = steady.times[op] // steady.ii - first
        if actual != stage:
            yield Diagnostic(Family.PINS, f"`{op}` is in stage {actual} and pinned to stage {stage}")
    if steady.problem.joint:
        yield from _pinned_groups(steady)
    for order in fixed.orders:
        yield from _pinned_order(steady, order)


def _pinned_groups(steady: Steady) -> Iterator[Diagnostic]:
    pinned = steady.problem.pins.groups
    labels: dict[str, int] = {}
    holders: dict[int, str] = {}
    for op, label in pinned.items():
        group = steady.group_of[op]
        if labels.setdefault(label, group) != group:
            yield Diagnostic(Family.PINS, f"`{op}` is in group {group}; its label `{label}` is group {labels[label]}")
        elif holders.setdefault(group, label) != label:
            yield Diagnostic(Family.PINS, f"labels `{label}` and `{holders[group]}` are both group {group}")


def _pinned_order(steady: Steady, order: OrderPin) -> Iterator[Diagnostic]:
    entries = list(order.entries)
    if order.cyclic and entries:
        entries.append((entries[0][0], entries[0][1] + 1))
    for (a, i), (b, k) in pairwise(entries):
        first, second = steady.times[a] + i * steady.ii, steady.times[b] + k * steady.ii
        if first > second:
            message = f"`{a}` of iteration {i} issues at {first}, after `{b}` of iteration {k} at {second}"
            yield Diagnostic(Family.PINS, message)
