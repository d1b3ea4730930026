"""What may be set for models. Keys are no part of it: they come from the environment, and are kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelOptions:
    """base_url: of an OpenAI-compatible server. input_price, output_price: USD per million tokens, in place of the
    price list. edits: how many a question asks for, one after another. answer_s: seconds that one answer may take; None
    is the provider's own. output_tokens: of one answer. retries: of a call that the server failed or refused for now.
    diagnose: ask for the bottleneck first.
    """

    base_url: str = ""
    input_price: float | None = None
    output_price: float | None = None
    edits: int = 3
    answer_s: float | None = None
    output_tokens: int = 16_000
    retries: int = 4
    diagnose: bool = True
