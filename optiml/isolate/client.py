"""The parent's side of the zygote: requests in, replies out, and a new zygote where the old one died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from optiml.isolate import bubblewrap
from optiml.isolate.libraries import import_folders
from optiml.isolate.limits import ChildLimits

# What children see of the environment: nothing that may hold a secret.
_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "XDG_CACHE_HOME",
    "TWILL_CACHE_DIR", "TWILL_CACHE_BYTES", "TRITON_CACHE_DIR",
)  # fmt: skip
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_CODE = "import sys; from optiml.isolate.zygote import main; main(sys.argv[1:])"
_MOST_DEATHS = 2


class ZygoteClient:
    """Hands requests to a zygote and gives each one's reply; use it as a context manager, or close it.

    A request whose zygote died `_MOST_DEATHS` times while it was under way is answered as dead itself. Once folders
    were shown to it, the zygote sees no others, where bubblewrap is there.
    """

    def __init__(self, handler: str, workers: int, preload: Sequence[str] = ()) -> None:
        self._command = [sys.executable, "-c", _CODE, handler, str(workers), *preload]
        self._process: subprocess.Popen[bytes] | None = None
        self._readable: set[Path] = set()
        self._writable: set[Path] = set()
        self._pending: dict[int, bytes] = {}
        self._deaths: dict[int, int] = {}
        self._replies: dict[int, dict[str, Any]] = {}
        self._dead: deque[dict[str, Any]] = deque()
        self._count = 0

    def __enter__(self) -> ZygoteClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def show(self, readable: Iterable[Path], writable: Iterable[Path]) -> None:
        """Let the zygote see these folders, besides those shown before; it begins anew if it runs."""
        seen = (*self._readable, *bubblewrap.always_readable())
        more = {folder for folder in readable if not any(folder.is_relative_to(at) for at in seen)}
        own = set(writable) - self._writable
        if not more and not own:
            return
        self._readable |= more
        self._writable |= own
        if self._process is not None and self._shut_in():
            self.close()
            self._resend()

    def submit(self, request: dict[str, Any], limits: ChildLimits, alone: bool = False) -> int:
        """Queue a request, to run beside others or `alone`; the number under which its reply is."""
        self._count += 1
        message = {"id": self._count, "limits": asdict(limits), "request": request, "alone": alone}
        self._pending[self._count] = json.dumps(message).encode() + b"\n"
        self._send(self._count)
        return self._count

    def next(self) -> dict[str, Any]:
        """The reply to whichever request is done: `{"id": 1, "answer": ...}` or with `died`, see the zygote.

        Raises AssertionError where no request is under way.
        """
        while not self._dead:
            assert self._pending, "nothing is under way"
            line = _output(self._running()).readline()
            if line.endswith(b"\n"):
                reply: dict[str, Any] = json.loads(line)
                del self._pending[reply["id"]]
                return reply
            self._revive()
        return self._dead.popleft()

    def wait(self, number: int) -> dict[str, Any]:
        """The reply to one request; those that come before it are kept."""
        while number not in self._replies:
            reply = self.next()
            self._replies[reply["id"]] = reply
        return self._replies.pop(number)

    def close(self) -> None:
        """End the zygote and all its children."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None, "it was opened with a pipe"
        try:
            process.stdin.close()
            process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            process.kill()
        process.wait()
        _output(process).close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            paths = os.pathsep.join(map(str, import_folders()))
            self._process = subprocess.Popen(
                [*self._shut_in(), *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**kept, **_ONE_THREAD, "PYTHONPATH": paths},
                start_new_session=True,
            )
        return self._process

    def _shut_in(self) -> list[str]:
        """What is put before the command."""
        shown = bool(self._readable or self._writable)
        return bubblewrap.prefix(sorted(self._readable), sorted(self._writable)) if shown else []

    def _send(self, number: int) -> None:
        process = self._running()
        assert process.stdin is not None, "it was opened with a pipe"
        try:
            process.stdin.write(self._pending[number])
            process.stdin.flush()
        except BrokenPipeError:
            return  # `wait` finds the end of its output and revives it

    def _revive(self) -> None:
        """Start another zygote with all that is under way, but what has seen too many die."""
        self.close()
        for number in sorted(self._pending):
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] >= _MOST_DEATHS:
                del self._pending[number]
                self._dead.append({"id": number, "died": {"how": "the process of the workers ended", "said": ""}})
        self._resend()

    def _resend(self) -> None:
        for number in sorted(self._pending):
            self._send(number)


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None, "it was opened with a pipe"
    return process.stdout
