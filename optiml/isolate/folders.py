"""Temporary folders that do not outlive their process for long: what a killed one left, the next one sweeps away.

Whoever owns a folder holds a lock on it, which the system lets go of however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "optiml-of-"
# Between its making and its lock a folder belongs to nobody, for far less than this.
_YOUNG_S = 5.0


class OwnFolder:
    """A folder of this process until `cleanup`: `path`, and as text `name`."""

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.name = str(self.path)
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def cleanup(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep() -> None:
    """Remove the folders whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Another process may sweep at the same time; what another user owns is not ours to remove.
        with suppress(FileNotFoundError, PermissionError):
            if time.time() - folder.stat().st_ctime > _YOUNG_S:
                _remove_if_free(folder)


def _remove_if_free(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its process lives
    finally:
        os.close(descriptor)
