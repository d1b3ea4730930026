"""Where Python's own files, installed libraries and this project are: what children import from, and may read."""

from __future__ import annotations

import sys
from pathlib import Path

import optiml

_OWN = Path(optiml.__file__).absolute().parents[1]


def import_folders() -> list[Path]:
    """Where this process imports from, but the folder of the script that was started: it may be a home, or /tmp."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    beside = {Path(script).absolute().parent} if script else set()
    found = [Path(p).absolute() for p in sys.path if p]
    return [p for p in dict.fromkeys((*found, _OWN)) if p == _OWN or (p not in beside and p.exists())]


def library_folders() -> list[Path]:
    """The same, and where Python itself is."""
    return [Path(sys.prefix).absolute(), Path(sys.base_prefix).absolute(), *import_folders()]
