"""Two sandboxes: one that Python of a candidate runs in, and one in which compilers read what a candidate wrote."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

from ir.diagnostics import missing
from optiml.isolate import landlock, seccomp
from optiml.isolate.libraries import library_folders

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/zero")
# What libraries ask about the machine, and a process about itself; not what others have in their environment.
_MACHINE = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu", "/dev/null")
# The compiler's programs are started, in a process of their own.
_FOR_PROGRAMS = ("execve", "execveat")
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
    _limit_memory()
    landlock.restrict_files([*_libraries(), *readable], [folder, Path("/dev/null")])
    seccomp.restrict_calls()


def confine(folder: Path, readable: Iterable[Path] = (), writable: Iterable[Path] = ()) -> None:
    """Shut this process in, for good, as far as the system can: no network, no file but these and libraries.

    It may start the programs of compilers. What a candidate includes is not to be read from anywhere else.
    """
    os.environ["TMPDIR"] = str(folder)
    if landlock.version():
        landlock.restrict_files(
            [*_libraries(), *map(Path, _MACHINE), *readable], [folder, Path("/dev/null"), *writable], programs=True
        )
    if seccomp.is_available():
        seccomp.restrict_calls(_FOR_PROGRAMS)


def _libraries() -> list[Path]:
    """The system's, and Python's own."""
    return [*map(Path, _SYSTEM), *(p.resolve() for p in library_folders())]


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
