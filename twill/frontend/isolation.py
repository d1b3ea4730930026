"""Parse an MLIR file in a process of its own: a bad file may abort Triton's parser or write to the terminal.

One worker serves all files of this process, and is replaced when it dies. Both sides speak lines of JSON; this module
run as a program is the worker.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, Location, UserError, fail

DEFAULT_TIMEOUT_S = 60.0
# A place in MLIR's diagnostics: loc("file":3:25), or within loc(callsite("file":3:25 at ...)).
_PLACE = re.compile(r'"([^"]*)":(\d+):(\d+)')
_FATAL = re.compile(r"LLVM ERROR: ([^\n]*)")
_REMEDY = "the file must be TTIR or TTGIR as the installed Triton prints it"


def parse_isolated(path: Path, capability: int, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
    """Parse a .ttir, .ttgir or .mlir file with Triton; its module in generic form.

    Raises UserError: missing-file, mlir-syntax (with the places that MLIR gives), mlir-crash, mlir-timeout.
    """
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}")
    request = {"path": str(path), "capability": capability}
    worker = _worker()
    reply = worker.ask(request, timeout_s)
    if worker.tainted and reply["outcome"] != "mlir-syntax":
        # A bad file can corrupt the worker's memory: what it says afterwards counts only from a fresh one.
        worker.end()
        worker = _worker()
        reply = worker.ask(request, timeout_s)
    if reply["outcome"] == "parsed":
        return reply["text"]
    worker.tainted = True
    raise UserError(*_diagnostics(path, reply, timeout_s))


def _diagnostics(path: Path, reply: Mapping[str, str], timeout_s: float) -> list[Diagnostic]:
    whole = Location(str(path))
    if reply["outcome"] == "mlir-timeout":
        return [Diagnostic("mlir-timeout", f"Triton does not parse the file within {timeout_s:g} s", whole, _REMEDY)]
    if reply["outcome"] == "mlir-crash":
        why = _FATAL.search(reply["log"])
        reason = f": {why.group(1)}" if why else ""
        return [Diagnostic("mlir-crash", f"Triton's parser ends its own process{reason}", whole, _REMEDY)]
    lines = [line.partition("error: ") for line in reply["log"].splitlines() if "error: " in line]
    found = [Diagnostic("mlir-syntax", text, _place(path, prefix), _REMEDY) for prefix, _, text in lines]
    return found or [Diagnostic("mlir-syntax", reply["text"], whole, _REMEDY)]


def _place(path: Path, prefix: str) -> Location:
    """The first place in MLIR's location, which is in the file itself or in the source that its operations name."""
    found = _PLACE.search(prefix)
    return Location(found[1], int(found[2]), int(found[3])) if found else Location(str(path))


@dataclass
class _Worker:
    """The other process, and the file to which its native errors go. `tainted`: it has refused a file."""

    process: subprocess.Popen[str]
    log: Path
    tainted: bool = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, str]:
        """The reply; a dead or silent worker is a reply too."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], timeout_s)
        line = stdout.readline() if ready else ""
        log = self.log.read_text(errors="replace")
        if line:
            return {**json.loads(line), "log": log}
        self.end()
        return {"outcome": "mlir-crash" if ready else "mlir-timeout", "log": log}

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


_current: list[_Worker] = []
# Where workers write their errors; removed when this process ends.
_folder: list[tempfile.TemporaryDirectory[str]] = []


def _worker() -> _Worker:
    """The running worker, or a new one."""
    if _current and _current[0].alive:
        return _current[0]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    if not _folder:
        _folder.append(tempfile.TemporaryDirectory(prefix="twill-"))
    log = Path(_folder[0].name) / "errors"
    log.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    _current[:] = [_Worker(process, log)]
    return _current[0]


# The worker's side.


def _answer(request: Mapping[str, Any]) -> dict[str, str]:
    from backends.compilers.triton_adaptor import parse_module

    try:
        return {"outcome": "parsed", "text": parse_module(request["path"], request["capability"])}
    except (RuntimeError, ValueError) as error:
        return {"outcome": "mlir-syntax", "text": str(error)}


def _serve(log: str) -> None:
    """Answer line by line; what native code writes to file descriptor 2 goes to the log, emptied for each request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    errors = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(errors, 2)
    for line in sys.stdin:
        os.ftruncate(errors, 0)
        reply = _answer(json.loads(line))
        sys.stderr.flush()
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
