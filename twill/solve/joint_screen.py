"""What can be said before any search: conflicts at every II, IIs that bounds rule out, caps on II and stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ir.schedule import Bound, Conflict
from twill.problem.bounds import recurrence_bound, resource_bounds
from twill.problem.problem import Family, Problem
from twill.solve.joint_instance import Instance
from twill.solve.joint_model import base_model


def impossible(instance: Instance) -> Conflict | None:
    """A conflict that holds at every II, from sizes alone: one value, the invariants, or one op exceed a limit."""
    if instance.conflict is not None:
        return instance.conflict
    return next((conflict for rule in _RULES for conflict in rule(instance)), None)


def _memory_conflicts(instance: Instance) -> Iterator[Conflict]:
    graph, machine = instance.problem.graph, instance.problem.machine
    memories = (
        (Family.SMEM, "bytes of shared memory", machine.smem_bytes, "smem_bytes"),
        (Family.TMEM, "columns of tensor memory", machine.tmem_columns, "tmem_columns"),
    )
    for family, noun, limit, attribute in memories:
        if limit is None or not instance.holds(family):
            continue
        held = sum(getattr(i, attribute) for i in graph.invariants)
        op = max(graph.ops, key=lambda op: getattr(op, attribute), default=None)
        largest = getattr(op, attribute) if op else 0
        if held + largest > limit:
            what = f"`{op.name}` takes {largest} {noun}" if op and largest else f"the loop takes no {noun} itself"
            yield Conflict((family,), f"{what}, {held} are held through the loop, {limit} are there")


def _register_conflicts(instance: Instance) -> Iterator[Conflict]:
    """An op whose own result, with the invariants it reads, exceeds the largest budget, or the register file."""
    if not instance.has_registers:
        return
    graph, machine = instance.problem.graph, instance.problem.machine
    step, reserved = machine.register_granularity, machine.reserved_registers
    most, least = step * (machine.max_registers_per_thread // step), -(-machine.min_registers_per_thread // step) * step
    for op in graph.ops:
        read = sum(i.registers for i in graph.invariants if op.name in i.readers)
        needed = max(least, -(-(op.registers + read + reserved) // step) * step)
        parts = f"{op.registers} for its result, {read} for invariants, {reserved} reserved"
        if needed > most:
            message = f"`{op.name}` needs {needed} registers per thread ({parts}), a group has at most {most}"
            yield Conflict((Family.REGISTERS,), message)
        total = needed * op.warps * machine.threads_per_warp
        if total > (machine.registers_per_sm or 0):
            message = f"the group of `{op.name}` needs {total} registers ({needed} in {op.warps} warps; {parts}), "
            yield Conflict((Family.REGISTERS,), f"{message}{machine.registers_per_sm} are there")


def _warp_conflicts(instance: Instance) -> Iterator[Conflict]:
    limit = instance.problem.machine.max_warps
    for op in instance.problem.graph.ops if instance.holds(Family.GROUP_WARPS) else ():
        if op.warps > limit:
            yield Conflict((Family.GROUP_WARPS,), f"`{op.name}` needs {op.warps} warps, {limit} are there")


_RULES: tuple[Callable[[Instance], Iterator[Conflict]], ...] = (_memory_conflicts, _register_conflicts, _warp_conflicts)


def bounds_of(problem: Problem) -> tuple[Bound, ...]:
    """Bounds of the families that hold, largest first; none from dependences that no II satisfies."""
    units = resource_bounds(problem.graph, problem.machine) if problem.has(Family.UNIT) else ()
    recurrence = None
    if problem.has(Family.DEPENDENCE):
        try:
            recurrence = recurrence_bound(problem.graph)
        except ValueError:  # a cycle of distance 0: found again, with its conflict, by the search
            recurrence = None
    return tuple(sorted((*units, *([recurrence] if recurrence else ())), key=lambda b: -b.ii_cycles))


def chain_cycles(instance: Instance) -> int:
    """Length of the longest chain inside one iteration, with every hand-off on it: no distance, no resource."""
    ends = np.array(instance.spans, dtype=np.int64)
    for _ in range(instance.size):
        before = ends.copy()
        for e in instance.edges:
            if e.distance == 0:
                ends[e.source] = max(ends[e.source], ends[e.target] + e.delay_cycles + e.handoff_cycles)
        if (ends == before).all():
            break
    return int(ends.max(initial=1))


def most_useful_ii(instance: Instance) -> int:
    """If there is a schedule at all, there is one at this II.

    Between two neighbouring issue slots there are never more idle cycles needed than the longest delay, reservation
    or wait: a longer gap can lose a slot without breaking any constraint. So ops x longest is enough.
    """
    ops, wait = instance.problem.graph.ops, instance.problem.machine.wait_cycles
    own = [op.span_cycles + op.issue_cycles + op.latency_cycles for op in ops]
    edges = [e.delay_cycles + e.handoff_cycles for e in instance.edges]
    return len(ops) * (max([1, *own, *edges]) + wait + 1)


def first_open_ii(instance: Instance, low: int, high: int, stages: int) -> int:
    """Smallest II in low .. high that bounds leave open (hand-offs in recurrences, storage on average), else high + 1.

    Sound by bisection, because every schedule stretches from II to II + 1.
    """
    # Stages cap the issue times alone: the last op may end after them.
    tail = max(instance.spans)
    if base_model(instance, low, stages * low + tail) is not None:
        return low
    while low < high:
        middle = (low + high) // 2
        if base_model(instance, middle, stages * middle + tail) is None:
            low = middle + 1
        else:
            high = middle
    return low if base_model(instance, low, stages * low + tail) is not None else low + 1
