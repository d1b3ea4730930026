"""Landlock: a process gives up files, connections and signals for good, by calls that need no privilege.

Numbers and layouts: the header linux/landlock.h and the manual pages landlock(7), landlock_create_ruleset(2) and
landlock_add_rule(2). The calls have the same numbers on all architectures.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH = 1
# LANDLOCK_ACCESS_FS_*: how many rights each version of the interface knows.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_EXECUTE = 1 << 0
# Binding and connecting TCP sockets (version 4); abstract sockets and signals to others (version 6).
_NET, _SCOPES = 0b11, 0b11
_NO_NEW_PRIVILEGES = 38


def version() -> int:
    """The version of the interface; 0 where the kernel has none."""
    return max(int(_libc().syscall(_CREATE, None, 0, _ASK_VERSION)), 0)


def restrict_files(readable: Iterable[Path], writable: Iterable[Path], programs: bool = False) -> None:
    """From now on this process reads below `readable`, and does what it likes but execute below `writable`.

    With `programs` it may start those that are below `readable`. Raises OSError where the kernel refuses. Paths that
    are not there are passed over.
    """
    known = version()
    rights = (1 << _RIGHTS[min(known, max(_RIGHTS))]) - 1
    attributes = (rights, _NET if known >= 4 else 0, _SCOPES if known >= 6 else 0)
    layout = struct.pack("=QQQ", *attributes)[: 8 if known < 4 else 16 if known < 6 else 24]
    ruleset = _checked(_libc().syscall(_CREATE, layout, len(layout), 0))
    for path in readable:
        _allow(ruleset, path, _READ_FILE | _READ_DIR | (_EXECUTE if programs else 0))
    for path in writable:
        _allow(ruleset, path, rights & ~_EXECUTE)
    _checked(_libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(_libc().syscall(_RESTRICT, ruleset, 0))
    os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        rights &= _READ_FILE | _WRITE_FILE | _EXECUTE
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rule = struct.pack("=Qi", rights, opened)
    _checked(_libc().syscall(_ADD, ruleset, _RULE_PATH, rule, 0))
    os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
