"""A model as a proposer: a judge names the bottleneck, an editor gives edits, and mends those that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ir.diagnostics import Diagnostic
from optiml.edit import Edit
from optiml.propose.exchange import Message
from optiml.propose.llm.diagnosis import Diagnosis, read_diagnosis
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.prompt import ANOTHER, editor_messages, judge_messages, repair_messages
from optiml.propose.llm.provider import Provider
from optiml.propose.llm.reading import EditReader, Rejected
from optiml.propose.llm.talk import Caller, Talk
from optiml.propose.protocol import Context
from optiml.verdict import Verdict

if TYPE_CHECKING:
    from numpy.random import Generator


class LlmProposer:
    """Asks a provider; every call is kept in the log of the context, and is made once."""

    renews = True

    def __init__(self, provider: Provider, options: ModelOptions) -> None:
        self.name = provider.name
        self.has_price = provider.has_price
        self._provider, self._options = provider, options
        self._caller = Caller(provider)

    def watch(self, progress: Callable[[str], None], warn: Callable[[Diagnostic], None]) -> None:  # noqa: ARG002
        """Have each call told before it is made; alone it has nothing to go on without."""
        self._caller.progress = progress

    def ready(self) -> None:
        """Raises UserError where it is known now that no call can be made."""
        self._provider.ready()

    def propose(self, context: Context, random: Generator) -> Sequence[Edit]:  # noqa: ARG002 - the model has the choice
        """Up to `options.edits` edits, in one conversation; it ends with the first answer that cannot be used."""
        talk = Talk(self._caller, context.log)
        messages: Sequence[Message] = editor_messages(context, self._diagnosis(context, talk))
        edits: list[Edit] = []
        while len(edits) < self._options.edits:
            known = (context.candidate.key, *context.offered, *(e.result.key for e in edits))
            read = EditReader(context, self.name, context.candidate, known)
            found, messages = talk.ask("editor", messages, read)
            if isinstance(found, Rejected):
                break
            edits.append(found)
            messages = (*messages, Message("user", ANOTHER))
        return tuple(edits)

    def repair(self, context: Context, edit: Edit, verdict: Verdict) -> Sequence[Edit]:
        """One edit in place of an own one that failed; none where the answer cannot be used."""
        if edit.proposer != self.name:
            return ()
        known = (context.candidate.key, edit.result.key)
        read = EditReader(context, self.name, edit.result, known)
        found, _ = Talk(self._caller, context.log).ask("repair", repair_messages(context, edit, verdict), read)
        return () if isinstance(found, Rejected) else (found,)

    def _diagnosis(self, context: Context, talk: Talk) -> Diagnosis | None:
        if not self._options.diagnose or context.metrics is None:
            return None
        found, _ = talk.ask("judge", judge_messages(context), read_diagnosis)
        return None if isinstance(found, Rejected) else found
