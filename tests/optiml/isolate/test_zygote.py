"""Children of the zygote: each hostile one is contained, the others and the run go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from optiml.isolate import folders
from optiml.isolate.client import ZygoteClient
from optiml.isolate.limits import ChildLimits

ROOT = Path(__file__).parents[3]
HANDLER = "tests.optiml.isolate.hostile:answer"
LIMITS = ChildLimits(wall_s=20.0, memory_bytes=256 << 20, answer_bytes=1 << 20)
SHORT = ChildLimits(wall_s=1.0, memory_bytes=256 << 20, answer_bytes=1 << 20)


@pytest.fixture
def client() -> Iterator[ZygoteClient]:
    with ZygoteClient(HANDLER, 2) as client:
        yield client


def ask(client: ZygoteClient, do: str, limits: ChildLimits = LIMITS, **more: Any) -> dict[str, Any]:
    return client.wait(client.submit({"do": do, **more}, limits))


def still_works(client: ZygoteClient) -> bool:
    return ask(client, "echo", text="here") == {"id": client._count, "answer": {"echo": "here"}}


def test_answers_come_to_who_asked(client: ZygoteClient) -> None:
    numbers = [client.submit({"do": "sleep", "seconds": 0.3}, LIMITS)]
    numbers += [client.submit({"do": "echo", "text": str(n)}, LIMITS) for n in range(8)]
    assert [client.wait(n)["answer"]["echo"] for n in reversed(numbers[1:])] == [str(n) for n in reversed(range(8))]
    assert client.wait(numbers[0])["answer"] == {"slept": True}


def test_long_requests_and_long_answers_do_not_wait_for_each_other() -> None:
    """Each is more than a pipe holds, and nothing is read until all has been sent."""
    client, text, answers = ZygoteClient(HANDLER, 2), "x" * 300_000, list[str]()

    def ask_all() -> None:
        numbers = []
        for _ in range(6):
            numbers.append(client.submit({"do": "echo", "text": text}, LIMITS))
            time.sleep(0.3)
        answers.extend(client.wait(number)["answer"]["echo"] for number in numbers)

    asking = Thread(target=ask_all, daemon=True)
    asking.start()
    asking.join(60.0)
    assert answers == [text] * 6
    client.close()


def test_children_run_side_by_side(client: ZygoteClient) -> None:
    assert still_works(client)
    started = time.monotonic()
    numbers = [client.submit({"do": "sleep", "seconds": 0.8}, LIMITS) for _ in range(2)]
    assert all(client.wait(n)["answer"]["slept"] for n in numbers)
    assert time.monotonic() - started < 1.5


def test_who_is_to_be_alone_is(client: ZygoteClient) -> None:
    deeds = [client.submit({"do": "span", "seconds": 0.3}, LIMITS, alone) for alone in (False, True, False, False)]
    spans = [client.wait(number)["answer"] for number in deeds]
    assert spans[0]["until"] <= spans[1]["since"]
    assert all(spans[1]["until"] <= later["since"] for later in spans[2:])


@pytest.mark.parametrize(
    ("deed", "limits", "how"),
    [
        ("spin", SHORT, "timeout"),
        ("fork", SHORT, ""),
        ("memory", LIMITS, "needed more than"),
        ("segfault", LIMITS, "SIGSEGV"),
        ("raise", LIMITS, "status 1"),
        ("exit", LIMITS, "no answer"),
        ("garbage", LIMITS, "no answer"),
        ("nested", LIMITS, "no answer"),
        ("nested_within_limits", LIMITS, "no answer"),
        ("long_answer", LIMITS, "answer of more than"),
        ("print", ChildLimits(wall_s=60.0), "status 1"),
    ],
)
def test_a_hostile_child_is_contained(client: ZygoteClient, deed: str, limits: ChildLimits, how: str) -> None:
    other = client.submit({"do": "sleep", "seconds": 0.1}, LIMITS)
    assert how in ask(client, deed, limits)["died"]["how"]
    assert client.wait(other)["answer"] == {"slept": True}
    assert still_works(client)


def test_what_a_child_said_last_is_told(client: ZygoteClient) -> None:
    assert "RuntimeError: this is what went wrong" in ask(client, "raise")["died"]["said"]


def test_processes_that_a_child_leaves_behind_are_ended(client: ZygoteClient, tmp_path: Path) -> None:
    pid = ask(client, "background", file=str(tmp_path / "late"))["answer"]["pid"]
    for _ in range(50):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the process lives on")


def test_a_child_sees_no_secret_and_no_descriptor_of_others(
    client: ZygoteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = ask(client, "look")["answer"]
    assert "secret" not in str(seen["environment"])
    assert seen["descriptors"][:4] == [0, 1, 2, 3]
    assert len(seen["descriptors"]) <= 5, "the fifth is that of the listing"


def test_files_that_a_child_leaves_are_removed(client: ZygoteClient) -> None:
    folder = Path(ask(client, "leave")["answer"]["folder"])
    assert folder != Path.cwd()
    assert not folder.exists()


def test_a_zygote_that_died_is_replaced_and_the_request_that_killed_it_is_answered(client: ZygoteClient) -> None:
    number = client.submit({"do": "kill_parent"}, LIMITS)
    assert client.wait(number)["died"]["how"] == "the process of the workers ended"
    assert still_works(client)


def test_a_closed_client_leaves_no_process() -> None:
    client = ZygoteClient(HANDLER, 2)
    client.submit({"do": "spin"}, LIMITS)
    assert client._process is not None
    pid = client._process.pid
    client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_children_end_with_a_zygote_that_is_killed(client: ZygoteClient, tmp_path: Path) -> None:
    client.submit({"do": "tell", "file": str(tmp_path / "pid")}, LIMITS)
    child = int(_written(tmp_path / "pid"))
    assert client._process is not None
    os.kill(client._process.pid, signal.SIGKILL)
    assert _ends(child)


def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    code = (
        "import time\nfrom optiml.isolate.client import ZygoteClient\nfrom optiml.isolate.limits import ChildLimits\n"
        f"client = ZygoteClient({HANDLER!r}, 2)\n"
        f"client.submit({{'do': 'tell', 'file': {str(tmp_path / 'pid')!r}}}, ChildLimits(wall_s=60.0))\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    child = int(_written(tmp_path / "pid"))
    zygote = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    parent.kill()
    parent.wait()
    assert _ends(child) and _ends(zygote)
    assert not list((tmp_path / "temporary").iterdir())


def test_folders_of_processes_that_are_gone_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "_YOUNG_S", 0.0)
    held, other = folders.OwnFolder(), tmp_path / "optiml-other"
    other.mkdir()
    code = "import os\nfrom optiml.isolate.folders import OwnFolder\nprint(OwnFolder().path, flush=True)\nos.abort()\n"
    left = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ).stdout.strip()
    assert Path(left).is_dir()
    folders.sweep()
    assert not Path(left).exists() and held.path.is_dir() and other.is_dir()
    held.cleanup()
    assert not held.path.exists()


def _written(file: Path) -> str:
    for _ in range(300):
        if file.exists() and (text := file.read_text()):
            return text
        time.sleep(0.1)
    raise AssertionError("the child has not begun")


def _ends(pid: int) -> bool:
    """Whether a process is gone, or will be soon."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
