"""Search over kernel candidates: propose, compile, verify, profile, score, report."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Public name -> module that defines it: imported when it is used, so that `import optiml` is quick.
_PUBLIC = {
    "optimize": "optiml.api",
    "resume": "optiml.api",
    "Settings": "optiml.api",
    "Result": "optiml.api",
    "Watcher": "optiml.api",
    "Budget": "optiml.search.budget",
    "Candidate": "optiml.candidate",
    "Verdict": "optiml.verdict",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
