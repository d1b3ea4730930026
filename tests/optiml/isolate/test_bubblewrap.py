"""bubblewrap by itself: what it alone refuses, and that the zygote goes on within it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from optiml.isolate import bubblewrap
from optiml.isolate.client import ZygoteClient
from optiml.isolate.limits import ChildLimits

LIMITS = ChildLimits(wall_s=30.0, memory_bytes=512 << 20)
pytestmark = pytest.mark.skipif(not bubblewrap.prefix(), reason="bubblewrap is not here, or may not make namespaces")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "text").write_text("to be read")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def client(shown: Path, own: Path) -> Iterator[ZygoteClient]:
    with ZygoteClient("tests.optiml.isolate.hostile:answer", 2) as client:
        client.show([shown], [own])
        yield client


def attempt(client: ZygoteClient, code: str) -> str:
    """What came of Python that no other wall holds."""
    reply = client.wait(client.submit({"do": "freely", "code": code}, LIMITS))
    return str(reply["answer"]["error"] if "answer" in reply else reply["died"]["how"])


def test_what_is_shown_can_be_read_and_what_is_given_can_be_written(
    client: ZygoteClient, shown: Path, own: Path
) -> None:
    code = f"assert open({str(shown / 'text')!r}).read() == 'to be read'; open({str(own / 'new')!r}, 'w').write('x')"
    assert attempt(client, code) == ""
    assert (own / "new").read_text() == "x"
    assert "Read-only" in attempt(client, f"open({str(shown / 'text')!r}, 'w')")


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.listdir(os.path.expanduser('~/.cache'))",
        "open('/etc/passwd')",
        "open('/etc/shadow')",
        "open({secret!r})",
        "open('/usr/new', 'w')",
        "import socket; socket.create_connection(('192.0.2.1', 80), 2)",
        "import os; os.kill({pid}, 0)",
        "open('/proc/{pid}/environ')",
        "import ctypes\nif ctypes.CDLL(None).mount(b'x', b'/mnt', b'tmpfs', 0, 0): raise OSError('no')",
    ],
)
def test_nothing_else_can_be_reached(client: ZygoteClient, code: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    seen = attempt(client, code.format(secret=str(secret), pid=os.getpid()))
    assert seen.startswith(("FileNotFoundError", "OSError", "PermissionError", "ProcessLookupError")), seen


def test_a_zygote_that_is_shown_more_begins_anew_and_loses_nothing(client: ZygoteClient, tmp_path: Path) -> None:
    (tmp_path / "later").write_text("y")
    assert attempt(client, f"open({str(tmp_path / 'later')!r})").startswith("FileNotFoundError")
    waiting = client.submit({"do": "sleep", "seconds": 0.2}, LIMITS)
    client.show([tmp_path], [])
    assert attempt(client, f"assert open({str(tmp_path / 'later')!r}).read() == 'y'") == ""
    assert client.wait(waiting)["answer"] == {"slept": True}


def test_hostile_children_are_contained_here_as_well(client: ZygoteClient) -> None:
    reply = client.wait(client.submit({"do": "fork"}, LIMITS))
    assert "processes" in reply["died"]["how"] or "memory" in reply["died"]["how"]
    reply = client.wait(client.submit({"do": "kill_parent"}, LIMITS))
    assert reply["died"]["how"] == "the process of the workers ended"
    assert client.wait(client.submit({"do": "echo", "text": "here"}, LIMITS))["answer"] == {"echo": "here"}


def test_it_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bubblewrap.OFF, "1")
    assert bubblewrap.prefix() == []
