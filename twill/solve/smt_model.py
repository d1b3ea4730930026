"""One problem at one II as a formula: each family of constraints is one function that yields its assertions.

A capacity can only be exceeded first where something begins, so units, memories and registers are counted at the slots
in which an interval starts. Two things are left out, so that the formula is a relaxation: copies of one value beyond
`copies`, and what is live in the register files. The caller adds what it sees broken, as `register_cut`s or as more
copies. A refutation of the relaxation refutes the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from ir.graph import DependenceGraph, Edge, Op
from twill.problem.problem import Family, Problem
from twill.solve.smt_terms import Terms, Weighted

if TYPE_CHECKING:
    from pysmt.environment import Environment
    from pysmt.fnode import FNode

Storage = Callable[[Op], int]


class Model:
    """Variables and assertions of `problem` at interval `ii`. Ops and groups are numbers."""

    def __init__(self, environment: Environment, problem: Problem, ii: int, copies: int) -> None:
        self.problem = problem
        self.copies = copies
        self.ops = problem.graph.ops
        self.terms = Terms(environment, ii, len(self.ops))
        self.make = self.terms.make
        self._alive: dict[tuple[int, int, int], FNode] = {}
        self._same: dict[tuple[int, int], FNode] = {}

    @property
    def ii(self) -> int:
        """The interval."""
        return self.terms.ii

    @cached_property
    def graph(self) -> DependenceGraph:
        """The dependence graph."""
        return self.problem.graph

    @cached_property
    def edges(self) -> list[tuple[int, int, Edge]]:
        """Source, target and edge."""
        return [(self.graph.index[e.source], self.graph.index[e.target], e) for e in self.graph.edges]

    @cached_property
    def first_group(self) -> int:
        """The first group that an op of fixed latency may join."""
        return 1 if self.problem.has_load_group else 0

    @cached_property
    def group_count(self) -> int:
        """Groups of the model. More groups than ops of use are never needed."""
        if not self.problem.machine.warp_specialization:
            return 1
        most = len(self.ops) + self.first_group
        return min(most, self.problem.group_limit) if self.problem.has(Family.GROUPS) else most

    @cached_property
    def member(self) -> list[dict[int, FNode]]:
        """For each op, the literal of each group that it may join."""
        return [
            {g: self.terms.boolean(f"op {v} in group {g}") for g in self._domain(op)} for v, op in enumerate(self.ops)
        ]

    def _domain(self, op: Op) -> Iterable[int]:
        loads = self.problem.has_load_group and op.variable_latency
        return (0,) if loads else range(self.first_group, self.group_count)

    def same(self, u: int, v: int) -> FNode:
        """The literal that two ops share a group."""
        if u == v:
            return self.make.TRUE()
        pair = min(u, v), max(u, v)
        if pair not in self._same:
            both = self.member[u].keys() & self.member[v].keys()
            self._same[pair] = self.terms.any(*(self.terms.all(self.member[u][g], self.member[v][g]) for g in both))
        return self._same[pair]

    def readers(self, u: int) -> list[tuple[int, int]]:
        """(op x, hold): the result of `u` lives until t(x) + hold; the op itself is one of them."""
        ends = {u: self.ops[u].span_cycles}
        for source, x, edge in self.edges:
            if source == u and edge.kind == "data":
                hold = edge.distance * self.ii + (0 if edge.in_place else self.ops[x].span_cycles)
                ends[x] = max(ends.get(x, hold), hold)
        return list(ends.items())

    def alive(self, u: int, j: int, m: int) -> FNode:
        """The value of `u` covers the slot at which `j` issues more than `m` times.

        The first time is (slot(j) - slot(u)) mod II cycles after t(u), the next ones II apart.
        """
        key = u, j, m
        if key not in self._alive:
            terms, wraps = self.terms, self.terms.before(j, u)
            cases = []
            for x, hold in self.readers(u):
                least = m * self.ii + 1 - hold
                straight = terms.mixed_after((u, x), (j, x), least)
                wrapped = terms.mixed_after((u, x), (j, x), least + self.ii)
                cases += [terms.all(terms.no(wraps), straight), terms.all(wraps, wrapped)]
            self._alive[key] = terms.any(*cases)
        return self._alive[key]

    def live(self, u: int, j: int, size: int, most: int) -> list[Weighted]:
        """Weighted literals: the size of u's value for each copy that is live at the slot of `j`.

        One copy more than fits is counted too, so that it is seen not to fit, unless `copies` cuts it off.
        """
        copies = min(most // size + 1, self.copies)
        return [(self.alive(u, j, m), size) for m in range(max(0, copies))]

    def assertions(self) -> Iterator[FNode]:
        """Everything that must hold."""
        yield from self.terms.ranges()
        for family, build in STAGE_1.items():
            if self.problem.has(family):
                yield from build(self)
        if not self.problem.joint:
            return
        yield from _membership(self)
        for family, build in STAGE_2.items():
            if self.problem.has(family):
                yield from build(self)

    def budget(self, g: int) -> FNode:
        """The register budget of a group, in steps of the granularity."""
        return self.terms.integer(f"budget {g}")

    def register_cut(self, j: int, steps: int) -> FNode:
        """What is live at the slot of `j` in its group fits `steps` of the granularity, or the budget is more."""
        machine, index = self.problem.machine, self.graph.index
        room = steps * machine.register_granularity - machine.reserved_registers
        there = [
            (self.terms.all(self.same(u, j), literal), size)
            for u, op in enumerate(self.ops)
            if op.registers
            for literal, size in self.live(u, j, op.registers, room)
        ]
        for value in self.graph.invariants:
            if value.registers:
                read = self.terms.any(*(self.same(index[name], j) for name in value.readers))
                there.append((read, value.registers))
        fits = self.terms.at_most(there, room)
        more = [(g, self.make.GE(self.budget(g), self.make.Int(steps + 1))) for g in self.member[j]]
        return self.terms.all(*(self.terms.any(fits, self.terms.no(self.member[j][g]), above) for g, above in more))

    def length_at_most(self, length: int) -> FNode:
        """Every op has ended by `length`."""
        return self.terms.all(*(self.terms.ends_by(v, length - op.span_cycles) for v, op in enumerate(self.ops)))

    def groups_at_most(self, count: int) -> FNode:
        """At most `count` groups are in use; groups of the model are used in ascending order."""
        closed = range(max(self.first_group, count), self.group_count)
        outside = [self.make.Not(groups[g]) for groups in self.member for g in closed if g in groups]
        return self.terms.all(self.make.Bool(count >= self.first_group), *outside)

    def crossings_at_most(self, count: int) -> FNode:
        """At most `count` edges between different groups."""
        return self.terms.at_most([(self.terms.no(self.same(u, v)), 1) for u, v, _ in self.edges if u != v], count)


def _dependence(model: Model) -> Iterator[FNode]:
    for u, v, edge in model.edges:
        yield model.terms.after(u, v, model.graph.delay_cycles(edge) - edge.distance * model.ii)


def _unit(model: Model) -> Iterator[FNode]:
    for name in model.problem.machine.units:
        users = [v for v, op in enumerate(model.ops) if op.unit == name and op.occupancy_cycles]
        yield from _one_unit(model, users, model.problem.machine.units[name])


def _one_unit(model: Model, users: list[int], count: int) -> Iterator[FNode]:
    held = {v: divmod(model.ops[v].occupancy_cycles, model.ii) for v in users}
    turns = sum(whole for whole, _ in held.values())
    rests = {v: rest for v, (_, rest) in held.items() if rest}
    # Work beyond all slots would be a pigeonhole problem, and long to refute; counted, it is refuted at once.
    if sum(rests.values()) + turns * model.ii > count * model.ii:
        yield model.make.FALSE()
        return
    for j in rests or users[:1]:
        there = [(model.terms.turn_at_most(u, j, rest - 1), 1) for u, rest in rests.items()]
        yield model.terms.at_most(there, count - turns)


def _stages(model: Model) -> Iterator[FNode]:
    if model.problem.max_stages is not None:
        last = model.make.Int(model.problem.max_stages - 1)
        yield from (model.make.LE(stage, last) for stage in model.terms.stage)


def _membership(model: Model) -> Iterator[FNode]:
    """Each op in exactly one group; a group is opened only when an earlier op is in the one before."""
    make = model.make
    for groups in model.member:
        yield make.ExactlyOne(groups.values()) if groups else make.FALSE()
    free = [groups for groups in model.member if model.first_group in groups]
    for position, groups in enumerate(free):
        for g in range(model.first_group + 1, model.group_count):
            yield make.Implies(groups[g], model.terms.any(*(earlier[g - 1] for earlier in free[:position])))


def _smem(model: Model) -> Iterator[FNode]:
    held = sum(value.smem_bytes for value in model.graph.invariants)
    return _memory(model, model.problem.machine.smem_bytes, held, lambda op: op.smem_bytes)


def _tmem(model: Model) -> Iterator[FNode]:
    held = sum(value.tmem_columns for value in model.graph.invariants)
    return _memory(model, model.problem.machine.tmem_columns, held, lambda op: op.tmem_columns)


def _memory(model: Model, limit: int | None, held: int, size_of: Storage) -> Iterator[FNode]:
    if limit is None:
        return
    room = limit - held
    sizes = {v: size_of(op) for v, op in enumerate(model.ops) if size_of(op)}
    shortest = sum(size * _shortest_life(model, v) for v, size in sizes.items())
    if room < 0 or shortest > room * model.ii:
        yield model.make.FALSE()
        return
    for j in sizes:
        yield model.terms.at_most([t for u, size in sizes.items() for t in model.live(u, j, size, room)], room)


def _shortest_life(model: Model, u: int) -> int:
    """Cycles that the value of `u` lives in every schedule."""
    lives = [model.ops[u].span_cycles]
    if model.problem.has(Family.DEPENDENCE):
        for source, x, edge in model.edges:
            if source == u and edge.kind == "data":
                lives.append(model.graph.delay_cycles(edge) + (0 if edge.in_place else model.ops[x].span_cycles))
    return max(lives)


def _warps(model: Model) -> Mapping[int, list[tuple[int, FNode]]]:
    """For each group, ascending numbers of warps with the literal that an op of the group needs as many."""
    needs: dict[int, list[tuple[int, FNode]]] = {}
    for g in range(model.group_count):
        inside = [(op.warps, model.member[v][g]) for v, op in enumerate(model.ops) if g in model.member[v]]
        levels = sorted({warps for warps, _ in inside if warps})
        needs[g] = [(level, model.terms.any(*(lit for warps, lit in inside if warps >= level))) for level in levels]
    return needs


def _group_warps(model: Model) -> Iterator[FNode]:
    steps = []
    for levels in _warps(model).values():
        below = 0
        for warps, literal in levels:
            steps.append((literal, warps - below))
            below = warps
    yield model.terms.at_most(steps, model.problem.machine.max_warps)


def _registers(model: Model) -> Iterator[FNode]:
    """Budgets in steps of the granularity, and all of them within the register file."""
    machine = model.problem.machine
    if machine.registers_per_sm is None:
        return
    make, step = model.make, machine.register_granularity
    low, high = -(-machine.min_registers_per_thread // step), machine.max_registers_per_thread // step
    costs = [model.terms.integer(f"cost {g}") for g in range(model.group_count)]
    for g, levels in _warps(model).items():
        budget, used = model.budget(g), model.terms.any(*(groups[g] for groups in model.member if g in groups))
        yield make.And(make.GE(budget, make.Int(low)), make.GE(costs[g], make.Int(0)))
        # An empty group has no budget to keep within the machine's maximum.
        yield make.Implies(used, make.LE(budget, make.Int(high)))
        yield make.LE(_always_held(model, g, used), make.Times(make.Int(step), budget))
        for warps, literal in levels:
            yield make.Implies(literal, make.GE(costs[g], make.Times(make.Int(warps), budget)))
    yield make.LE(make.Plus(costs), make.Int(machine.registers_per_sm // (machine.threads_per_warp * step)))


def _always_held(model: Model, g: int, used: FNode) -> FNode:
    """Registers that group `g` holds in every slot."""
    held = [(used, model.problem.machine.reserved_registers)]
    for value in model.graph.invariants:
        readers = [model.member[model.graph.index[name]] for name in value.readers]
        held.append((model.terms.any(*(groups[g] for groups in readers if g in groups)), value.registers))
    return model.terms.total(held)


def _handoff(model: Model) -> Iterator[FNode]:
    for u, v, edge in model.edges:
        least = model.graph.delay_cycles(edge) + model.ops[u].handoff_cycles - edge.distance * model.ii
        yield model.terms.any(model.same(u, v), model.terms.after(u, v, least))


def _register_handoff(model: Model) -> Iterator[FNode]:
    if model.problem.forbid_register_handoff:
        held = [(u, v) for u, v, edge in model.edges if edge.kind == "data" and model.ops[u].registers]
        yield from (model.same(u, v) for u, v in held)


def _blocking(model: Model) -> Iterator[FNode]:
    wait = model.problem.machine.wait_cycles
    for v in sorted({v for _, v, edge in model.edges if edge.blocking and wait}):
        for x, op in enumerate(model.ops):
            # From the end of the wait, x must issue and be done before the next wait begins.
            free = model.ii - wait - max(1, op.issue_cycles)
            yield model.make.Implies(model.same(v, x), model.terms.turn_at_most(v, x, free))


def _pins(model: Model) -> Iterator[FNode]:
    make, pins, index = model.make, model.problem.pins, model.graph.index
    yield make.Bool(pins.ii_cycles in (None, model.ii))
    for op, stage in pins.stages.items():
        yield make.Equals(model.terms.stage[index[op]], make.Int(stage))
    if pins.stages:
        # Stages count from cycle 0, at which some op issues; without stage pins a schedule can be shifted there.
        yield model.terms.any(*(model.terms.ends_by(v, 0) for v in range(len(model.ops))))
    for (a, label), (b, other) in _pairs(pins.groups):
        shared = model.same(index[a], index[b])
        yield shared if label == other else model.terms.no(shared)
    for order in pins.orders:
        entries = list(order.entries)
        entries += [(entries[0][0], entries[0][1] + 1)] if order.cyclic and entries else []
        for (a, i), (b, k) in pairwise(entries):
            yield model.terms.after(index[a], index[b], (i - k) * model.ii)


def _pairs(labels: Mapping[str, str]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Each op with the first op of its label, and the first ops of all labels with each other."""
    first: dict[str, str] = {}
    for op, label in labels.items():
        yield (first.setdefault(label, op), label), (op, label)
    heads = [(op, label) for label, op in first.items()]
    yield from ((a, b) for i, a in enumerate(heads) for b in heads[:i])


Build = Callable[[Model], Iterator["FNode"]]
STAGE_1: Mapping[Family, Build] = {Family.DEPENDENCE: _dependence, Family.UNIT: _unit, Family.STAGES: _stages}
STAGE_2: Mapping[Family, Build] = {
    Family.SMEM: _smem,
    Family.TMEM: _tmem,
    Family.GROUP_WARPS: _group_warps,
    Family.REGISTERS: _registers,
    Family.HANDOFF: _handoff,
    Family.REGISTER_HANDOFF: _register_handoff,
    Family.BLOCKING: _blocking,
    Family.PINS: _pins,
}
