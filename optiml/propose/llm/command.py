"""A command line agent: the prompt on its standard input, the answer on its standard output."""

from __future__ import annotations

import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import PurePath
from typing import IO

from ir.diagnostics import Diagnostic, ExitCode, UserError, fail
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.provider import ANSWER_S, MOST_CHARACTERS, End, Reply, Request
from optiml.propose.llm.script import as_text
from optiml.propose.llm.secrets import redacted

_CHUNK_BYTES = 1 << 16
_SAID_CHARACTERS = 500


class CommandProvider:
    """Starts the command anew for each call, in a process group of its own, and ends all of it after the answer."""

    has_price = False

    def __init__(self, command: str, options: ModelOptions) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise fail("bad-proposer", f"`{command}` is no command: {error}") from None
        if not self._words:
            raise fail("bad-proposer", "there is no command after `cmd:`", remedy="cmd:COMMAND")
        self.name = f"cmd:{PurePath(self._words[0]).name}"
        self._answer_s = options.answer_s or ANSWER_S
        self._retries = options.retries

    def ready(self) -> None:
        """Raises UserError `missing-part` where there is no such program."""
        if shutil.which(self._words[0]) is None:
            found = Diagnostic("missing-part", f"there is no program `{self._words[0]}`")
            raise UserError(found, exit_code=ExitCode.MISSING)

    def ask(self, request: Request) -> Reply:
        """Run it, again where it fails."""
        self.ready()
        reply = self._once(request)
        for _ in range(self._retries):
            if reply.end is End.UNREACHABLE:
                reply = self._once(request)
        return reply

    def _once(self, request: Request) -> Reply:
        with tempfile.TemporaryFile() as prompt, tempfile.TemporaryFile() as said:
            prompt.write(as_text(request.messages).encode())
            prompt.seek(0)
            process = subprocess.Popen(
                self._words, stdin=prompt, stdout=subprocess.PIPE, stderr=said, start_new_session=True
            )
            try:
                data, end = _read(process, time.monotonic() + self._answer_s)
            finally:
                code = _ended(process)
            text = data.decode(errors="replace")
            if end is End.COMPLETE and code:
                return Reply(text, End.UNREACHABLE, detail=f"exit code {code}: {_last(said)}")
            return Reply(text, end, detail=_last(said))


def _read(process: subprocess.Popen[bytes], deadline_s: float) -> tuple[bytes, End]:
    """All of the output, or what there was at the time limit or the limit of its size."""
    assert process.stdout is not None, "a pipe"
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left_s := deadline_s - time.monotonic()) > 0:
            if not selector.select(left_s):
                break
            chunk = os.read(process.stdout.fileno(), _CHUNK_BYTES)
            data += chunk
            if not chunk:
                return bytes(data), _exit_end(process, deadline_s)
            if len(data) > MOST_CHARACTERS:
                return bytes(data[:MOST_CHARACTERS]), End.LENGTH
    return bytes(data), End.TIMEOUT


def _exit_end(process: subprocess.Popen[bytes], deadline_s: float) -> End:
    """A program may close its output long before it ends."""
    try:
        process.wait(max(deadline_s - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        return End.TIMEOUT
    return End.COMPLETE


def _ended(process: subprocess.Popen[bytes]) -> int:
    """End the whole group, what it started included, and return the command's own exit code."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None, "a pipe"
    process.stdout.close()
    return process.wait()


def _last(said: IO[bytes]) -> str:
    said.seek(0)
    return redacted(said.read().decode(errors="replace").strip()[-_SAID_CHARACTERS:])
