"""seccomp: a filter that refuses system calls by which a process could reach others, the network or new programs.

The filter is classic BPF, as seccomp(2) and linux/seccomp.h have it. Refused calls fail with EPERM. A child may fork,
but neither leave its process group nor its session, so that killing the group ends all of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Collection

# AUDIT_ARCH_* of linux/audit.h, and numbers of system calls by the kernel's tables for each architecture.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS = {
    "x86_64": {
        "socket": 41, "connect": 42, "bind": 49, "socketpair": 53, "execve": 59, "execveat": 322, "ptrace": 101,
        "setsid": 112, "setpgid": 109, "process_vm_readv": 310, "process_vm_writev": 311, "unshare": 272, "setns": 308,
        "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "bpf": 321, "userfaultfd": 323,
        "perf_event_open": 298, "open_by_handle_at": 304, "io_uring_setup": 425, "io_uring_enter": 426,
        "io_uring_register": 427, "add_key": 248, "request_key": 249, "keyctl": 250, "pidfd_getfd": 438,
        "prlimit64": 302, "setrlimit": 160, "kexec_load": 246, "init_module": 175, "finit_module": 313, "reboot": 169,
    },
    "aarch64": {
        "socket": 198, "connect": 203, "bind": 200, "socketpair": 199, "execve": 221, "execveat": 281, "ptrace": 117,
        "setsid": 157, "setpgid": 154, "process_vm_readv": 270, "process_vm_writev": 271, "unshare": 97, "setns": 268,
        "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "bpf": 280, "userfaultfd": 282,
        "perf_event_open": 241, "open_by_handle_at": 265, "io_uring_setup": 425, "io_uring_enter": 426,
        "io_uring_register": 427, "add_key": 217, "request_key": 218, "keyctl": 219, "pidfd_getfd": 438,
        "prlimit64": 261, "setrlimit": 164, "kexec_load": 104, "init_module": 105, "finit_module": 273, "reboot": 142,
    },
}  # fmt: skip
# The x32 interface of x86_64 has the same calls under numbers with this bit.
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_AT_CALL, _AT_ARCHITECTURE = 0, 4
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def is_available() -> bool:
    """Whether there is a table of calls for this machine, and the kernel takes filters."""
    return platform.system() == "Linux" and platform.machine() in _CALLS


def restrict_calls(allowed: Collection[str] = ()) -> None:
    """Refuse the calls but those `allowed` from now on, in this process and all below it.

    Raises OSError where the kernel refuses.
    """
    program = _program(platform.machine(), allowed)
    count = len(program) // 8
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", count, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, header, 0, 0)):
        if libc.prctl(*call):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _program(machine: str, allowed: Collection[str]) -> bytes:
    """Instructions of 8 bytes: code, jump if true, jump if false, operand."""
    calls = sorted(number for name, number in _CALLS[machine].items() if name not in allowed)
    lines = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _AT_CALL),
        (_AT_LEAST, len(calls) + 1, 0, _X32_BIT),
        *((_EQUAL, len(calls) - place, 0, number) for place, number in enumerate(calls)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
