"""Register budgets: what each group holds at every slot fits its budget, and all budgets fit the register file.

Values that hand their registers over in place count as one where the whole chain sits in one group: a literal of the
chain chooses between the chain's one arc and the arcs of its values.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from ortools.sat.python import cp_model

from twill.solve.joint_groups import Groups
from twill.solve.joint_overlap import Holding, add_counts
from twill.solve.joint_storage import Arc, Chain, Storage, chains_of

_SMALL = 8  # values below this fraction of the largest are left to the cumulative constraint
Piece = tuple[cp_model.IntervalVar, cp_model.LinearExprT]


def add_registers(groups: Groups, storage: Storage) -> None:
    """The register family; marks the frame impossible where bounds alone rule it out."""
    frame, machine = groups.frame, groups.frame.instance.problem.machine
    if not frame.instance.has_registers:
        return
    chains = _Chains(groups, storage)
    costs = [_cost(groups, g, chains) for g in groups.used]
    chains.count()
    frame.model.add(sum(costs) <= (machine.registers_per_sm or 0) // machine.threads_per_warp)


def _cost(groups: Groups, g: int, chains: _Chains) -> cp_model.IntVar:
    """Registers that a group takes from the SM, in units of one register in each thread of a warp."""
    frame, machine = groups.frame, groups.frame.instance.problem.machine
    step, levels = machine.register_granularity, groups.warps[g]
    low, high = -(-machine.min_registers_per_thread // step), machine.max_registers_per_thread // step
    cost = frame.model.new_int_var(0, max([0, *levels]) * step * high, f"cost {g}")
    if low > high or step * high < machine.reserved_registers:
        frame.model.add(groups.used[g] == 0)
        return cost
    budget = frame.model.new_int_var(low, high, f"budget {g}")
    for warps, literal in levels.items():
        frame.model.add(cost >= warps * step * budget).only_enforce_if(literal)
    room = frame.model.new_int_var(0, step * high - machine.reserved_registers, f"room {g}")
    held = machine.reserved_registers + _invariants(groups, g)
    frame.model.add(room + held <= step * budget).only_enforce_if(groups.used[g])
    chains.fit(g, room)
    return cost


def _invariants(groups: Groups, g: int) -> cp_model.LinearExprT:
    """Registers of the invariants that the group reads."""
    frame, index = groups.frame, groups.frame.instance.problem.graph.index
    total: cp_model.LinearExprT = 0
    for invariant in frame.instance.problem.graph.invariants:
        readers = [groups.member[index[r]][g] for r in invariant.readers if r in index and g in groups.member[index[r]]]
        if invariant.registers and readers:
            reads = frame.model.new_bool_var("")
            for reader in readers:
                frame.model.add_implication(reader, reads)
            total = total + invariant.registers * reads
    return total


class _Chains:
    """The chains of register values, with the literal that each sits in one group (None: it does in any case)."""

    def __init__(self, groups: Groups, storage: Storage) -> None:
        self.groups, self.storage, self.frame = groups, storage, groups.frame
        machine = self.frame.instance.problem.machine
        self.most = machine.max_registers_per_thread - machine.reserved_registers
        sizes = {value: value.registers for value in self.frame.instance.values if value.registers}
        self.chains = [(chain, self._whole(chain)) for chain in chains_of(self.frame, sizes)]
        self.rooms: dict[int, cp_model.IntVar] = {}

    def _whole(self, chain: Chain) -> cp_model.IntVar | None:
        pairs = [(u.op, v.op) for u, v in pairwise(chain.values)]
        undecided = [(u, v) for u, v in pairs if not self.frame.instance.together(u, v)]
        if not undecided:
            return None
        if any(self.frame.instance.apart(u, v) for u, v in undecided):
            return self.frame.model.new_constant(0)
        return self._all([self.groups.shared(u, v) for u, v in undecided])

    def _all(self, literals: list[cp_model.IntVar]) -> cp_model.IntVar:
        if len(literals) == 1:
            return literals[0]
        both: cp_model.IntVar = self.frame.model.new_bool_var("")
        self.frame.model.add_bool_and(*literals).only_enforce_if(both)
        self.frame.model.add_bool_or(both, *(~literal for literal in literals))
        return both

    def fit(self, g: int, room: cp_model.IntVar) -> None:
        """What group `g` holds fits `room` at every slot, and on average (implied; it bounds lifetimes early)."""
        self.rooms[g] = room
        pieces, cycles = list[Piece](), list[cp_model.LinearExprT]()
        for chain, whole in self.chains:
            for part, presence in self._parts(chain, whole, g):
                self._hold(part, presence, pieces, cycles)
        if pieces:
            self.frame.model.add_cumulative([i for i, _ in pieces], [d for _, d in pieces], room)
            self.frame.model.add(sum(cycles) <= room * self.frame.ii)

    def _parts(self, chain: Chain, whole: cp_model.IntVar | None, g: int) -> list[tuple[Chain, cp_model.IntVar | None]]:
        """The chain, or its values one by one, each with the literal that the group holds it (None: always)."""
        member = [self.groups.member[value.op].get(g) for value in chain.values]
        if whole is None:
            return [] if member[0] is None else [(chain, self._presence(chain.values[0].op, member[0]))]
        parts: list[tuple[Chain, cp_model.IntVar | None]] = []
        if all(literal is not None for literal in member):
            parts.append((chain, self._all([literal for literal in (member[0], whole) if literal is not None])))
        for value, literal in zip(chain.values, member, strict=True):
            if literal is not None:
                parts.append((Chain((value,), 0, False, chain.size), self._all([literal, ~whole])))
        return parts

    def _presence(self, op: int, literal: cp_model.IntVar) -> cp_model.IntVar | None:
        return None if len(self.frame.instance.domains[op]) == 1 else literal

    def _hold(
        self, chain: Chain, presence: cp_model.IntVar | None, pieces: list[Piece], cycles: list[cp_model.LinearExprT]
    ) -> None:
        model, ii = self.frame.model, self.frame.ii
        if chain.closed:
            size = chain.distance * chain.size
            pieces.append((self.storage.always(presence), size))
            cycles.append(size * ii * (1 if presence is None else presence))
            return
        arc: Arc = self.storage.arc(chain, self._cycles(chain))
        pieces += self.storage.occupy(arc, chain.size, presence)
        if presence is None:
            cycles.append(chain.size * arc.live)
            return
        counted = model.new_int_var(0, self._cycles(chain), "")
        model.add(counted >= arc.live).only_enforce_if(presence)
        cycles.append(chain.size * counted)

    def count(self) -> None:
        """The implied counts at each start, for values large enough to matter."""
        holdings = [holding for chain, whole in self.chains for holding in self._holdings(chain, whole)]
        large = max((holding.size for holding in holdings), default=0) // _SMALL
        add_counts(self.frame, [h for h in holdings if h.size > large], self._room, self._shares)

    def _holdings(self, chain: Chain, whole: cp_model.IntVar | None) -> list[Holding]:
        first = chain.values[0].op
        arc = None if chain.closed else self.storage.arc(chain, self._cycles(chain))
        together = Holding(first, max(1, chain.distance) * chain.size if chain.closed else chain.size, arc)
        if whole is None:
            return [together]
        single = (
            Holding(
                v.op, chain.size, self.storage.arc(Chain((v,), 0, False, chain.size), self._cycles(chain)), (~whole,)
            )
            for v in chain.values
        )
        return [replace(together, active=(whole,)), *single]

    def _cycles(self, chain: Chain) -> int:
        """Most cycles that a value of this size can live."""
        return self.most * self.frame.ii // chain.size

    def _room(self, holding: Holding) -> cp_model.LinearExprT:
        room = self.frame.model.new_int_var(0, self.most, "")
        for g, literal in self.groups.member[holding.op].items():
            if g in self.rooms:
                self.frame.model.add(room <= self.rooms[g]).only_enforce_if(literal)
        return room

    def _shares(self, one: Holding, other: Holding) -> cp_model.IntVar | bool | None:
        if self.frame.instance.apart(one.op, other.op):
            return False
        return None if self.frame.instance.together(one.op, other.op) else self.groups.shared(one.op, other.op)
