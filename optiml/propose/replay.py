"""The proposals of a recorded run once more, to the letter; no model and no rule is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ir.diagnostics import Location, fail
from optiml.edit import Edit
from optiml.propose.protocol import Context
from optiml.store.store import Store
from optiml.verdict import Verdict

if TYPE_CHECKING:
    from numpy.random import Generator


class ReplayProposer:
    """Answers by program, in the order of the recorded answers about it.

    With the recorded run's seed and strategy the search takes the same steps, with others it chooses among the same
    edits. About a program that the recorded run did not ask about it says nothing.
    """

    name = "replay"
    renews = True

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def ready(self) -> None:
        """Raises UserError: missing-file, no-run."""
        assert self._recorded is not None, "read or raised"

    @cached_property
    def _recorded(self) -> Mapping[str, list[Sequence[Edit]]]:
        found: dict[str, list[Sequence[Edit]]] = defaultdict(list)
        with Store.open(self._path) as store:
            for key, edits in store.proposals():
                found[key].append(edits)
        return dict(found)

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:  # noqa: ARG002 - it was drawn already
        """What was proposed. Raises UserError `other-run` where the recorded run began with another kernel."""
        is_root = not context.tried and not context.history
        if is_root and self._recorded and context.candidate.key not in self._recorded:
            told = f"the run asked nothing about the kernel of {context.task.name}"
            raise fail("other-run", told, Location(str(self._path)), "replay a run of the same task and variant")
        return self._said(context.candidate.key, context.asked)

    def repair(self, context: Context, edit: Edit, verdict: Verdict) -> Sequence[Edit]:  # noqa: ARG002 - see above
        """What was proposed in place of an edit that failed."""
        return self._said(edit.result.key, 0)

    def _said(self, key: str, number: int) -> Sequence[Edit]:
        return dict(enumerate(self._recorded.get(key, []))).get(number, ())
