"""What models cost: USD per million tokens read and written.

The list is that of github.com/github/docs, data/tables/copilot/models-and-pricing.yml, default tier, read in November
2026. Prices change: what is said on the command line comes before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from optiml.propose.exchange import Usage
from optiml.propose.llm.options import ModelOptions


@dataclass(frozen=True)
class Price:
    """USD per million tokens; tokens out of a cache are counted in full, so that a cost is never too low."""

    input: float
    output: float

    def usage(self, read: int | None, written: int | None) -> Usage:
        """Tokens with what they cost.

        >>> Price(2.0, 10.0).usage(1000, 100)
        Usage(input_tokens=1000, output_tokens=100, cost=0.003)
        """
        if read is None or written is None:
            return Usage(read, written)
        return Usage(read, written, (read * self.input + written * self.output) / 1e6)


# By the names that the providers' interfaces have.
PRICES = {
    "gpt-5-mini": Price(0.25, 2.0),
    "gpt-5.3-codex": Price(1.75, 14.0),
    "gpt-5.4": Price(2.5, 15.0),
    "gpt-5.4-mini": Price(0.75, 4.5),
    "gpt-5.4-nano": Price(0.2, 1.25),
    "gpt-5.5": Price(5.0, 30.0),
    "gpt-5.6-luna": Price(0.2, 1.2),
    "gpt-5.6-terra": Price(2.0, 12.0),
    "gpt-5.6-sol": Price(5.0, 30.0),
    "claude-haiku-4-5": Price(1.0, 5.0),
    "claude-sonnet-4": Price(3.0, 15.0),
    "claude-sonnet-4-5": Price(3.0, 15.0),
    "claude-sonnet-4-6": Price(3.0, 15.0),
    "claude-sonnet-5": Price(2.0, 10.0),
    "claude-opus-4-5": Price(5.0, 25.0),
    "claude-opus-4-6": Price(5.0, 25.0),
    "claude-opus-4-7": Price(5.0, 25.0),
    "claude-opus-4-8": Price(5.0, 25.0),
    "claude-opus-5": Price(5.0, 25.0),
}
_RELEASE = re.compile(r"-(latest|20\d\d-?\d\d-?\d\d)$")


def price_of(model: str, options: ModelOptions) -> Price | None:
    """What was said on the command line, else the list's; None for an unknown model, and for another server's.

    >>> price_of("claude-opus-4-5-20251101", ModelOptions())
    Price(input=5.0, output=25.0)
    >>> price_of("gpt-5.5", ModelOptions(base_url="http://localhost:8000/v1")) is None
    True
    """
    if options.input_price is not None and options.output_price is not None:
        return Price(options.input_price, options.output_price)
    return None if options.base_url else PRICES.get(_RELEASE.sub("", model))


def usage_at(price: Price | None, read: int | None, written: int | None) -> Usage:
    """Tokens, and their cost where the price is known."""
    return Usage(read, written) if price is None else price.usage(read, written)
