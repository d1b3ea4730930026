"""bubblewrap: all of a run's children in namespaces of their own, where the program is there and the system lets it.

They see no network and no process of others, a file system that is read-only but for some folders, and neither home nor
temporary files. What Landlock and seccomp refuse them is refused as well: either wall stands without the other.
Options: the manual page bwrap(1).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from optiml.isolate.libraries import library_folders

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives", "/sys")
_ALONE = (
    "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev",
    "--tmpfs", "/tmp", "--tmpfs", "/run",
)  # fmt: skip
_TRIAL_S = 10.0
OFF = "OPTIML_NO_BUBBLEWRAP"


def prefix(readable: Iterable[Path] = (), writable: Iterable[Path] = ()) -> list[str]:
    """What to put before a command so that it runs shut in; empty where bubblewrap is not there or does not work.

    The environment variable OPTIML_NO_BUBBLEWRAP=1 leaves it out.
    """
    program = None if os.environ.get(OFF) else shutil.which("bwrap")
    if program is None or not _works(program):
        return []
    folders = [*always_readable(), *readable]
    return [program, *_ALONE, *_bound("--ro-bind-try", folders), *_bound("--bind-try", writable), "--"]


def always_readable() -> list[Path]:
    """The system's folders and Python's own, outermost first, so that none hides another."""
    return [*map(Path, _SYSTEM), *sorted({*library_folders()})]


def _bound(option: str, folders: Iterable[Path]) -> list[str]:
    return [word for folder in folders for word in (option, str(folder), str(folder))]


@cache
def _works(program: str) -> bool:
    """Whether a process can be shut in: not everywhere may one make namespaces."""
    command = [program, *_ALONE, *_bound("--ro-bind-try", map(Path, _SYSTEM)), "--", "/bin/true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=_TRIAL_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
