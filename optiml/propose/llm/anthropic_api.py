"""Anthropic's messages: streamed, through the official client library."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from ir.diagnostics import Diagnostic, ExitCode, UserError
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.prices import price_of
from optiml.propose.llm.provider import ANSWER_S, End, Reply, Request, client_library
from optiml.propose.llm.streaming import Piece, Terms, number, replied, streamed

_KEYS, _URL = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "ANTHROPIC_BASE_URL"
_CONNECT_S = 10.0
_ENDS = {
    "end_turn": End.COMPLETE,
    "max_tokens": End.LENGTH,
    "model_context_window_exceeded": End.LENGTH,
    "refusal": End.REFUSAL,
}
# Tokens read are told in three parts: new ones, those put into a cache, those out of it.
_READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class AnthropicProvider:
    """Answers of one model. The library makes the retries, and waits as long as the server's Retry-After says."""

    def __init__(self, model: str, options: ModelOptions) -> None:
        self.name = f"llm:anthropic:{model}"
        self._model, self._options = model, options
        price = price_of(model, ModelOptions("", options.input_price, options.output_price))
        self._terms = Terms(options.answer_s or ANSWER_S, price, _ENDS)

    @property
    def has_price(self) -> bool:
        """Whether the cost of a call will be known."""
        return self._terms.price is not None

    def ready(self) -> None:
        """Raises UserError: missing-part, missing-key."""
        if not any(os.environ.get(key) for key in _KEYS):
            found = Diagnostic("missing-key", f"{_KEYS[0]} is not set", remedy=f"set {_KEYS[0]} in the environment")
            raise UserError(found, exit_code=ExitCode.MISSING)
        assert self._client is not None, "made or raised"

    @cached_property
    def _client(self) -> Any:
        library = client_library("anthropic")
        timeout = library.Timeout(self._terms.answer_s, connect=_CONNECT_S)
        return library.Anthropic(timeout=timeout, max_retries=self._options.retries)

    def ask(self, request: Request) -> Reply:
        """One streamed call."""
        place = os.environ.get(_URL, "api.anthropic.com")
        return replied(client_library("anthropic"), place, self._terms.answer_s, lambda: self._answer(request))

    def _answer(self, request: Request) -> Reply:
        with self._client.messages.create(**self._arguments(request)) as stream:
            return streamed(client_library("anthropic"), map(_piece, stream), self._terms)

    def _arguments(self, request: Request) -> dict[str, Any]:
        return {
            "model": self._model,
            "system": "\n\n".join(m.text for m in request.messages if m.role == "system"),
            "messages": [{"role": m.role, "content": m.text} for m in request.messages if m.role != "system"],
            "max_tokens": self._options.output_tokens,
            "stream": True,
        }


def _piece(event: Any) -> Piece:
    """An event begins the message (with the tokens read), adds text, or ends it (with the tokens written)."""
    delta = getattr(event, "delta", None)
    text, end = getattr(delta, "text", None), getattr(delta, "stop_reason", None)
    begun = getattr(getattr(event, "message", None), "usage", None)
    counts = [n for n in (number(getattr(begun, name, None)) for name in _READ) if n is not None]
    written = number(getattr(getattr(event, "usage", None), "output_tokens", None))
    return Piece(
        text if isinstance(text, str) else "",
        end if isinstance(end, str) else "",
        sum(counts) if counts else None,
        written,
    )
