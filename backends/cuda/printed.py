"""What a kernel prints: the driver writes it to this process' standard output when a launch is waited for."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_output(wanted: bool) -> Iterator[list[str]]:
    """Take file descriptor 1 while a launch runs; the list holds what was printed when the block has ended."""
    found: list[str] = []
    if not wanted:
        yield found
        return
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            yield found
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            found.append(file.read().decode("utf-8", "replace"))
