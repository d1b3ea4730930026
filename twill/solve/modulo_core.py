"""The part of a modulo problem that decides whether an interval is possible, and how its answer is completed.

Ops outside every cycle move by whole intervals without taking other slots. So only the slots of limited ops matter
to the units, and only inside a strongly connected component do dependences tie these slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx
import numpy as np

from twill.solve.modulo_cpsat import Slots, Window
from twill.solve.modulo_paths import NONE, Matrix, longest_paths
from twill.solve.modulo_system import System


@dataclass(frozen=True)
class Core:
    """The reduced problem, and the op of the system that each of its ops is."""

    slots: Slots
    ops: tuple[int, ...]


def core(system: System, ii: int) -> Core:
    """The deciding part at an interval; the system must be free, and without positive cycle at this interval."""
    contended = system.contended(ii)
    parts = [_component(system, ii, held) for held in _components(system, contended)]
    tied = [op for ops, _ in parts for op in ops]
    loose = _loose(system, contended, set(tied))
    # The slots of all ops can turn around the ring together, so the first root stays at time 0.
    spreads = [0, *[ii - 1] * (len(parts) - 1)]
    windows = [
        window
        for (ops, paths), spread in zip(parts, spreads, strict=False)
        for window in _windows(system, ops, paths, spread)
    ]
    windows.extend(Window(0, ii - 1, system.unit[op], system.occupancy[op]) for op in loose)
    paths = _blocks([paths for _, paths in parts], len(loose))
    return Core(Slots(ii, tuple(windows), paths, system.counts), (*tied, *loose))


def completed(system: System, ii: int, slots: Mapping[int, int]) -> list[int]:
    """Times of all ops, the earliest 0, from the slots of the core's ops.

    Ops in no recurrence swap slots freely with others of their unit and occupancy: the earliest takes the next slot.
    """
    parts = [op for held in _components(system, system.contended(ii)) for op in held]
    fixed = {op: slots[op] for op in parts}
    waiting = set(system.contended(ii)) - set(fixed)
    pools = _pools(system, ii, slots, waiting)
    times = system.early(ii, fixed)
    while waiting:
        op = min(waiting, key=lambda op: (times[op], op))
        waiting.remove(op)
        pool = pools[system.unit[op], system.occupancy[op]]
        fixed[op] = min(pool, key=lambda slot: (slot - times[op]) % ii)
        pool.remove(fixed[op])
        system.postpone(ii, times, fixed, op, (fixed[op] - times[op]) % ii)
    return [t - min(times) for t in times]


def _pools(
    system: System, ii: int, slots: Mapping[int, int], waiting: Iterable[int]
) -> dict[tuple[int, int], list[int]]:
    """Slots to hand out by unit and occupancy: those of the core's loose ops, and what no op of the core holds."""
    pools: dict[tuple[int, int], list[int]] = {}
    filling = {system.unit[op] for op in waiting if op not in slots}
    free = {unit: [system.counts[unit]] * ii for unit in filling}
    for op, slot in slots.items():
        for cycle in range(slot, slot + system.occupancy[op]) if system.unit[op] in filling else ():
            free[system.unit[op]][cycle % ii] -= 1
    for unit, left in free.items():
        pools[unit, 1] = [slot for slot, count in enumerate(left) for _ in range(count)]
    for op in waiting:
        if op in slots:
            pools.setdefault((system.unit[op], system.occupancy[op]), []).append(slots[op])
    return pools


def _components(system: System, contended: Sequence[int]) -> list[list[int]]:
    """The contended ops of each strongly connected component that has two of them or more, most first.

    The slot of one that is alone in its component is tied to no other.
    """
    graph = networkx.DiGraph()
    graph.add_edges_from((arc[0], arc[1]) for arc in system.arcs)
    wanted = set(contended)
    held = [sorted(wanted & members) for members in networkx.strongly_connected_components(graph)]
    return sorted((ops for ops in held if len(ops) > 1), key=lambda ops: (-len(ops), ops))


def _component(system: System, ii: int, held: list[int]) -> tuple[list[int], Matrix]:
    """The ops with the longest paths between them; a path between two ops of a component never leaves it."""
    return held, longest_paths(system.size, system.weighted(ii), held)


def _windows(system: System, ops: Sequence[int], paths: Matrix, spread: int) -> list[Window]:
    """Windows around a root, the op with the least room to the others, which issues at 0 to `spread`."""
    root = int(np.argmin((-paths.T - paths).sum(axis=1)))
    lows, highs = paths[root], spread - paths[:, root]
    rows = zip(ops, lows.tolist(), highs.tolist(), strict=True)
    return [Window(low, high, system.unit[op], system.occupancy[op]) for op, low, high in rows]


def _blocks(parts: Sequence[Matrix], loose: int) -> Matrix:
    """The parts' paths on the diagonal, no path elsewhere."""
    size = sum(map(len, parts)) + loose
    paths = np.full((size, size), NONE, dtype=np.int64)
    np.fill_diagonal(paths, 0)
    start = 0
    for part in parts:
        end = start + len(part)
        paths[start:end, start:end] = part
        start = end
    return paths


def _loose(system: System, contended: Sequence[int], tied: set[int]) -> list[int]:
    """Contended ops whose slot is not tied. On a unit where each holds one cycle they fill what the others leave."""
    loose = [op for op in contended if op not in tied]
    packed = {system.unit[op] for op in loose if system.occupancy[op] > 1}
    return [op for op in loose if system.unit[op] in packed]
