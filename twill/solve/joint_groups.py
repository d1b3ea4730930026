"""Warp groups on top of a frame: membership, hand-offs, warps and waits.

Groups from `Instance.fresh` on are interchangeable: an op may open one only when an earlier op sits in the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

from ortools.sat.python import cp_model

from twill.problem.problem import Family
from twill.solve.joint_frame import Frame


@dataclass
class Groups:
    """Literals: op in group, pair in the same group, group in use, and group with so many warps at least."""

    frame: Frame
    member: list[dict[int, cp_model.IntVar]] = field(default_factory=list)
    same: dict[tuple[int, int], cp_model.IntVar] = field(default_factory=dict)
    used: dict[int, cp_model.IntVar] = field(default_factory=dict)
    warps: dict[int, dict[int, cp_model.IntVar]] = field(default_factory=dict)

    def shared(self, u: int, v: int) -> cp_model.IntVar:
        """The literal that two ops, neither surely apart nor surely together, share a group."""
        key = (min(u, v), max(u, v))
        if key not in self.same:
            model = self.frame.model
            literal = self.same[key] = model.new_bool_var(f"same {key}")
            for g in self.member[u].keys() | self.member[v].keys():
                self._tie(literal, self.member[u].get(g), self.member[v].get(g))
        return self.same[key]

    def crossings(self) -> cp_model.LinearExprT:
        """The number of edges between groups."""
        instance = self.frame.instance
        fixed = sum(instance.apart(e.source, e.target) for e in instance.edges)
        pairs = [(e.source, e.target) for e in instance.edges]
        undecided = [(u, v) for u, v in pairs if not instance.apart(u, v) and not instance.together(u, v)]
        return fixed + sum(1 - self.shared(u, v) for u, v in undecided)

    def _tie(self, literal: cp_model.IntVar, one: cp_model.IntVar | None, other: cp_model.IntVar | None) -> None:
        model = self.frame.model
        if one is None or other is None:
            model.add(literal == 0).only_enforce_if(*(x for x in (one, other) if x is not None))
            return
        model.add_bool_or(~one, ~other, literal)
        model.add_bool_or(~one, other, ~literal)
        model.add_bool_or(one, ~other, ~literal)


def add_groups(frame: Frame) -> Groups | None:
    """Membership and all that concerns it but registers; None where that cannot hold."""
    groups = Groups(frame)
    _add_members(groups)
    _add_symmetry(groups)
    _add_shared_pairs(groups)
    _add_handoffs(groups)
    _add_warps(groups)
    _add_waits(groups)
    return None if frame.impossible else groups


def _add_members(groups: Groups) -> None:
    frame = groups.frame
    for domain in frame.instance.domains:
        literals = {g: frame.model.new_bool_var("") for g in domain}
        frame.model.add_exactly_one(literals.values())
        groups.member.append(literals)
    for g in range(frame.instance.group_count):
        inside = [literals[g] for literals in groups.member if g in literals]
        groups.used[g] = frame.model.new_bool_var(f"used {g}")
        frame.model.add_max_equality(groups.used[g], [0, *inside])


def _add_symmetry(groups: Groups) -> None:
    instance, model = groups.frame.instance, groups.frame.model
    free = [v for v in range(instance.size) if len(instance.domains[v]) > 1]
    for g in range(instance.fresh + 1, instance.group_count):
        for position, v in enumerate(free):
            earlier = [groups.member[u][g - 1] for u in free[:position]]
            model.add_bool_or(*earlier, ~groups.member[v][g])


def _add_shared_pairs(groups: Groups) -> None:
    """Pairs that must share a group, because a register value may not cross."""
    instance, frame = groups.frame.instance, groups.frame
    for u, v in instance.forbidden:
        if instance.apart(u, v):
            frame.refute()
        elif not instance.together(u, v):
            frame.model.add(groups.shared(u, v) == 1)


def _add_handoffs(groups: Groups) -> None:
    frame = groups.frame
    for e in frame.instance.handoffs:
        if frame.instance.apart(e.source, e.target):
            continue  # the frame has it already
        least = e.delay_cycles + e.handoff_cycles - e.distance * frame.ii
        if frame.gap(e.source, e.target)[0] < least:
            gap = frame.times[e.target] - frame.times[e.source]
            frame.model.add(gap >= least).only_enforce_if(~groups.shared(e.source, e.target))


def _add_warps(groups: Groups) -> None:
    """Warps of each group are those that its neediest op asks for; together they fit the block."""
    frame = groups.frame
    for g in groups.used:
        groups.warps[g] = _warp_levels(groups, g)
    if frame.instance.holds(Family.GROUP_WARPS):
        total = sum(_stairs(levels) for levels in groups.warps.values())
        frame.model.add(total <= frame.instance.problem.machine.max_warps)


def _warp_levels(groups: Groups, g: int) -> dict[int, cp_model.IntVar]:
    """For each number of warps that some op of the group may need: the literal that one does."""
    frame, levels = groups.frame, dict[int, cp_model.IntVar]()
    candidates = [
        (op.warps, groups.member[v][g])
        for v, op in enumerate(frame.instance.problem.graph.ops)
        if g in groups.member[v]
    ]
    for warps in sorted({w for w, _ in candidates if w}):
        levels[warps] = frame.model.new_bool_var(f"group {g} has {warps} warps")
        for needed, literal in candidates:
            if needed >= warps:
                frame.model.add_implication(literal, levels[warps])
    return levels


def _stairs(levels: dict[int, cp_model.IntVar]) -> cp_model.LinearExprT:
    """Warps of a group: the sum of the steps between its levels."""
    steps = zip([0, *levels], levels.items(), strict=False)
    return sum((warps - below) * literal for below, (warps, literal) in steps)


def _add_waits(groups: Groups) -> None:
    """No op of the group issues while the group waits just before `v`."""
    frame, instance = groups.frame, groups.frame.instance
    ops, wait = instance.problem.graph.ops, instance.problem.machine.wait_cycles
    for v, x in product(instance.waiting, range(instance.size)):
        issue = max(1, ops[x].issue_cycles)
        if v == x:
            if issue + wait > frame.ii:
                frame.refute()
        elif not instance.apart(v, x):
            condition = None if instance.together(v, x) else groups.shared(v, x)
            frame.disjoint((x, issue), (v, wait), wait, condition)
