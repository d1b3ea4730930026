"""The flags of `optiml optimize` that are about models; keys come from the environment alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from ir.diagnostics import fail

if TYPE_CHECKING:
    from optiml.propose.llm.options import ModelOptions

F = TypeVar("F", bound=Callable[..., Any])

_FLAGS = (
    click.option("--base-url", default="", metavar="URL", help="Of an OpenAI-compatible server [OPENAI_BASE_URL]."),
    click.option("--price", default="", metavar="IN,OUT", help="USD per million tokens read and written."),
    click.option("--edits", type=click.IntRange(min=1), default=3, show_default=True, help="Asked of a model at once."),
    click.option("--answer-limit", "answer_s", type=click.FloatRange(min=0.1), metavar="S", help="For one answer."),
    click.option(
        "--answer-tokens", type=click.IntRange(min=1), default=16_000, show_default=True, help="Of an answer."
    ),
    click.option("--no-diagnosis", is_flag=True, help="Do not ask a model for the bottleneck first."),
)


def model_flags(command: F) -> F:
    """Add the flags to a command."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def taken_options(flags: dict[str, Any]) -> ModelOptions:
    """The options that the flags give, which are taken out of them. Raises UserError: bad-url, bad-price."""
    from optiml.propose.llm.options import ModelOptions

    price = flags.pop("price")
    read, written = _price(price) if price else (None, None)
    return ModelOptions(
        base_url=_url(flags.pop("base_url")),
        input_price=read,
        output_price=written,
        edits=flags.pop("edits"),
        answer_s=flags.pop("answer_s"),
        output_tokens=flags.pop("answer_tokens"),
        diagnose=not flags.pop("no_diagnosis"),
    )


def _url(url: str) -> str:
    """An address as it may be kept in a run: without a user, a password or a key."""
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise fail("bad-url", f"`{url}` is no address of a server", remedy="http://HOST:PORT/v1")
    if "@" in parts.netloc or parts.query:
        told = f"the address of {parts.hostname} has a password or a query, which would be kept in the run"
        raise fail("bad-url", told, remedy="put the key into OPENAI_API_KEY")
    return url


def _price(text: str) -> tuple[float, float]:
    try:
        read, written = (float(part) for part in text.split(","))
    except ValueError:
        raise fail("bad-price", f"`{text}` is no price", remedy="two numbers: --price 2.50,10") from None
    if not (0 <= read < float("inf") and 0 <= written < float("inf")):
        raise fail("bad-price", f"`{text}` is no price", remedy="two numbers: --price 2.50,10")
    return read, written
