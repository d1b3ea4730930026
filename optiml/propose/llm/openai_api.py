"""OpenAI, and every server that speaks its chat completions: streamed, through the official client library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from ir.diagnostics import Diagnostic, ExitCode, UserError
from optiml.propose.exchange import Message
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.prices import price_of
from optiml.propose.llm.provider import ANSWER_S, End, Reply, Request, client_library
from optiml.propose.llm.streaming import Piece, Terms, number, replied, streamed

_KEY, _URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_CONNECT_S = 10.0
_ENDS = {"stop": End.COMPLETE, "length": End.LENGTH, "content_filter": End.REFUSAL}


class OpenAiProvider:
    """Answers of one model. The library makes the retries, and waits as long as the server's Retry-After says."""

    def __init__(self, model: str, options: ModelOptions) -> None:
        self.name = f"llm:openai:{model}"
        self._model, self._options = model, options
        self._url = options.base_url or os.environ.get(_URL, "")
        price = price_of(model, ModelOptions(self._url, options.input_price, options.output_price))
        self._terms = Terms(options.answer_s or ANSWER_S, price, _ENDS)

    @property
    def has_price(self) -> bool:
        """Whether the cost of a call will be known."""
        return self._terms.price is not None

    def ready(self) -> None:
        """Raises UserError: missing-part, missing-key."""
        if not self._url and not os.environ.get(_KEY):
            remedy = f"set {_KEY} in the environment, or name another server with --base-url or {_URL}"
            raise UserError(Diagnostic("missing-key", f"{_KEY} is not set", remedy=remedy), exit_code=ExitCode.MISSING)
        assert self._client is not None, "made or raised"

    @cached_property
    def _client(self) -> Any:
        library = client_library("openai")
        return library.OpenAI(
            # A server of one's own needs no key, the library does.
            api_key=os.environ.get(_KEY) or "none",
            base_url=self._url or None,
            timeout=library.Timeout(self._terms.answer_s, connect=_CONNECT_S),
            max_retries=self._options.retries,
        )

    def ask(self, request: Request) -> Reply:
        """One streamed call."""
        place = self._url or "api.openai.com"
        return replied(client_library("openai"), place, self._terms.answer_s, lambda: self._answer(request))

    def _answer(self, request: Request) -> Reply:
        with self._client.chat.completions.create(**self._arguments(request)) as stream:
            return streamed(client_library("openai"), _pieces(stream), self._terms)

    def _arguments(self, request: Request) -> dict[str, Any]:
        # Servers of others know the older name of the limit alone, OpenAI's newer models the newer one.
        limit = "max_tokens" if self._url else "max_completion_tokens"
        return {
            "model": self._model,
            "messages": [_as_document(m) for m in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            limit: self._options.output_tokens,
        }


def _as_document(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.text}


def _pieces(stream: Any) -> Iterator[Piece]:
    """What a server sends was checked by nobody: anything may be missing, or of another type."""
    for chunk in stream:
        usage = getattr(chunk, "usage", None)
        yield Piece(
            read=number(getattr(usage, "prompt_tokens", None)),
            written=number(getattr(usage, "completion_tokens", None)),
        )
        choices = getattr(chunk, "choices", None)
        yield from map(_piece, choices if isinstance(choices, list) else ())


def _piece(choice: Any) -> Piece:
    delta = getattr(choice, "delta", None)
    text, end = getattr(delta, "content", None), getattr(choice, "finish_reason", None)
    # A refusal comes in a part of its own, and with an ordinary end.
    end = "content_filter" if getattr(delta, "refusal", None) else end
    return Piece(text if isinstance(text, str) else "", end if isinstance(end, str) else "")
