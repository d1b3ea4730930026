"""Warp groups on top of a frame: membership, hand-offs, warps, register budgets and waits.

Groups from `Instance.fresh` on are interchangeable: an op may open one only when an earlier op sits in the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

from ortools.sat.python import cp_model

from twill.problem.problem import Family
from twill.solve.joint_frame import Frame
from twill.solve.joint_storage import Storage, Tenancy


@dataclass
class Groups:
    """Literals by op and group; `same` for pairs; counts for the objective."""

    frame: Frame
    storage: Storage
    member: list[dict[int, cp_model.IntVar]] = field(default_factory=list)
    same: dict[tuple[int, int], cp_model.IntVar] = field(default_factory=dict)
    used: dict[int, cp_model.IntVar] = field(default_factory=dict)

    def shared(self, u: int, v: int) -> cp_model.IntVar:
        """The literal that two ops, neither surely apart nor surely together, share a group."""
        key = (min(u, v), max(u, v))
        if key not in self.same:
            model = self.frame.model
            literal = self.same[key] = model.new_bool_var(f"same {key}")
            for g in self.member[u].keys() | self.member[v].keys():
                self._tie(literal, self.member[u].get(g), self.member[v].get(g))
        return self.same[key]

    def crossings(self) -> tuple[cp_model.LinearExprT, int]:
        """Edges between different groups that depend on the assignment, and the number of those that always cross."""
        instance = self.frame.instance
        fixed = sum(instance.apart(e.source, e.target) for e in instance.edges)
        pairs = [(e.source, e.target) for e in instance.edges]
        undecided = [(u, v) for u, v in pairs if not instance.apart(u, v) and not instance.together(u, v)]
        return sum(1 - self.shared(u, v) for u, v in undecided), fixed

    def _tie(self, literal: cp_model.IntVar, one: cp_model.IntVar | None, other: cp_model.IntVar | None) -> None:
        model = self.frame.model
        if one is None or other is None:
            model.add(literal == 0).only_enforce_if(*(x for x in (one, other) if x is not None))
            return
        model.add_bool_or(~one, ~other, literal)
        model.add_bool_or(~one, other, ~literal)
        model.add_bool_or(one, ~other, ~literal)


def add_groups(frame: Frame, storage: Storage) -> Groups | None:
    """All families of stage 2 that speak of groups; None where they cannot hold."""
    groups = Groups(frame, storage)
    _add_members(groups)
    _add_symmetry(groups)
    _add_shared_pairs(groups)
    _add_handoffs(groups)
    _add_warps_and_registers(groups)
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


def _add_warps_and_registers(groups: Groups) -> None:
    frame, machine = groups.frame, groups.frame.instance.problem.machine
    needs = {g: _warp_levels(groups, g) for g in groups.used}
    if frame.instance.holds(Family.GROUP_WARPS):
        frame.model.add(sum(_stairs(levels) for levels in needs.values()) <= machine.max_warps)
    if not frame.instance.has_registers:
        return
    costs = [_register_cost(groups, g, levels) for g, levels in needs.items()]
    if not frame.impossible:
        frame.model.add(sum(costs) <= (machine.registers_per_sm or 0) // machine.threads_per_warp)


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


def _register_cost(groups: Groups, g: int, levels: dict[int, cp_model.IntVar]) -> cp_model.IntVar:
    """Registers that a group takes from the SM, in units of one register in each thread of a warp."""
    frame, machine = groups.frame, groups.frame.instance.problem.machine
    step = machine.register_granularity
    low, high = -(-machine.min_registers_per_thread // step), machine.max_registers_per_thread // step
    most_warps = max([0, *levels])
    cost = frame.model.new_int_var(0, most_warps * step * high, f"cost {g}")
    if low > high:
        frame.refute(groups.used[g])
        return cost
    budget = frame.model.new_int_var(low, high, f"budget {g}")
    for warps, literal in levels.items():
        frame.model.add(cost >= warps * step * budget).only_enforce_if(literal)
    _add_register_file(groups, g, budget, step)
    return cost


def _add_register_file(groups: Groups, g: int, budget: cp_model.IntVar, step: int) -> None:
    """Live registers of group `g` fit its budget at every slot."""
    frame, machine = groups.frame, groups.frame.instance.problem.machine
    held = [i for i in frame.instance.problem.graph.invariants if i.registers]
    constant = sum(i.registers * _reads(groups, g, i.readers) for i in held)
    most = step * (machine.max_registers_per_thread // step) - machine.reserved_registers
    if most < 0:
        frame.refute(groups.used[g])
        return
    room = frame.model.new_int_var(0, most, f"room {g}")
    frame.model.add(room + constant + machine.reserved_registers <= step * budget).only_enforce_if(groups.used[g])
    pieces = []
    for value in frame.instance.values:
        literal = groups.member[value.op].get(g)
        if value.registers and literal is not None:
            arc = groups.storage.arc(Tenancy(value, value, 0, value.registers), most * frame.ii // value.registers)
            alone = len(frame.instance.domains[value.op]) == 1
            pieces += groups.storage.occupy(arc, value.registers, None if alone else literal)
    if pieces:
        frame.model.add_cumulative([i for i, _ in pieces], [d for _, d in pieces], room)


def _reads(groups: Groups, g: int, readers: tuple[str, ...]) -> cp_model.IntVar:
    """The literal that group `g` has one of the readers."""
    index = groups.frame.instance.problem.graph.index
    inside = [groups.member[index[r]][g] for r in readers if r in index and g in groups.member[index[r]]]
    literal: cp_model.IntVar = groups.frame.model.new_bool_var("")
    groups.frame.model.add_max_equality(literal, [0, *inside])
    return literal


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
