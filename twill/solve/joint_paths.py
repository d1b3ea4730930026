"""Bounds on t(v) - t(u) at one II: longest paths of dependences, tightened by what storage leaves for each lifetime.

Storage on average bounds a lifetime from above: all values take at least their shortest lifetimes, and what is left
of capacity x II is the most by which one of them can exceed its own. So readers cannot be arbitrarily late, which
bounds stages without any assumption on their number.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twill.problem.problem import Family
from twill.solve.joint_instance import Instance, Value

Matrix = NDArray[np.int64]
NEVER = -(10**12)  # no path


def longest_paths(instance: Instance, ii: int) -> Matrix | None:
    """D[u, v]: t(v) - t(u) is at least this at interval `ii`; None where a recurrence cannot hold."""
    n = instance.size
    paths = np.full((n, n), NEVER, dtype=np.int64)
    np.fill_diagonal(paths, 0)
    for p in instance.precedences:
        paths[p.source, p.target] = max(paths[p.source, p.target], p.delay_cycles - p.distance * ii)
    return _closed(paths)


def bounded_paths(instance: Instance, ii: int) -> Matrix | None:
    """The longest paths with the limits on lifetimes; None where storage on average, or a recurrence, cannot hold."""
    paths = longest_paths(instance, ii)
    if paths is None:
        return None
    for value, most in _most_cycles(instance, ii, paths):
        for r in value.readers:
            late = most - r.held_cycles - r.distance * ii
            paths[r.op, value.op] = max(paths[r.op, value.op], -late)
        if most < _least_cycles(value, ii, paths):
            return None
    return _closed(paths)


def _closed(paths: Matrix) -> Matrix | None:
    """Floyd and Warshall, O(ops^3) with vector rows."""
    for k in range(len(paths)):
        np.maximum(paths, paths[:, k, None] + paths[None, k, :], out=paths)
    paths[paths < NEVER // 2] = NEVER
    return None if (np.diagonal(paths) > 0).any() else paths


def _least_cycles(value: Value, ii: int, paths: Matrix) -> int:
    readers = (int(paths[value.op, r.op]) + r.distance * ii + r.held_cycles for r in value.readers)
    return max([value.span_cycles, *readers])


def _most_cycles(instance: Instance, ii: int, paths: Matrix) -> Iterator[tuple[Value, int]]:
    """Upper bounds on lifetimes, negative where the storage does not suffice on average."""
    for _, sizes, capacity in _stores(instance):
        least = {value: _least_cycles(value, ii, paths) for value in sizes}
        spare = capacity * ii - sum(size * least[value] for value, size in sizes.items())
        for value, size in sizes.items():
            yield value, least[value] + spare // size


def average_use(instance: Instance, ii: int, paths: Matrix) -> dict[str, float]:
    """For each memory that has a limit, by the attribute of its sizes: what the shortest lifetimes take, of 1."""
    use = dict[str, float]()
    for attribute, sizes, capacity in _stores(instance):
        if attribute != "registers" and sizes:
            held = sum(size * _least_cycles(value, ii, paths) for value, size in sizes.items())
            use[attribute] = held / (capacity * ii) if capacity > 0 else float("inf")
    return use


def _stores(instance: Instance) -> Iterator[tuple[str, dict[Value, int], int]]:
    """Sizes and capacity of each memory, of all registers together, and of one value in the largest budget."""
    machine, graph = instance.problem.machine, instance.problem.graph
    if machine.smem_bytes is not None and instance.holds(Family.SMEM):
        room = machine.smem_bytes - sum(i.smem_bytes for i in graph.invariants)
        yield "smem_bytes", {v: v.smem_bytes for v in instance.values if v.smem_bytes}, room
    if machine.tmem_columns is not None and instance.holds(Family.TMEM):
        room = machine.tmem_columns - sum(i.tmem_columns for i in graph.invariants)
        yield "tmem_columns", {v: v.tmem_columns for v in instance.values if v.tmem_columns}, room
    if instance.has_registers:
        held = [v for v in instance.values if v.registers]
        ops, total = graph.ops, (machine.registers_per_sm or 0) // machine.threads_per_warp
        yield "registers", {v: v.registers * ops[v.op].warps for v in held if ops[v.op].warps}, total
        for value in held:
            yield "registers", {value: value.registers}, machine.max_registers_per_thread - machine.reserved_registers
