"""What the two client libraries have in common: how a call fails, and how a stream becomes a reply."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ir.diagnostics import Diagnostic, ExitCode, UserError
from optiml.propose.llm.prices import Price, usage_at
from optiml.propose.llm.provider import MOST_CHARACTERS, End, Reply, client_library
from optiml.propose.llm.secrets import redacted


@dataclass(frozen=True)
class Piece:
    """One event of a stream: text, the protocol's word for the end, tokens read and written so far."""

    text: str = ""
    end: str = ""
    read: int | None = None
    written: int | None = None


@dataclass(frozen=True)
class Terms:
    """answer_s: time for a whole answer. ends: the protocol's words; one that is not among them is an ordinary end."""

    answer_s: float
    price: Price | None
    ends: Mapping[str, End]


def gathered(pieces: Iterable[Piece], terms: Terms) -> Reply:
    """The pieces put together; a server that never ends is left at the deadline or at the limit of the length."""
    deadline_s = time.monotonic() + terms.answer_s
    parts, length, events, told = list[str](), 0, 0, Piece()
    end: End | None = None
    for piece in pieces:
        events += 1
        parts.append(piece.text)
        length += len(piece.text)
        is_refused = terms.ends.get(told.end) is End.REFUSAL
        told = Piece(
            "",
            told.end if is_refused else piece.end or told.end,
            _later(piece.read, told.read),
            _later(piece.written, told.written),
        )
        if time.monotonic() > deadline_s:
            end = End.TIMEOUT
        elif length > MOST_CHARACTERS:
            end = End.LENGTH
        if end is not None:
            break
    usage = usage_at(terms.price, told.read, told.written)
    if end is not None:
        return Reply("".join(parts)[:MOST_CHARACTERS], end, usage, "it did not end")
    if not told.end:
        detail = "the stream ended before the answer did" if events else "the answer is no stream of events"
        return Reply("".join(parts), End.BROKEN, usage, detail)
    return Reply("".join(parts), terms.ends.get(told.end, End.COMPLETE), usage, told.end)


def streamed(library: ModuleType, pieces: Iterable[Piece], terms: Terms) -> Reply:
    """The same; a connection that is cut in the middle, which no library tries again, breaks the reply.

    Not every library gives the errors of its transport (httpx2) names of its own here.
    """
    transport = client_library("httpx2")
    try:
        return gathered(pieces, terms)
    except (library.APITimeoutError, transport.TimeoutException):
        return Reply("", End.TIMEOUT, detail=f"nothing more for {terms.answer_s:g} s")
    except (library.APIConnectionError, transport.TransportError) as error:
        return Reply("", End.BROKEN, detail=redacted(f"the connection was cut: {error}"))


def _later(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def number(value: Any) -> int | None:
    """A count as a server sent it; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# What another call would not change.
_FINAL: Mapping[int, str] = {
    400: "the server refused the request",
    401: "the server refused the key",
    403: "the server refused the key",
    404: "the server does not know the model or the path",
    413: "the server refused the request",
    422: "the server refused the request",
}


def replied(library: ModuleType, place: str, answer_s: float, call: Callable[[], Reply]) -> Reply:
    """The call's reply, or a typed end for each way in which it fails after the library's own retries.

    `place`: of the server. Raises UserError `bad-request` for what no other call would change.
    """
    try:
        return call()
    except library.APITimeoutError:
        return Reply("", End.TIMEOUT, detail=f"no answer within {answer_s:g} s")
    except library.APIStatusError as error:
        return _of_status(error.status_code, redacted(f"HTTP {error.status_code}: {error.message}"))
    except library.APIConnectionError as error:
        return Reply("", End.UNREACHABLE, detail=redacted(f"{error} ({place})"))
    except (library.APIError, ValueError) as error:
        return Reply("", End.BROKEN, detail=redacted(f"{type(error).__name__}: {error}"))


def _of_status(code: int, text: str) -> Reply:
    if code in _FINAL:
        found = Diagnostic("bad-request", f"{_FINAL[code]}: {text}", remedy="see --proposer and --base-url")
        raise UserError(found, exit_code=ExitCode.MISSING)
    return Reply("", End.UNREACHABLE, detail=text)
