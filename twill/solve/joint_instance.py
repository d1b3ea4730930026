"""A problem as plain numbers: ops by index, delays, lifetimes, groups each op may join; no relaxed families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ir.schedule import Conflict
from twill.problem.problem import Family, OrderPin, Problem


@dataclass(frozen=True)
class Precedence:
    """t(target) >= t(source) + delay_cycles - distance * II, and handoff_cycles more across groups."""

    source: int
    target: int
    delay_cycles: int
    distance: int
    handoff_cycles: int = 0


@dataclass(frozen=True)
class Reader:
    """A value is live until t(op) + distance * II + held_cycles."""

    op: int
    distance: int
    held_cycles: int
    in_place: bool = False


@dataclass(frozen=True)
class Value:
    """The result of `op` with its footprints; live from t(op) for `span_cycles` and until its last reader is done."""

    op: int
    span_cycles: int
    smem_bytes: int
    tmem_columns: int
    registers: int
    readers: tuple[Reader, ...]


@dataclass(frozen=True)
class Instance:
    """What every model of one problem starts from.

    domains: groups that each op may join; fresh: the first group without pinned ops (groups from there on are
    interchangeable); precedences: edges that hold in any case; handoffs: edges that ask for more across groups;
    crossing: all edges as op pairs, the fourth objective. conflict: set where pins or groups clash outright.
    """

    problem: Problem
    domains: tuple[tuple[int, ...], ...]
    group_count: int
    fresh: int
    conflict: Conflict | None = None

    @cached_property
    def size(self) -> int:
        """Number of ops."""
        return len(self.problem.graph.ops)

    def holds(self, family: Family) -> bool:
        """True where the family is not relaxed."""
        return self.problem.has(family)

    @cached_property
    def spans(self) -> tuple[int, ...]:
        """`Op.span_cycles` by index."""
        return tuple(op.span_cycles for op in self.problem.graph.ops)

    @cached_property
    def edges(self) -> tuple[Precedence, ...]:
        """Every edge of the graph, with both delays."""
        graph = self.problem.graph
        index, by_name = graph.index, graph.by_name
        return tuple(
            Precedence(
                index[e.source], index[e.target], graph.delay_cycles(e), e.distance, by_name[e.source].handoff_cycles
            )
            for e in graph.edges
        )

    @cached_property
    def precedences(self) -> tuple[Precedence, ...]:
        """What holds in every schedule: dependences, the hand-offs between disjoint domains, pinned orders."""
        edges = self.edges if self.holds(Family.DEPENDENCE) else ()
        pins = self.problem.pins.orders if self.holds(Family.PINS) else ()
        orders = (p for pin in pins for p in self._order(pin))
        return (*edges, *(self._full(e) for e in self.handoffs if self.apart(e.source, e.target)), *orders)

    @cached_property
    def handoffs(self) -> tuple[Precedence, ...]:
        """Edges that ask for more than the dependence does where they cross groups."""
        if not self.holds(Family.HANDOFF):
            return ()
        free = not self.holds(Family.DEPENDENCE)
        return tuple(e for e in self.edges if (e.handoff_cycles or free) and not self.together(e.source, e.target))

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Results that take storage."""
        ops = self.problem.graph.ops
        stored = (i for i, op in enumerate(ops) if op.smem_bytes or op.tmem_columns or op.registers)
        return tuple(self._value(i) for i in stored)

    @cached_property
    def waiting(self) -> tuple[int, ...]:
        """Ops before which their group sits in a wait."""
        if not self.holds(Family.BLOCKING) or not self.problem.machine.wait_cycles:
            return ()
        index = self.problem.graph.index
        return tuple(sorted({index[e.target] for e in self.problem.graph.edges if e.blocking}))

    @cached_property
    def stages(self) -> dict[int, int]:
        """Pinned stages by op."""
        index = self.problem.graph.index
        pinned = self.problem.pins.stages if self.holds(Family.PINS) else {}
        return {index[name]: stage for name, stage in pinned.items()}

    @cached_property
    def max_stages(self) -> int | None:
        """The cap that the user set."""
        return self.problem.max_stages if self.holds(Family.STAGES) else None

    @cached_property
    def pinned_ii(self) -> int | None:
        """The interval that the user fixed."""
        return self.problem.pins.ii_cycles if self.holds(Family.PINS) else None

    @cached_property
    def forbidden(self) -> tuple[tuple[int, int], ...]:
        """Pairs that must share a group: data edges whose source holds registers, where that hand-off is forbidden."""
        if not (self.problem.forbid_register_handoff and self.holds(Family.REGISTER_HANDOFF)):
            return ()
        graph = self.problem.graph
        held = (e for e in graph.edges if e.kind == "data" and graph.by_name[e.source].registers)
        return tuple(dict.fromkeys((graph.index[e.source], graph.index[e.target]) for e in held))

    @cached_property
    def has_registers(self) -> bool:
        """True where register budgets apply."""
        return self.holds(Family.REGISTERS) and self.problem.machine.registers_per_sm is not None

    def apart(self, u: int, v: int) -> bool:
        """True where the two ops can share no group."""
        return not set(self.domains[u]) & set(self.domains[v])

    def together(self, u: int, v: int) -> bool:
        """True where the two ops share a group in every assignment."""
        return u == v or (len(self.domains[u]) == 1 and self.domains[u] == self.domains[v])

    def _full(self, edge: Precedence) -> Precedence:
        return Precedence(edge.source, edge.target, edge.delay_cycles + edge.handoff_cycles, edge.distance)

    def _order(self, pin: OrderPin) -> Iterator[Precedence]:
        index = self.problem.graph.index
        entries = [(index[name], i) for name, i in pin.entries]
        for (a, i), (b, k) in pairwise(entries):
            yield Precedence(a, b, 0, k - i)
        if pin.cyclic and entries:
            (a, i), (b, k) = entries[-1], entries[0]
            yield Precedence(a, b, 0, k + 1 - i)

    def _value(self, u: int) -> Value:
        graph = self.problem.graph
        op = graph.ops[u]
        readers = tuple(
            Reader(
                graph.index[e.target], e.distance, 0 if e.in_place else graph.by_name[e.target].span_cycles, e.in_place
            )
            for e in graph.edges
            if e.source == op.name and e.kind == "data"
        )
        return Value(u, op.span_cycles, op.smem_bytes, op.tmem_columns, op.registers, readers)


def make_instance(problem: Problem, group_limit: int | None = None) -> Instance:
    """The instance of a problem with at most `group_limit` groups (None: the problem's own limit)."""
    count = min(_group_limit(problem), group_limit or len(problem.graph.ops) + 1)
    loads = problem.has_load_group
    first = 1 if loads else 0
    labels = dict(problem.pins.groups) if problem.has(Family.PINS) else {}
    fixed, conflict = _pinned_groups(problem, labels, first)
    fresh = max([first, *(g + 1 for g in fixed.values())])
    everywhere = tuple(range(first, count))
    domains = tuple(
        (fixed[op.name],) if op.name in fixed else ((0,) if loads and op.variable_latency else everywhere)
        for op in problem.graph.ops
    )
    if conflict is None and (fresh > count or not all(domains)):
        conflict = _too_few(count, fresh, bool(labels), loads)
    return Instance(problem, domains, count, fresh, conflict)


def _group_limit(problem: Problem) -> int:
    """Groups that a schedule may use; without warp specialization one, whatever is relaxed."""
    if not problem.machine.warp_specialization:
        return 1
    return problem.group_limit if problem.has(Family.GROUPS) else len(problem.graph.ops)


def _pinned_groups(problem: Problem, labels: dict[str, str], first: int) -> tuple[dict[str, int], Conflict | None]:
    """Pinned op -> group: 0 for the label of the loads, the next free one for every other label."""
    loads = {name for name in labels if first and problem.graph.by_name[name].variable_latency}
    load_labels = {labels[name] for name in loads}
    others = dict.fromkeys(label for label in labels.values() if label not in load_labels)
    group = {label: first + i for i, label in enumerate(others)} | dict.fromkeys(load_labels, 0)
    mixed = [name for name, label in labels.items() if label in load_labels and name not in loads]
    fixed = {name: group[label] for name, label in labels.items()}
    if len(load_labels) > 1:
        message = f"pins put ops of variable latency into groups {', '.join(sorted(load_labels))}, all belong to one"
        return fixed, Conflict((Family.PINS, Family.VARIABLE_LATENCY), message)
    if mixed:
        message = f"pins put {', '.join(mixed)} into the load group, which takes ops of variable latency only"
        return fixed, Conflict((Family.PINS, Family.VARIABLE_LATENCY), message)
    return fixed, None


def _too_few(count: int, fresh: int, pinned: bool, loads: bool) -> Conflict:
    needed = max(fresh, 2 if loads else 1)
    families = [Family.GROUPS] + [Family.PINS] * pinned + [Family.VARIABLE_LATENCY] * loads
    return Conflict(tuple(families), f"{needed} warp groups are needed, {count} allowed")
