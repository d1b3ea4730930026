"""What a rule gives: a changed kernel file, whatever its language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rewrite:
    """A new text, and what changes in the task file; `detail` tells it from the rule's others."""

    detail: str
    text: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
