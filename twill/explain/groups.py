"""What each warp group does, what it would take to have one group fewer, and whether that is ruled out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from ir.schedule import Schedule, WarpGroup
from twill.explain.steady import register_profiles
from twill.explain.words import names_text, plural

MAX_PAIRS = 6


@dataclass(frozen=True)
class Role:
    """A warp group with its ops in issue order and its peak of registers per thread."""

    group: WarpGroup
    ops: tuple[str, ...]
    peak_registers: int


@dataclass(frozen=True)
class Groups:
    """The roles, the number of edges between groups, and whether fewer groups are proven impossible."""

    roles: tuple[Role, ...]
    crossings: int
    proven_fewest: bool
    lines: tuple[str, ...]


def explain_groups(schedule: Schedule) -> Groups:
    """Roles and reasons of a found joint schedule; nothing for a modulo schedule."""
    if not schedule.joint:
        return Groups((), 0, False, ())
    peaks = {profile.group: profile.peak for profile in register_profiles(schedule)}
    roles = tuple(Role(g, _members(schedule, g.index), peaks.get(g.index, 0)) for g in schedule.groups)
    crossings = sum(_apart(schedule, e.source, e.target) for e in schedule.graph.edges)
    level = next((level for level in schedule.certificate.levels if level.name == "groups"), None)
    proven = level is not None and level.proven
    lines = (*_role_lines(roles), *_why_not_fewer(schedule, roles, proven), _crossing_line(schedule, crossings))
    return Groups(roles, crossings, proven, lines)


def _members(schedule: Schedule, group: int) -> tuple[str, ...]:
    placed = sorted((p.time_cycles, p.op) for p in schedule.placements if p.group == group)
    return tuple(op for _, op in placed)


def _apart(schedule: Schedule, a: str, b: str) -> bool:
    return schedule.by_op[a].group != schedule.by_op[b].group


def _role_lines(roles: tuple[Role, ...]) -> Iterator[str]:
    for role in roles:
        group = role.group
        budget = group.registers_per_thread
        registers = "" if budget is None else f", {role.peak_registers} of {budget} registers a thread at the peak"
        ops = names_text(role.ops)
        yield f"Group {group.index} ({group.role}, {plural(group.warps, 'warp')}{registers}): {ops}."


def _why_not_fewer(schedule: Schedule, roles: tuple[Role, ...], proven: bool) -> Iterator[str]:
    if len(roles) < 2:
        yield "One group does everything."
        return
    level = next((level for level in schedule.certificate.levels if level.name == "groups"), None)
    if proven and level is not None:
        yield f"Fewer than {len(roles)} groups are impossible at this II and length: {level.method}."
    else:
        yield f"That {len(roles)} groups are the fewest is not proven."
    pairs = [pair for pair in combinations(roles, 2) if _merge_faults(schedule, *pair)]
    for a, b in pairs[:MAX_PAIRS]:
        faults = "; ".join(_merge_faults(schedule, a, b))
        yield f"  groups {a.group.index} and {b.group.index} as one, at these issue times: {faults}"


def _merge_faults(schedule: Schedule, a: Role, b: Role) -> list[str]:
    return [fault for rule in (_load_fault, _register_fault, _wait_fault) for fault in rule(schedule, a, b)]


def _load_fault(schedule: Schedule, a: Role, b: Role) -> Iterator[str]:
    kinds = {any(schedule.graph.by_name[op].variable_latency for op in role.ops) for role in (a, b)}
    if schedule.machine.warp_specialization and len(kinds) == 2:
        yield "ops of variable latency have a group of their own"


def _register_fault(schedule: Schedule, a: Role, b: Role) -> Iterator[str]:
    profiles = {p.group: p for p in register_profiles(schedule)}
    if a.group.index not in profiles or b.group.index not in profiles:
        return
    limit, reserved = schedule.machine.max_registers_per_thread, schedule.machine.reserved_registers
    slots = {slot for role in (a, b) for slot, _ in profiles[role.group.index].steps}
    peak = max(sum(_at(profiles[r.group.index].steps, slot) for r in (a, b)) for slot in slots) - reserved
    if peak > limit and schedule.machine.registers_per_sm is not None:
        yield f"{peak} registers a thread, {limit} allowed"


def _at(steps: tuple[tuple[int, int], ...], slot: int) -> int:
    return [amount for start, amount in steps if start <= slot][-1]


def _wait_fault(schedule: Schedule, a: Role, b: Role) -> Iterator[str]:
    """The first op of one group that issues while the other waits."""
    for waiting, other in ((a, b), (b, a)):
        blocked = {e.target for e in schedule.graph.edges if e.blocking}
        for name in waiting.ops:
            if name in blocked:
                late = next((op for op in other.ops if _issues_in_wait(schedule, op, name)), None)
                if late is not None:
                    yield f"{late} issues while the group would wait before {name}"
                    return


def _issues_in_wait(schedule: Schedule, op: str, waiting: str) -> bool:
    ii, wait = schedule.ii_cycles or 1, schedule.machine.wait_cycles
    start = schedule.by_op[waiting].time_cycles - wait
    issue = max(1, schedule.graph.by_name[op].issue_cycles)
    offset = (schedule.by_op[op].time_cycles - start) % ii
    return wait > 0 and (offset < wait or offset + issue > ii)


def _crossing_line(schedule: Schedule, crossings: int) -> str:
    crossing = [e for e in schedule.graph.edges if _apart(schedule, e.source, e.target) and e.kind == "data"]
    names = names_text([f"{e.source} -> {e.target}" for e in crossing])
    return f"{plural(crossings, 'edge')} between groups{f': {names}' if crossing else ''}."
