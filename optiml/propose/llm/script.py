"""A conversation as one text, for those who answer without a memory of it."""

from __future__ import annotations

from collections.abc import Sequence

from optiml.propose.exchange import Message

_HEADS = {"assistant": "# Your answer", "user": "# Request"}


def as_text(messages: Sequence[Message]) -> str:
    """The system's message first, then each part under its heading.

    >>> print(as_text([Message("system", "Be brief."), Message("user", "Two?")]), end="")
    Be brief.
    <BLANKLINE>
    # Request
    <BLANKLINE>
    Two?
    """
    parts = [f"{_HEADS[m.role]}\n\n{m.text}" if m.role in _HEADS else m.text for m in messages]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"
