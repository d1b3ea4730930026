"""Progress on stderr: one live line on a terminal, else one plain line per step; silent with -q."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_line(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function that shows one line; the live line is cleared at the end."""
    if quiet:
        yield lambda _line: None
        return
    if not sys.stderr.isatty():
        yield lambda line: print(line, file=sys.stderr)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update
