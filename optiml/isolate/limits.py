"""Limits on a child: processor time, files and core dumps by the operating system, all else by looking at it.

A limit on the address space would not do: a device that is emulated reserves far more than it ever uses.
"""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Of <sys/prctl.h>.
_CHILD_SUBREAPER = 36
_FILE_BYTES = 256 << 20
_OPEN_FILES = 256


@dataclass(frozen=True)
class ChildLimits:
    """What one child may use: memory (resident), processes and threads of it and all below it, disk of its folder.

    answer_bytes: of its reply.
    """

    wall_s: float = 300.0
    memory_bytes: int = 6 << 30
    answer_bytes: int = 32 << 20
    tasks: int = 256
    disk_bytes: int = 1 << 30


@dataclass(frozen=True)
class Usage:
    """What processes use: resident bytes of their own, and how many threads they are."""

    memory_bytes: int = 0
    tasks: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.memory_bytes + other.memory_bytes, self.tasks + other.tasks)


def excess(pid: int, folder: Path, limits: ChildLimits) -> str:
    """What a child uses too much of, in words; empty for nothing."""
    used = usage(pid)
    wanted = (
        (used.memory_bytes, limits.memory_bytes, "bytes of memory"),
        (used.tasks, limits.tasks, "processes and threads"),
        (disk_bytes(folder), limits.disk_bytes, "bytes of files on disk"),
    )
    return next((f"needed more than {limit} {what}" for got, limit, what in wanted if got > limit), "")


def limit_this_process(limits: ChildLimits) -> None:
    """Apply the limits to this process for good; its children inherit them."""
    cpu_s = int(limits.wall_s) + 1
    # Processes whose parents end come to this one, where they are counted.
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Where memory ends all the same, the system shall end this process before any other.
    Path("/proc/self/oom_score_adj").write_text("1000")
    for what, wanted in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, wanted)


def usage(pid: int) -> Usage:
    """Of a process and all below it; nothing where it is gone, or where nothing tells."""
    folder = Path(f"/proc/{pid}")
    try:
        _size, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
        threads = list((folder / "task").iterdir())
        below = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return Usage()
    return sum(map(usage, below), Usage((resident - shared) * os.sysconf("SC_PAGE_SIZE"), len(threads)))


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, as far as they can be seen."""
    total = 0
    for at, _folders, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += (Path(at) / name).lstat().st_size
    return total


def _lower(what: int, wanted: int) -> None:
    _, hard = resource.getrlimit(what)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (limit, limit))
