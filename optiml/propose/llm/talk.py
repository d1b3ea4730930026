"""Conversations with a provider: each call written down, each unusable answer sent back once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ir.diagnostics import Diagnostic, ExitCode, fail
from optiml.propose.exchange import Exchange, Log, Message
from optiml.propose.llm.prompt import correction
from optiml.propose.llm.provider import NO_REPLY, End, Provider, Reply, Request
from optiml.propose.llm.reading import Fault, Rejected
from optiml.propose.llm.secrets import redacted
from optiml.propose.protocol import SilentError

T = TypeVar("T")
# How often a call is made whose reply is broken; what is unreachable was tried again by the provider itself.
_TRIES = 3


@dataclass
class Caller:
    """Makes the calls of one proposer. `progress` hears of each."""

    provider: Provider
    progress: Callable[[str], None] = lambda _line: None

    def reply(self, request: Request) -> Reply:
        """A reply without keys. Raises SilentError `model-unreachable` where there is none: the run can go on there."""
        self.progress(f"asking {self.provider.name} ({request.label})")
        reply = self.provider.ask(request)
        for _ in range(_TRIES - 1):
            if reply.end is End.BROKEN:
                again = self.provider.ask(request)
                reply = replace(again, usage=reply.usage + again.usage)
        detail = redacted(reply.detail)
        if reply.end in NO_REPLY:
            told = f"{self.provider.name} does not answer: {reply.end}: {detail}"
            found = Diagnostic("model-unreachable", told, remedy="the run is kept; go on with `optiml resume`")
            raise SilentError(found, exit_code=ExitCode.MISSING)
        # Half of a character pair can neither be sent nor written down.
        text = redacted(reply.text).encode(errors="replace").decode()
        return replace(reply, text=text, detail=detail)


@dataclass
class Talk:
    """The calls for one question; `turn` is the number of the next."""

    caller: Caller
    log: Log
    turn: int = 0

    def ask(
        self, role: str, messages: Sequence[Message], read: Callable[[Reply], T | Rejected]
    ) -> tuple[T | Rejected, tuple[Message, ...]]:
        """What was read, and the conversation with its answer. An answer that cannot be used is sent back once."""
        found, whole = self._call(role, tuple(messages), read)
        if isinstance(found, Rejected) and found.fault is not Fault.NOTHING:
            found, whole = self._call(role, (*whole, Message("user", correction(found))), read)
        return found, whole

    def _call(
        self, role: str, messages: tuple[Message, ...], read: Callable[[Reply], T | Rejected]
    ) -> tuple[T | Rejected, tuple[Message, ...]]:
        turn, self.turn = self.turn, self.turn + 1
        name = self.caller.provider.name
        known = self.log.recall(name, turn)
        if known is not None:
            return read(self._known(known, messages)), (*messages, _answer(known.reply))
        started_s = time.monotonic()
        reply = self.caller.reply(Request(f"{self.log.question:04d}-{turn}", messages))
        found = read(reply)
        outcome = str(found) if isinstance(found, Rejected) else "used"
        elapsed_s = time.monotonic() - started_s
        self.log.keep(turn, Exchange(name, role, messages, reply.text, reply.end, outcome, reply.usage, elapsed_s))
        return found, (*messages, _answer(reply.text))

    def _known(self, known: Exchange, messages: tuple[Message, ...]) -> Reply:
        """The reply of before the run was stopped, which is paid already."""
        if known.messages != messages:
            remedy = "continue it with the version of optiml and the task that began it"
            raise fail("run-diverged", "the run asks its model something else than before", remedy=remedy)
        return Reply(known.reply, End(known.ended), known.usage)


def _answer(text: str) -> Message:
    """Interfaces refuse a part of a conversation without text."""
    return Message("assistant", text if text.strip() else "(nothing)")
