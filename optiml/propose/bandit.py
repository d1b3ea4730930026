"""A mixture of proposers, chosen among by Thompson sampling on what their edits gained, for what they cost.

Each proposer has a Beta distribution over the worth of an edit, between 0 (none, or a failure) and 1 (twice the speed),
updated by fractions. A draw of the worth is divided by a cost, as in Thompson sampling with a budget (Xia et al., IJCAI
2015): an edit costs one evaluation, and its share of the money as many evaluations as that share of the limit is of
theirs. These choices of scale are this project's.

Who does not answer is set aside, for twice as many questions each time in a row, and the others go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from ir.diagnostics import Diagnostic
from optiml.edit import Edit
from optiml.propose.protocol import Context, Learner, Proposer, Repairer, SilentError, renews
from optiml.search.budget import Budget
from optiml.verdict import Verdict

if TYPE_CHECKING:
    from numpy.random import Generator

# The gain in reward that counts as full success: twice the speed.
_FULL_GAIN = log(2.0)
# The longest that a silent proposer is set aside for, in questions. This project's choice.
_MOST_REST = 32


@dataclass
class Arm:
    """What is known of one proposer: told edits, the sum of their worths, and USD spent on asking.

    silences: questions in a row that it had no answer to; rest: questions that it is not asked because of that.
    """

    told: int = 0
    worth: float = 0.0
    cost: float = 0.0
    silences: int = 0
    rest: int = 0

    @property
    def cost_per_edit(self) -> float:
        """USD; the edits that are not told yet count as one."""
        return self.cost / (self.told + 1)

    def draw(self, random: Generator) -> float:
        """A worth that is likely by what is known; all are equally likely at first."""
        return float(random.beta(1.0 + self.worth, 1.0 + self.told - self.worth))


class Bandit:
    """Members by name. Those that cost nothing are asked at every program, of the others only one that is drawn first.

    It changes by what it is told alone, so that a run that goes on chooses as it did before; silence aside, which each
    process finds out for itself.
    """

    def __init__(self, members: Sequence[Proposer], paid: frozenset[str], budget: Budget) -> None:
        self.name = "+".join(m.name for m in members)
        self.arms: Mapping[str, Arm] = {m.name: Arm() for m in members}
        self._members = {m.name: m for m in members}
        self._paid = paid
        self._warn: Callable[[Diagnostic], None] = lambda _problem: None
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

        Asked again, only those who may say something else. Raises SilentError where no member answers any more.
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

    def watch(self, progress: Callable[[str], None], warn: Callable[[Diagnostic], None]) -> None:
        """Have every call of a model told before it is made, and warned of who is set aside."""
        self._warn = warn
        for member in self.members:
            listen: Callable[..., None] = getattr(member, "watch", lambda _progress, _warn: None)
            listen(progress, warn)

    def repair(self, context: Context, edit: Edit, verdict: Verdict) -> Sequence[Edit]:
        """By the member whose edit it is, if it can."""
        member = self._members.get(edit.proposer)
        if not isinstance(member, Repairer):
            return ()
        return self._heard(member.name, lambda: member.repair(context, edit, verdict))

    def learn(self, edit: Edit, gain: float) -> None:
        """A failed edit gains less than nothing, which is worth nothing."""
        arm = self.arms.get(edit.proposer)
        if arm is not None:
            arm.told += 1
            arm.worth += min(max(gain / _FULL_GAIN, 0.0), 1.0)
        for member in self._members.values():
            if isinstance(member, Learner):
                member.learn(edit, gain)

    def charge(self, proposer: str, cost: float, helped: bool = True) -> None:
        """What the calls for a question cost; one of which no edit came counts as an edit that was worth nothing."""
        if proposer in self.arms:
            self.arms[proposer].cost += cost
            self.arms[proposer].told += not helped

    def _asked(self, order: Sequence[str], context: Context, random: Generator) -> dict[str, deque[Edit]]:
        """What the members say; as long as none has said anything, the next of those that cost something is asked."""
        chosen = [n for n in order if n not in self._paid or n == order[0]]
        queues = {n: self._proposed(n, context, random) for n in chosen}
        for name in (n for n in order if n not in chosen):
            if any(queues.values()):
                break
            queues[name] = self._proposed(name, context, random)
        return queues

    def _proposed(self, name: str, context: Context, random: Generator) -> deque[Edit]:
        return deque(self._heard(name, lambda: self._members[name].propose(context, random)))

    def _heard(self, name: str, ask: Callable[[], Sequence[Edit]]) -> Sequence[Edit]:
        """What a member says; nothing from one that rests, or that is set aside now."""
        arm = self.arms[name]
        if arm.rest:
            arm.rest -= 1
            return ()
        try:
            found = ask()
        except SilentError as error:
            arm.silences += 1
            if all(a.silences for a in self.arms.values()):
                raise
            arm.rest = min(2**arm.silences, _MOST_REST)
            self._warn(_set_aside(error, arm.rest))
            return ()
        arm.silences = 0
        return found

    def _order(self, names: Sequence[str], random: Generator) -> list[str]:
        drawn = dict(self._drawn(names, random))
        return sorted(names, key=lambda n: -drawn[n])

    def _drawn(self, names: Sequence[str], random: Generator) -> Iterator[tuple[str, float]]:
        for name in names:
            arm = self.arms[name]
            yield name, arm.draw(random) / (1.0 + arm.cost_per_edit * self._evaluations_per_usd)


def _set_aside(error: SilentError, rest: int) -> Diagnostic:
    said = error.diagnostics[0]
    return Diagnostic(said.rule, said.message, remedy=f"the others go on; it is asked again after {rest} questions")
