"""The zygote: a process that has imported everything once, and forks a limited child for each request.

Requests come as lines of JSON on stdin, `{"id": 1, "limits": {...}, "request": {...}}`; a reply is a line on stdout,
in the order in which children end: `{"id": 1, "answer": {...}}`, or `{"id": 1, "died": {"how": ..., "said": ...}}`. A
request with `"alone": true` waits for all children, and those after it for its own. A child is killed with its whole
process group at its deadline, when its memory or its answer is too large, and when stdin ends; it does not outlive the
zygote, however that ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from optiml.isolate.folders import OwnFolder
from optiml.isolate.limits import ChildLimits, excess, limit_this_process

Handler = Callable[[dict[str, Any]], dict[str, Any]]
_READ_BYTES = 1 << 16
_SAID_BYTES = 4096
_JOIN_S = 5.0
# How often what children use is looked at.
_LOOK_S = 0.1
# How deep an answer may be nested: none that is honest is nearly as deep, and Python reads about a thousand.
_MOST_LEVELS = 64
# PR_SET_PDEATHSIG of linux/prctl.h: the signal that a process gets when its parent ends.
_SET_DEATH_SIGNAL = 1


@dataclass
class _Child:
    """One request under way; `pipe` is the end at which its answer comes out."""

    number: int
    process: Any
    pipe: int
    folder: Path
    deadline_s: float
    limits: ChildLimits
    alone: bool = False
    answer: bytearray = field(default_factory=bytearray)


class Zygote:
    """Runs up to `workers` children at once; further requests wait in order."""

    def __init__(self, handler: Handler, workers: int, requests: int, replies: int) -> None:
        self._handler, self._workers, self._requests, self._replies = handler, workers, requests, replies
        self._waiting: deque[dict[str, Any]] = deque()
        self._children: dict[int, _Child] = {}
        self._buffer = b""
        self._unsent = bytearray()
        self._folder = OwnFolder()
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        os.set_blocking(replies, False)

    def run(self) -> None:
        """Serve until stdin ends; nothing of the children is left then."""
        try:
            self._serve()
        finally:
            for child in list(self._children.values()):
                self._remove(child)
            self._folder.cleanup()

    def _serve(self) -> None:
        is_open = True
        while is_open:
            for key, _ in self._selector.select(self._patience_s()):
                if key.fd == self._requests:
                    is_open = self._read_requests() and is_open
                elif key.fd == self._replies:
                    self._send()
                else:
                    self._read_answer(self._children[key.fd])
            for child in [c for c in self._children.values() if time.monotonic() > c.deadline_s]:
                self._end(child, "timeout")
            for child in list(self._children.values()):
                if why := excess(child.process.pid, child.folder, child.limits):
                    self._end(child, why)
            while self._waiting and self._has_room(self._waiting[0]):
                self._start(self._waiting.popleft())

    def _has_room(self, message: dict[str, Any]) -> bool:
        if not self._children:
            return True
        alone = message.get("alone") or any(c.alone for c in self._children.values())
        return not alone and len(self._children) < self._workers

    def _patience_s(self) -> float | None:
        ends = [c.deadline_s for c in self._children.values()]
        return min(max(min(ends) - time.monotonic(), 0.0) + 0.01, _LOOK_S) if ends else None

    def _read_requests(self) -> bool:
        data = os.read(self._requests, _READ_BYTES)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._waiting.extend(json.loads(line) for line in lines)
        return bool(data)

    def _start(self, message: dict[str, Any]) -> None:
        receiver, sender = os.pipe()
        folder = Path(tempfile.mkdtemp(dir=self._folder.path))
        limits = ChildLimits(**message["limits"])
        target = (self._handler, message["request"], limits, sender, folder, os.getpid())
        process = get_context("fork").Process(target=_work, args=target)
        process.start()
        os.close(sender)
        deadline_s = time.monotonic() + limits.wall_s
        child = _Child(message["id"], process, receiver, folder, deadline_s, limits, message.get("alone", False))
        self._children[receiver] = child
        self._selector.register(receiver, selectors.EVENT_READ)

    def _read_answer(self, child: _Child) -> None:
        data = os.read(child.pipe, _READ_BYTES)
        child.answer += data
        if len(child.answer) > child.limits.answer_bytes:
            self._end(child, f"answer of more than {child.limits.answer_bytes} bytes")
        elif not data:
            self._end(child, "")

    def _end(self, child: _Child, why: str) -> None:
        """Kill the child's process group, and reply. Without a reason the child has closed its end of the pipe."""
        if not why:
            _await_exit(child.process)
        status = child.process.exitcode
        died = {"how": why or _how(status), "said": _said(child.folder)}
        self._remove(child)
        answer = _decoded(bytes(child.answer)) if not why and status == 0 else None
        self._reply({"id": child.number, **({"died": died} if answer is None else {"answer": answer})})

    def _remove(self, child: _Child) -> None:
        """Nothing of a child stays: neither processes nor files."""
        _kill_group(child.process.pid)
        # A child that has just begun is in no group of its own yet.
        child.process.kill()
        child.process.join()
        self._selector.unregister(child.pipe)
        os.close(child.pipe)
        del self._children[child.pipe]
        shutil.rmtree(child.folder, ignore_errors=True)

    def _reply(self, message: dict[str, Any]) -> None:
        """Sent when there is room, and requests are read meanwhile: whoever sends a long one does not read replies."""
        if not self._unsent:
            self._selector.register(self._replies, selectors.EVENT_WRITE)
        self._unsent += json.dumps(message).encode() + b"\n"

    def _send(self) -> None:
        del self._unsent[: os.write(self._replies, self._unsent)]
        if not self._unsent:
            self._selector.unregister(self._replies)


def _work(
    handler: Handler, request: dict[str, Any], limits: ChildLimits, sender: int, folder: Path, zygote: int
) -> None:
    """In the child: a session of its own, limits, nothing of the zygote's but the pipe, then the work."""
    os.setsid()
    _end_with(zygote)
    output = os.open(folder / "output", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, to in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, to)
    channel = os.dup2(sender, 3) if sender != 3 else sender
    os.closerange(4, 1024)
    os.chdir(folder)
    tempfile.tempdir = str(folder)
    limit_this_process(limits)
    data = json.dumps(handler(request)).encode()
    with os.fdopen(channel, "wb") as pipe:
        pipe.write(data)


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent ends, also by SIGKILL."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _await_exit(process: Any) -> None:
    """Up to `_JOIN_S`. `Process.join` would wait for good: its pipe to the child was closed there."""
    until_s = time.monotonic() + _JOIN_S
    while process.exitcode is None and time.monotonic() < until_s:
        time.sleep(0.002)


def _kill_group(pid: int) -> None:
    # A group that is gone may have left its number to another user's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_shallow(found) else None


def _is_shallow(value: Any, levels: int = _MOST_LEVELS) -> bool:
    """Whether whoever reads it next can do so, however deep in calls."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(v, levels - 1) for v in inner)


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status} and no answer"


def _said(folder: Path) -> str:
    """The end of what the child wrote to stdout and stderr."""
    try:
        with (folder / "output").open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _SAID_BYTES, 0))
            data = file.read()
    except OSError:
        return ""
    return data.decode("utf-8", errors="replace").strip()


def main(arguments: list[str]) -> None:
    """`MODULE:FUNCTION WORKERS [MODULE...]`: the handler, and modules to import beforehand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.dup(1)
    os.dup2(2, 1)
    name, workers, *modules = arguments
    module, _, function = name.partition(":")
    handler: Handler = getattr(import_module(module), function)
    for each in modules:
        import_module(each)
    with suppress(BrokenPipeError):  # the parent is gone
        Zygote(handler, int(workers), 0, replies).run()


if __name__ == "__main__":
    main(sys.argv[1:])
