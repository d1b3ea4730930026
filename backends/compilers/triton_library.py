"""Which source files belong to Triton's own library."""

from __future__ import annotations

import functools
import importlib.util
from itertools import pairwise
from pathlib import Path


@functools.cache
def _library_folder() -> Path | None:
    spec = importlib.util.find_spec("triton")
    return Path(spec.origin).parent if spec and spec.origin else None


@functools.cache
def is_library(file: str) -> bool:
    """Whether the file belongs to Triton, the installed one or that of the machine where the IR was written.

    >>> is_library("/opt/site-packages/triton/language/standard.py"), is_library("triton/mine.py")
    (True, False)
    """
    folder, parts = _library_folder(), Path(file).parts
    if folder is not None and Path(file).is_relative_to(folder):
        return True
    return any(pair in (("site-packages", "triton"), ("dist-packages", "triton")) for pair in pairwise(parts))
