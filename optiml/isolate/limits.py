"""Limits that the kernel of the operating system enforces on a child: memory, processor time, files, core dumps."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

_FILE_BYTES = 256 << 20
_OPEN_FILES = 256


@dataclass(frozen=True)
class ChildLimits:
    """What one child may use. memory_bytes: address space beyond what it starts with. answer_bytes: of its reply."""

    wall_s: float = 300.0
    memory_bytes: int = 6 << 30
    answer_bytes: int = 32 << 20


def limit_this_process(limits: ChildLimits) -> None:
    """Apply the limits to this process for good; its children inherit them."""
    cpu_s = int(limits.wall_s) + 1
    for what, wanted in (
        (resource.RLIMIT_AS, address_space_bytes() + limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, wanted)


def address_space_bytes() -> int:
    """The address space that this process has mapped; 0 where the system does not tell."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if file.exists() else 0


def _lower(what: int, wanted: int) -> None:
    _, hard = resource.getrlimit(what)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (limit, limit))
