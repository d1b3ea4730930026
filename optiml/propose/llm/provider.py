"""What a provider of answers is: a conversation goes in, a reply comes out, and how a reply may end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from types import ModuleType
from typing import Protocol

from ir.diagnostics import missing
from optiml.propose.exchange import Message, Usage

ANSWER_S = 600.0
# An answer of more characters than this is cut off, whatever was agreed on tokens.
MOST_CHARACTERS = 400_000


class End(StrEnum):
    """How a reply ended. `broken`: it was no reply by the protocol; `unreachable`: there was none, after retries."""

    COMPLETE = "complete"
    LENGTH = "length"
    REFUSAL = "refusal"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    UNREACHABLE = "unreachable"


# What is not the model's fault.
NO_REPLY = (End.TIMEOUT, End.BROKEN, End.UNREACHABLE)


@dataclass(frozen=True)
class Request:
    """label: of this call in its run, the same whenever the run goes on."""

    label: str
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Reply:
    """What came back; detail: what is known of an end other than `complete`."""

    text: str
    end: End = End.COMPLETE
    usage: Usage = field(default_factory=Usage)
    detail: str = ""


class Provider(Protocol):
    """Somebody who answers."""

    @property
    def name(self) -> str:
        """The `proposer` of the edits."""

    @property
    def has_price(self) -> bool:
        """Whether the cost of a call will be known."""

    def ready(self) -> None:
        """Raises UserError where it is known before the first call that none can be made."""

    def ask(self, request: Request) -> Reply:
        """Raises UserError for what no other call would change: a wrong key, an unknown model."""


def client_library(name: str) -> ModuleType:
    """A client library. Raises UserError (exit code 4) where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        without = "`rules`, `cmd:`, `dir:` and `replay:` work without it"
        raise missing(f"the Python package {name}", "pip install 'twill-optiml[llm]'", without) from None
