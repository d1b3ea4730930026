"""A call of a model as it is written down: what was asked, what came back, what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Message:
    """One part of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    text: str


@dataclass(frozen=True)
class Usage:
    """What a call took. Tokens are None where the other side does not count them; cost is in USD, None if unknown.

    >>> Usage(10, 5, 0.25) + Usage(1, None, None)
    Usage(input_tokens=11, output_tokens=5, cost=0.25)
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """The sum of what is known."""
        return Usage(
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cost, other.cost),
        )


@dataclass(frozen=True)
class Exchange:
    """One call. role: `judge`, `editor` or `repair`. ended: how the reply ended, see llm.provider. outcome: what became
    of the reply, in words.
    """

    proposer: str
    role: str
    messages: tuple[Message, ...]
    reply: str
    ended: str
    outcome: str
    usage: Usage
    elapsed_s: float


class Log(Protocol):
    """Where the calls that answer one question are kept, by who makes them and their turn there.

    A call that was answered is not made again.
    """

    @property
    def question(self) -> int:
        """The number of the question in its run."""

    def recall(self, proposer: str, turn: int) -> Exchange | None:
        """None where the call has not been made."""

    def keep(self, turn: int, exchange: Exchange) -> None:
        """Write a call down, once it has its reply."""


@dataclass
class Loose:
    """A log that no run keeps."""

    question: int = 0
    exchanges: dict[tuple[str, int], Exchange] = field(default_factory=dict)

    def recall(self, proposer: str, turn: int) -> Exchange | None:
        """What was kept here."""
        return self.exchanges.get((proposer, turn))

    def keep(self, turn: int, exchange: Exchange) -> None:
        """Until the end of the process."""
        self.exchanges[exchange.proposer, turn] = exchange


def total(exchanges: Iterable[Exchange]) -> Usage:
    """What all of them took, as far as it is known."""
    return sum((e.usage for e in exchanges), Usage())


def _sum(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
