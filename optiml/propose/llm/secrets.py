"""Keys stay out of what is kept and shown, even where a server sends them back."""

from __future__ import annotations

import os
from collections.abc import Mapping

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
# A shorter value may stand in a text by chance.
_SHORTEST = 6


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text without the values of KEYS.

    >>> redacted("wrong key: sk-0123456789", {"OPENAI_API_KEY": "sk-0123456789"})
    'wrong key: [OPENAI_API_KEY]'
    """
    for name in KEYS:
        value = environment.get(name, "").strip()
        if len(value) >= _SHORTEST:
            text = text.replace(value, f"[{name}]")
    return text
