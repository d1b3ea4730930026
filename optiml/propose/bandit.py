"""A mixture of proposers, chosen among by Thompson sampling on what their edits gained, for what they cost.

Each proposer has a Beta distribution over the worth of an edit, between 0 (none, or a failure) and 1 (twice the speed),
updated by fractions. A draw of the worth is divided by a cost, as in Thompson sampling with a budget (Xia et al., IJCAI
2015): an edit costs one evaluation, and its share of the money as many evaluations as that share of the limit is of
theirs. These choices of scale are this project's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from optiml.edit import Edit
from optiml.propose.protocol import Context, Learner, Proposer, Repairer, renews
from optiml.search.budget import Budget
from optiml.verdict import Verdict

if TYPE_CHECKING:
    from numpy.random import Generator

# The gain in reward that counts as full success: twice the speed.
_FULL_GAIN = log(2.0)


@dataclass
class Arm:
    """What is known of one proposer: told edits, the sum of their worths, and USD spent on asking."""

    told: int = 0
    worth: float = 0.0
    cost: float = 0.0

    @property
    def cost_per_edit(self) -> float:
        """USD; the edits that are not told yet count as one."""
        return self.cost / (self.told + 1)

    def draw(self, random: Generator) -> float:
        """A worth that is likely by what is known; all are equally likely at first."""
        return float(random.beta(1.0 + self.worth, 1.0 + self.told - self.worth))


class Bandit:
    """Members by name. Those that cost nothing are asked at every program, of the others only one that is drawn first.

    It changes by what it is told alone, so that a run that goes on chooses as it did before.
    """

    def __init__(self, members: Sequence[Proposer], paid: frozenset[str], budget: Budget) -> None:
        self.name = "+".join(m.name for m in members)
        self.arms: Mapping[str, Arm] = {m.name: Arm() for m in members}
        self._members = {m.name: m for m in members}
        self._paid = paid
        self._evaluations_per_usd = (budget.evaluations or 0) / budget.cost if budget.cost else 0.0

    @property
    def renews(self) -> bool:
        """Whether some member does."""
        return any(map(renews, self.members))

    @property
    def members(self) -> tuple[Proposer, ...]:
        """In the order in which they were given."""
        return tuple(self._members.values())

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:
        """The members' edits, each place drawn anew among those who have one left; a program comes once.

        Asked again, only those who may say something else.
        """
        names = [n for n, member in self._members.items() if not context.asked or renews(member)]
        order = self._order(names, random)
        queues = self._asked(order, context, random)
        seen, found = set[str](), list[Edit]()
        while any(queues.values()):
            left = [n for n in order if queues.get(n)]
            # Who was drawn first leads: it may have been asked for that reason alone.
            name = self._order(left, random)[0] if found else left[0]
            edit = queues[name].popleft()
            if edit.result.key not in seen:
                seen.add(edit.result.key)
                found.append(edit)
        return tuple(found)

    def repair(self, context: Context, edit: Edit, verdict: Verdict) -> Sequence[Edit]:
        """By the member whose edit it is, if it can."""
        member = self._members.get(edit.proposer)
        return member.repair(context, edit, verdict) if isinstance(member, Repairer) else ()

    def learn(self, edit: Edit, gain: float) -> None:
        """A failed edit gains less than nothing, which is worth nothing."""
        arm = self.arms.get(edit.proposer)
        if arm is not None:
            arm.told += 1
            arm.worth += min(max(gain / _FULL_GAIN, 0.0), 1.0)
        for member in self._members.values():
            if isinstance(member, Learner):
                member.learn(edit, gain)

    def charge(self, proposer: str, cost: float) -> None:
        """What a call cost, whether or not an edit came of it."""
        if proposer in self.arms:
            self.arms[proposer].cost += cost

    def _asked(self, order: Sequence[str], context: Context, random: Generator) -> dict[str, deque[Edit]]:
        """What the members say; as long as none has said anything, the next of those that cost something is asked."""
        chosen = [n for n in order if n not in self._paid or n == order[0]]
        queues = {n: deque(self._members[n].propose(context, random)) for n in chosen}
        for name in (n for n in order if n not in chosen):
            if any(queues.values()):
                break
            queues[name] = deque(self._members[name].propose(context, random))
        return queues

    def _order(self, names: Sequence[str], random: Generator) -> list[str]:
        drawn = dict(self._drawn(names, random))
        return sorted(names, key=lambda n: -drawn[n])

    def _drawn(self, names: Sequence[str], random: Generator) -> Iterator[tuple[str, float]]:
        for name in names:
            arm = self.arms[name]
            yield name, arm.draw(random) / (1.0 + arm.cost_per_edit * self._evaluations_per_usd)
