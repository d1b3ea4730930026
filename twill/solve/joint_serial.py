"""A schedule to fall back on, without any search: ops one after another, in an order that keeps little alive.

A heuristic for loops of so many ops that the first model takes all the time: it decides an order, then groups, then
times, each once and greedily. What it proposes counts only where the verifier accepts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ir.schedule import Status
from twill.problem.verify import verify
from twill.solve.joint_instance import Instance
from twill.solve.joint_model import Solution
from twill.solve.smt_record import assignment

_HALVINGS = 6


def serial(instance: Instance, most_ii: int) -> Solution | None:
    """A schedule whose iterations overlap little or not at all, None where none of those tried is valid."""
    order = thrifty_order(instance)
    for groups in _groupings(instance, order):
        for ended in (False, True):
            solution = _timed(instance, order, groups, ended)
            solution = replace(solution, ii=min(most_ii, solution.ii))
            if _is_valid(instance, solution):
                return _overlapped(instance, solution)
    return None


def _overlapped(instance: Instance, solution: Solution) -> Solution:
    """The same times at a smaller II, by halving what is left a few times; not every smaller one need be valid."""
    low = 0
    for _ in range(_HALVINGS):
        closer = replace(solution, ii=(low + solution.ii + 1) // 2)
        if closer.ii == solution.ii:
            return solution
        if _is_valid(instance, closer):
            solution = closer
        else:
            low = closer.ii
    return solution


def _is_valid(instance: Instance, solution: Solution) -> bool:
    proposed = assignment(instance.problem, solution.ii, solution.times, solution.groups)
    return not verify(proposed.schedule(Status.FEASIBLE, "serial"), instance.problem)


# --- the order


@dataclass
class _Live:
    """What is alive while the ops of one iteration are taken in turn; readers that are still to come by value."""

    instance: Instance
    open: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = {value.op: value for value in self.instance.values}
        self.readers = {v: {r.op for r in value.readers if r.distance == 0} for v, value in self.values.items()}
        self.carried = {v for v, value in self.values.items() if any(r.distance for r in value.readers)}
        self.sources: dict[int, list[int]] = {v: [] for v in range(self.instance.size)}
        for v, readers in self.readers.items():
            for reader in readers - {v}:
                self.sources[reader].append(v)

    def freed_by(self, v: int) -> list[int]:
        """Values of which `v` is the last reader."""
        return [u for u in self.sources[v] if self.open.get(u) == {v} and u not in self.carried]

    def take(self, v: int) -> list[int]:
        """Issue `v`; the values that have died with it."""
        freed = self.freed_by(v)
        for u in self.sources[v]:
            self.open[u].discard(v)
        if v in self.values:
            self.open[v] = set(self.readers[v]) - {v}
            freed += [v] if not self.open[v] and v not in self.carried else []
        return freed


def thrifty_order(instance: Instance) -> list[int]:
    """The ops in an order that dependences allow, the one next that adds least to what is alive."""
    live, order = _Live(instance), list[int]()
    within = [(e.source, e.target) for e in instance.edges if e.distance == 0 and e.source != e.target]
    missing = Counter(target for _, target in within)
    ready = [v for v in range(instance.size) if not missing[v]]
    while ready:
        v = min(ready, key=lambda v: (_load(live, [v]) - _load(live, live.freed_by(v)), v))
        ready.remove(v)
        live.take(v)
        order.append(v)
        for target in (target for source, target in within if source == v):
            missing[target] -= 1
            ready += [target] if not missing[target] else []
    return order


def _load(live: _Live, ops: Sequence[int]) -> float:
    """What the results of these ops take, as parts of what the machine has of each memory."""
    machine = live.instance.problem.machine
    values = [live.values[v] for v in ops if v in live.values]
    capacities = (machine.smem_bytes, machine.tmem_columns, machine.max_registers_per_thread)
    sizes = [(v.smem_bytes, v.tmem_columns, v.registers) for v in values]
    return sum(size / limit for row in sizes for size, limit in zip(row, capacities, strict=True) if limit)


# --- the groups


def _groupings(instance: Instance, order: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Groups of all ops with ever more groups, as many as the registers of a thread are shared out to."""
    free = [domain for domain in instance.domains if len(domain) > 1]
    for count in range(1, max(map(len, free), default=1) + 1):
        room = _room(instance, count)
        groups = _grouped(instance, order, count, room)
        if groups is not None:
            yield groups


def _room(instance: Instance, count: int) -> int:
    """Registers of a thread for values where `count` groups share the file; more than there are, if without limit."""
    machine, ops = instance.problem.machine, instance.problem.graph.ops
    if not instance.has_registers or machine.registers_per_sm is None:
        return 1 + sum(op.registers for op in ops)
    step = machine.register_granularity
    loads = max((op.warps for op in ops if op.variable_latency and instance.problem.has_load_group), default=0)
    warps = max((op.warps for op in ops), default=1)
    shared = machine.registers_per_sm // machine.threads_per_warp - loads * machine.min_registers_per_thread
    budget = min(machine.max_registers_per_thread, shared // max(1, count * warps)) // step * step
    return budget - machine.reserved_registers


def _grouped(instance: Instance, order: Sequence[int], count: int, room: int) -> tuple[int, ...] | None:
    """Each op in the group of most of its operands that has room for its result; None where no group has."""
    live, used = _Live(instance), Counter[int]()
    groups: dict[int, int] = {}
    for v in sorted(live.carried, key=lambda v: -live.values[v].registers):
        groups[v] = min(instance.domains[v][:count], key=lambda g: used[g])
        used[groups[v]] += live.values[v].registers
    for v in order:
        size = live.values[v].registers if v in live.values and v not in live.carried else 0
        beside = Counter(groups[u] for u in live.sources[v])
        fitting = [g for g in instance.domains[v][:count] if used[g] + size <= room]
        if v not in groups and not fitting:
            return None
        groups.setdefault(v, max(fitting, key=lambda g: (beside[g], -used[g]), default=0))
        used[groups[v]] += size
        for u in live.take(v):
            used[groups[u]] -= live.values[u].registers
    return tuple(groups[v] for v in range(instance.size))


# --- the times


def _timed(instance: Instance, order: Sequence[int], groups: Sequence[int], ended: bool) -> Solution:
    """Issue times in order, as early as dependences and units allow; `ended`: each after the one before has ended."""
    problem = instance.problem
    ops, wait = problem.graph.ops, problem.machine.wait_cycles
    delays = [
        (e, e.delay_cycles + (e.handoff_cycles if groups[e.source] != groups[e.target] else 0)) for e in instance.edges
    ]
    blocked, free, times = set(instance.waiting), Counter[str](), dict[int, int]()
    for before, v in pairwise([None, *order]):
        assert v is not None
        earliest = [times[e.source] + delay for e, delay in delays if e.target == v and e.distance == 0]
        if before is not None:
            gap = max(1, ops[before].issue_cycles, instance.spans[before] if ended else 0)
            earliest.append(times[before] + gap + (wait if v in blocked else 0))
        times[v] = max([0, *earliest, free[ops[v].unit or ""]])
        if ops[v].unit is not None:
            free[ops[v].unit or ""] = times[v] + ops[v].occupancy_cycles
    end = max(times[v] + max(instance.spans[v], ops[v].occupancy_cycles, ops[v].issue_cycles) for v in times) + wait
    late = [-((times[e.target] - times[e.source] - delay) // e.distance) for e, delay in delays if e.distance]
    return Solution(max(end, 1, *late), tuple(times[v] for v in range(instance.size)), tuple(groups))
