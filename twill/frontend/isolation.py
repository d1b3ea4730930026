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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, Location, UserError, fail

DEFAULT_TIMEOUT_S = 60.0
# MLIR's form of a diagnostic: loc("file":3:25): error: text.
_DIAGNOSTIC = re.compile(r'(?:loc\("(?P<file>[^"]*)":(?P<line>\d+):(?P<column>\d+)\)|[^:\n]*): error: (?P<text>[^\n]*)')
_REMEDY = "the file must be TTIR or TTGIR as the installed Triton prints it"


def parse_isolated(path: Path, capability: int, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
    """Parse a .ttir, .ttgir or .mlir file with Triton; its module in generic form.

    Raises UserError: missing-file, mlir-syntax (with the places that MLIR gives), mlir-crash, mlir-timeout.
    """
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}")
    reply = _worker().ask({"path": str(path), "capability": capability}, timeout_s)
    if "text" in reply:
        return str(reply["text"])
    log = str(reply.get("log", ""))
    rule = str(reply["rule"])
    raise UserError(*(_diagnostics(path, log) if rule == "mlir-syntax" else [_crash(path, rule, timeout_s)]))


def _diagnostics(path: Path, log: str) -> list[Diagnostic]:
    found = [
        Diagnostic("mlir-syntax", m["text"], Location(str(path), int(m["line"] or 0), int(m["column"] or 0)), _REMEDY)
        for m in _DIAGNOSTIC.finditer(log)
    ]
    return found or [Diagnostic("mlir-syntax", "Triton cannot parse the file", Location(str(path)), _REMEDY)]


def _crash(path: Path, rule: str, timeout_s: float) -> Diagnostic:
    what = f"within {timeout_s:g} s" if rule == "mlir-timeout" else "without ending its own process"
    return Diagnostic(rule, f"Triton does not parse the file {what}", Location(str(path)), _REMEDY)


@dataclass
class _Worker:
    """The other process."""

    process: subprocess.Popen[str]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The reply; a dead or silent worker is a reply too."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], timeout_s)
        line = stdout.readline() if ready else ""
        if line:
            reply: dict[str, Any] = json.loads(line)
            return reply
        self.process.kill()
        self.process.wait()
        return {"rule": "mlir-crash" if ready else "mlir-timeout"}


_current: list[_Worker] = []


def _worker() -> _Worker:
    """The running worker, or a new one."""
    if _current and _current[0].alive:
        return _current[0]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    _current[:] = [_Worker(process)]
    return _current[0]


# The worker's side.


def _answer(request: dict[str, Any]) -> dict[str, str]:
    from twill.frontend.compile_errors import captured_errors
    from twill.frontend.triton_adaptor import parse_module

    with captured_errors() as log:
        try:
            return {"text": parse_module(request["path"], request["capability"])}
        except (RuntimeError, ValueError) as error:
            log.seek(0)
            return {"rule": "mlir-syntax", "log": log.read() or f"error: {error}"}


def _serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve()
