"""The sandbox of Python: each attack fails with an error, ordinary work does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from optiml.isolate import landlock, seccomp
from optiml.isolate.client import ZygoteClient
from optiml.isolate.limits import ChildLimits

LIMITS = ChildLimits(wall_s=30.0)
pytestmark = pytest.mark.skipif(
    not (landlock.version() and seccomp.is_available()), reason="this kernel has neither Landlock nor seccomp"
)


@pytest.fixture(scope="module")
def client() -> Iterator[ZygoteClient]:
    with ZygoteClient("tests.optiml.isolate.hostile:answer", 2) as client:
        yield client


def attempt(client: ZygoteClient, code: str) -> str:
    reply = client.wait(client.submit({"do": "attempt", "code": code}, LIMITS))
    return str(reply["answer"]["error"] if "answer" in reply else reply["died"]["how"])


HARMLESS = {
    "arithmetic": "assert sum(range(10)) == 45",
    "its own folder": "open('x', 'w').write('y'); assert open('x').read() == 'y'",
    "a library": "import colorsys, numpy; numpy.ones(10).sum()",
    "random numbers": "import os; os.urandom(8)",
    "a thread": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "a child": "import os; pid = os.fork()\nif not pid: os._exit(0)\nos.waitpid(pid, 0)",
}

LEAVE = """
import os
pid = os.fork()
if not pid:
    try:
        os.setsid()
    finally:
        os._exit(os.getpid() != os.getsid(0))
if os.waitpid(pid, 0)[1]:
    raise OSError("still in the session")
"""

ATTACKS = {
    "read a file": "open({secret!r}).read()",
    "list the home": "import os; os.listdir(os.path.expanduser('~'))",
    "read the passwords": "open('/etc/passwd').read()",
    "write elsewhere": "open({secret!r} + '2', 'w')",
    "overwrite": "open({secret!r}, 'w')",
    "remove": "import os; os.remove({secret!r})",
    "change a library": "import numpy; open(numpy.__file__, 'a')",
    "link out": "import os; os.symlink({secret!r}, 'l'); open('l').read()",
    "hard link": "import os; os.link({secret!r}, 'h')",
    "connect": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "run a program": "import subprocess; subprocess.run(['/bin/true'], check=True)",
    "shell": "import os\nif os.system('true'): raise OSError('no shell')",
    "replace itself": "import os; os.execv('/bin/true', ['true'])",
    "kill the parent": "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",
    "leave the group": LEAVE,
    "memory of others": "import os; open('/proc/%d/mem' % os.getppid(), 'rb')",
    "memory of itself": "open('/proc/self/mem', 'rb')",
    "environment of others": "import os; open('/proc/%d/environ' % os.getppid()).read()",
    "trace": "import ctypes, os\nif ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0): raise OSError('no')",
    "raise its limits": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))",
    "a namespace": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError('no')",
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 28))",
    "disk": "f = open('x', 'wb')\nwhile True: f.write(bytes(1 << 24))",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_ordinary_work_goes_on(client: ZygoteClient, name: str) -> None:
    assert attempt(client, HARMLESS[name]) == ""


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails(client: ZygoteClient, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    seen = attempt(client, ATTACKS[name].format(secret=str(secret)))
    assert seen.startswith(("PermissionError", "OSError", "MemoryError", "ValueError", "FileNotFoundError")), seen
    assert secret.read_text() == "the secret"
    assert not Path(f"{secret}2").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]


def test_the_environment_has_no_secret(client: ZygoteClient) -> None:
    assert attempt(client, "import os; assert not [n for n in os.environ if 'KEY' in n or 'TOKEN' in n]") == ""
