"""Limits on a child: processor time, files and core dumps by the operating system, memory by looking at it.

A limit on the address space would not do: a device that is emulated reserves far more than it ever uses.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

_FILE_BYTES = 256 << 20
_OPEN_FILES = 256


@dataclass(frozen=True)
class ChildLimits:
    """What one child may use. memory_bytes: resident, of it and all below it. answer_bytes: of its reply."""

    wall_s: float = 300.0
    memory_bytes: int = 6 << 30
    answer_bytes: int = 32 << 20


def limit_this_process(limits: ChildLimits) -> None:
    """Apply the limits to this process for good; its children inherit them."""
    cpu_s = int(limits.wall_s) + 1
    # Where memory ends all the same, the system shall end this process before any other.
    Path("/proc/self/oom_score_adj").write_text("1000")
    for what, wanted in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, wanted)


def resident_bytes(pid: int) -> int:
    """Memory of a process and all below it that is resident and its own; 0 where it is gone, or nothing tells."""
    folder = Path(f"/proc/{pid}")
    try:
        _size, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
        below = (folder / f"task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE") + sum(resident_bytes(int(p)) for p in below)


def _lower(what: int, wanted: int) -> None:
    _, hard = resource.getrlimit(what)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (limit, limit))
