"""The sandbox that Python of a candidate runs in: one folder to write to, libraries to read, nothing else."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from ir.diagnostics import missing
from optiml.isolate import landlock, seccomp

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/zero")
# Beyond what is mapped when the sandbox is entered.
_MEMORY_BYTES = 4 << 30


def enter(folder: Path, readable: Iterable[Path] = ()) -> None:
    """Shut this process in, for good: no network, no other process, no program, files below `folder` alone.

    It still reads Python's own files and `readable`. Raises UserError (missing-part) where the system cannot do it:
    nothing of a candidate may run then.
    """
    if not (seccomp.is_available() and landlock.version()):
        works = "CUDA C++ kernels, which are compiled and never run on the host, work"
        raise missing("a kernel with Landlock and seccomp (Linux 5.13, x86_64 or aarch64)", "a newer Linux", works)
    places = {Path(p).resolve() for p in (sys.prefix, sys.base_prefix, *sys.path) if p}
    _limit_memory()
    landlock.restrict_files([*map(Path, _SYSTEM), *places, *readable], [folder, Path("/dev/null")])
    seccomp.restrict_calls()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
