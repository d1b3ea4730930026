"""Twill: optimal software pipelining and warp specialization for GPU kernels.

The public names are loaded on first use, so that `import twill` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ir.schedule import Schedule
    from twill.api import schedule

__all__ = ["Schedule", "schedule"]

_HOMES = {"Schedule": "ir.schedule", "schedule": "twill.api"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'twill' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
