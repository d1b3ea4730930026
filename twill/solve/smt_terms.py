"""Issue times in difference logic: t = II * stage + slot, and every condition a difference of two stages or two slots.

With stages and slots as separate variables no condition multiplies or sums variables, whatever II is and however many
stages there are. Formulas live in an environment of their own, so that nothing outlasts one model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pysmt.environment import Environment
    from pysmt.fnode import FNode

Weighted = tuple["FNode", int]


class Terms:
    """Variables of `count` ops at one II, and the atoms over them."""

    def __init__(self, environment: Environment, ii: int, count: int) -> None:
        from pysmt.typing import BOOL, INT

        self.ii = ii
        self.environment = environment
        self.make = environment.formula_manager
        self._bool, self._int = BOOL, INT
        self.stage = [self.integer(f"stage {v}") for v in range(count)]
        self.slot = [self.integer(f"slot {v}") for v in range(count)]

    def boolean(self, name: str) -> FNode:
        """The Boolean variable of that name."""
        return self.make.Symbol(name, self._bool)

    def integer(self, name: str) -> FNode:
        """The integer variable of that name."""
        return self.make.Symbol(name, self._int)

    def all(self, *formulas: FNode) -> FNode:
        """Conjunction, constants folded."""
        kept = [formula for formula in formulas if not formula.is_true()]
        return self.make.FALSE() if any(formula.is_false() for formula in kept) else self.make.And(kept)

    def any(self, *formulas: FNode) -> FNode:
        """Disjunction, constants folded."""
        kept = [formula for formula in formulas if not formula.is_false()]
        return self.make.TRUE() if any(formula.is_true() for formula in kept) else self.make.Or(kept)

    def no(self, formula: FNode) -> FNode:
        """Negation, constants folded."""
        return self.make.Bool(formula.is_false()) if formula.is_constant() else self.make.Not(formula)

    def ranges(self) -> list[FNode]:
        """Stages from 0 on, slots 0 .. II-1."""
        make = self.make
        zero, last = make.Int(0), make.Int(self.ii - 1)
        slots = [make.And(make.GE(slot, zero), make.LE(slot, last)) for slot in self.slot]
        return [*(make.GE(stage, zero) for stage in self.stage), *slots]

    def slot_after(self, u: int, v: int, least: int) -> FNode:
        """slot(v) - slot(u) >= least."""
        if least <= 1 - self.ii or (u == v and least <= 0):
            return self.make.TRUE()
        if least >= self.ii or u == v:
            return self.make.FALSE()
        return self.make.GE(self.make.Minus(self.slot[v], self.slot[u]), self.make.Int(least))

    def stage_after(self, u: int, v: int, least: int) -> FNode:
        """stage(v) - stage(u) >= least."""
        if u == v:
            return self.make.Bool(least <= 0)
        return self.make.GE(self.make.Minus(self.stage[v], self.stage[u]), self.make.Int(least))

    def mixed_after(self, stages: tuple[int, int], slots: tuple[int, int], least: int) -> FNode:
        """II * (stage(b) - stage(a)) + slot(d) - slot(c) >= least, for stages (a, b) and slots (c, d).

        With least = q * II + m the slots decide only where the stages differ by q or q + 1.
        """
        q, m = divmod(least, self.ii)
        # Differences of slots lie within II - 1: below q nothing helps, from q + 2 on nothing can hurt.
        return self.all(
            self.stage_after(*stages, q),
            self.any(self.stage_after(*stages, q + 1), self.slot_after(*slots, m)),
            self.any(self.stage_after(*stages, q + 2), self.slot_after(*slots, m - self.ii)),
        )

    def after(self, u: int, v: int, least: int) -> FNode:
        """t(v) - t(u) >= least."""
        return self.mixed_after((u, v), (u, v), least)

    def ends_by(self, v: int, last: int) -> FNode:
        """t(v) <= last."""
        make = self.make
        q, m = divmod(last, self.ii)
        below = make.LE(self.stage[v], make.Int(q - 1))
        return self.any(below, self.all(make.LE(self.stage[v], make.Int(q)), make.LE(self.slot[v], make.Int(m))))

    def before(self, u: int, v: int) -> FNode:
        """slot(u) < slot(v)."""
        return self.slot_after(u, v, 1)

    def turn_at_most(self, u: int, v: int, most: int) -> FNode:
        """(slot(v) - slot(u)) mod II <= most."""
        if most < 0:
            return self.make.FALSE()
        if most >= self.ii - 1:
            return self.make.TRUE()
        wraps = self.before(v, u)
        near = self.slot_after(v, u, -most)
        near_wrapped = self.slot_after(v, u, self.ii - most)
        return self.any(self.all(self.no(wraps), near), self.all(wraps, near_wrapped))

    def at_most(self, terms: Sequence[Weighted], limit: int) -> FNode:
        """Sum of the weights of the true literals is at most `limit`; weights are positive."""
        make = self.make
        limit -= sum(weight for literal, weight in terms if literal.is_true())
        kept = [(lit, w) for lit, w in terms if not lit.is_constant()]
        if limit < 0 or sum(weight for _, weight in kept) <= limit:
            return make.Bool(limit >= 0)
        common = reduce(gcd, (weight for _, weight in kept))
        ordered = sorted(((literal, weight // common) for literal, weight in kept), key=lambda term: -term[1])
        return self._diagram(ordered, limit // common)

    def total(self, terms: Sequence[Weighted]) -> FNode:
        """Sum of the weights of the true literals, as a number."""
        make = self.make
        return make.Plus([make.Int(0), *(make.Ite(literal, make.Int(w), make.Int(0)) for literal, w in terms)])

    def _diagram(self, terms: Sequence[Weighted], limit: int) -> FNode:
        """A decision diagram over the literals, heaviest first; a node is a position and the room that is left.

        Room for a true literal is room for a false one, hence an implication for one branch is enough. All nodes of
        one position are made before those of the position above, from the rooms that can be left there.
        """
        rest = [0]
        for _, weight in reversed(terms):
            rest.append(rest[-1] + weight)
        rest.reverse()
        rooms = [{limit}]
        for position, (_, weight) in enumerate(terms):
            left = rooms[-1] | {room - weight for room in rooms[-1]}
            rooms.append({room for room in left if 0 <= room < rest[position + 1]})
        row: dict[int, FNode] = {}
        for position in range(len(terms) - 1, -1, -1):
            literal, weight = terms[position]
            row = {room: self._node(literal, weight, room, row, rest[position + 1]) for room in rooms[position]}
        return row[limit]

    def _node(self, literal: FNode, weight: int, room: int, below: Mapping[int, FNode], rest: int) -> FNode:
        def fits(left: int) -> FNode:
            if left < 0 or left >= rest:
                return self.make.Bool(left >= 0)
            return below[left]

        return self.all(fits(room), self.any(self.no(literal), fits(room - weight)))
