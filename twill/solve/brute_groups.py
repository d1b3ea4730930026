"""Every way to put ops into warp groups that no time can make wrong, best first."""

from __future__ import annotations

from collections.abc import Iterator

from twill.problem.problem import Family, Problem
from twill.solve.brute_rules import Groups, group_warps


def assignments(problem: Problem) -> list[dict[str, int]]:
    """Assignments by number of groups in use, then by edges between groups; groups are numbered from the load group."""
    names = [op.name for op in problem.graph.ops]
    numbered = (dict(zip(names, groups, strict=True)) for groups in _partitions(len(names), ()))
    allowed = [groups for partition in numbered if (groups := _load_group_first(problem, partition)) is not None]
    return sorted(
        (g for g in allowed if _is_allowed(problem, g)), key=lambda g: (len(set(g.values())), crossings(problem, g))
    )


def crossings(problem: Problem, groups: Groups) -> int:
    """Edges between different groups."""
    return sum(groups[edge.source] != groups[edge.target] for edge in problem.graph.edges)


def _partitions(size: int, start: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Group numbers of ops such that each new group has the next number: every partition once."""
    if len(start) == size:
        yield start
        return
    for group in range(max(start, default=-1) + 2):
        yield from _partitions(size, (*start, group))


def _load_group_first(problem: Problem, groups: dict[str, int]) -> dict[str, int] | None:
    """The partition with the load group as number 0; None where ops of variable latency do not make up a group."""
    if not problem.has_load_group:
        return groups
    variable = {op.name for op in problem.graph.ops if op.variable_latency}
    load = {groups[name] for name in variable}
    if len(load) != 1 or any(groups[name] in load for name in groups if name not in variable):
        return None
    order = [*load, *sorted(set(groups.values()) - load)]
    return {name: order.index(group) for name, group in groups.items()}


def _is_allowed(problem: Problem, groups: Groups) -> bool:
    rules = (_few_enough, _warps_fit, _pins_hold, _registers_stay)
    return all(rule(problem, groups) for rule in rules)


def _few_enough(problem: Problem, groups: Groups) -> bool:
    used = len(set(groups.values()))
    limited = problem.has(Family.GROUPS) or not problem.machine.warp_specialization
    return not limited or used <= problem.group_limit


def _warps_fit(problem: Problem, groups: Groups) -> bool:
    warps = group_warps(problem, groups)
    return not problem.has(Family.GROUP_WARPS) or sum(warps.values()) <= problem.machine.max_warps


def _pins_hold(problem: Problem, groups: Groups) -> bool:
    pinned = list(problem.pins.groups.items()) if problem.has(Family.PINS) else []
    return all((groups[a] == groups[b]) == (x == y) for a, x in pinned for b, y in pinned)


def _registers_stay(problem: Problem, groups: Groups) -> bool:
    if not problem.forbid_register_handoff or not problem.has(Family.REGISTER_HANDOFF):
        return True
    graph = problem.graph
    held = [edge for edge in graph.edges if edge.kind == "data" and graph.by_name[edge.source].registers]
    return all(groups[edge.source] == groups[edge.target] for edge in held)
