"""What a search strategy is: it asks for candidates to be evaluated, and is told what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.verdict import Verdict


@dataclass(frozen=True)
class Scored:
    """A candidate that has been evaluated. `path`: tags of the edits that led to it; `reward`: see evaluate.reward."""

    candidate: Candidate
    verdict: Verdict
    reward: float
    path: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The candidate's key."""
        return self.candidate.key


@dataclass(frozen=True)
class Step:
    """What a strategy wants evaluated: the result of an edit of a candidate that has been."""

    parent: Scored
    edit: Edit

    @property
    def key(self) -> str:
        """The key of the new candidate."""
        return self.edit.result.key

    @property
    def path(self) -> tuple[str, ...]:
        """Tags from the root to the new candidate."""
        return (*self.parent.path, self.edit.tag)


class Space(Protocol):
    """Where edits come from; the same answer for the same sequence of calls."""

    def edits(self, at: Scored, failed: Sequence[str] = ()) -> Sequence[Edit]:
        """Edits of a candidate, the most promising first. `failed`: tags of edits of it that came to nothing."""

    def more(self, at: Scored) -> Sequence[Edit]:
        """Edits that were not among those before, once those were tried; empty from then on where there are none."""


class Source(Protocol):
    """Who is behind the edits: hears what came of them, and mends some that failed."""

    @property
    def cost(self) -> float:
        """What its answers so far cost, in USD."""

    def tell(self, step: Step, result: Scored) -> None:
        """What came of a step, in the order of results."""

    def repair(self, step: Step, result: Scored) -> Edit | None:
        """Another edit in place of one that failed; None where there is none."""


class Strategy(Protocol):
    """A search. Nothing in it may depend on a clock: it gives the same steps for the same seed and verdicts.

    The caller tells the results of steps in the order in which it asked for them, but may ask for several before.
    """

    @property
    def name(self) -> str:
        """As the command line has it."""

    def ask(self) -> Step | None:
        """The next step; None where nothing is left to try, or nothing until a result is told."""

    def tell(self, step: Step, result: Scored) -> None:
        """What came of a step, or of its repair: then the result is another program than the step's."""
