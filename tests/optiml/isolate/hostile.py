"""What children are made to do in tests: the work of a zygote that is under attack."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


def answer(request: Answer) -> Answer:
    return DEEDS[request["do"]](request)


def _echo(request: Answer) -> Answer:
    return {"echo": request["text"]}


def _sleep(request: Answer) -> Answer:
    time.sleep(request["seconds"])
    return {"slept": True}


def _span(request: Answer) -> Answer:
    since = time.monotonic()
    time.sleep(request["seconds"])
    return {"since": since, "until": time.monotonic()}


def _tell(request: Answer) -> Answer:
    Path(request["file"]).write_text(str(os.getpid()))
    return _spin(request)


def _spin(_request: Answer) -> Answer:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def _raise(_request: Answer) -> Answer:
    raise RuntimeError("this is what went wrong")


def _segfault(_request: Answer) -> Answer:
    ctypes.string_at(0)
    return {}


def _exit(_request: Answer) -> Answer:
    os._exit(0)


def _memory(_request: Answer) -> Answer:
    held = []
    while True:
        held.append(b"x" * (16 << 20))


def _fork(_request: Answer) -> Answer:
    while True:
        if os.fork() == 0:
            time.sleep(0.05)


def _background(request: Answer) -> Answer:
    command = [sys.executable, "-c", f"import time; time.sleep(30); open({request['file']!r}, 'w')"]
    return {"pid": subprocess.Popen(command).pid}


def _print(_request: Answer) -> Answer:
    while True:
        os.write(1, b"noise " * 10_000)


def _long_answer(_request: Answer) -> Answer:
    return {"text": "x" * (8 << 20)}


def _garbage(_request: Answer) -> Answer:
    os.write(3, b'{"verdict": ')
    os._exit(0)


def _nested(_request: Answer) -> Answer:
    os.write(3, b'{"answer": ' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    os._exit(0)


def _nested_within_limits(_request: Answer) -> Answer:
    os.write(3, b'{"answer": ' + b"[" * 200 + b"]" * 200 + b"}")
    os._exit(0)


def _look(_request: Answer) -> Answer:
    descriptors = [int(p.name) for p in Path("/proc/self/fd").iterdir()]
    return {"environment": dict(os.environ), "descriptors": sorted(descriptors), "folder": str(Path.cwd())}


def _leave(request: Answer) -> Answer:
    Path("left").write_text("something")
    return {"folder": str(Path.cwd())}


def _kill_parent(request: Answer) -> Answer:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(5)
    return {}


DEEDS: dict[str, Callable[[Answer], Answer]] = {
    name.lstrip("_"): deed for name, deed in list(globals().items()) if name.startswith("_") and callable(deed)
}


def freely(request: Answer) -> Answer:
    """What came of running a piece of Python."""
    try:
        exec(request["code"], {"__name__": "candidate"})
    except BaseException as error:  # noqa: BLE001 - whatever the piece of Python raises
        return {"error": f"{type(error).__name__}: {error}"}
    return {"error": ""}


def attempt(request: Answer) -> Answer:
    """The same inside the sandbox."""
    from optiml.isolate.sandbox import enter

    enter(Path.cwd())
    return freely(request)


DEEDS |= {"attempt": attempt, "freely": freely}
