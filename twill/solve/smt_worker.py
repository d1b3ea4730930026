"""A process of its own for the SMT solver, so that a time limit holds whatever the solver is doing.

The parent starts `python -m twill.solve.smt_worker FD`, writes one pickled job to its stdin, and reads messages from
the pipe FD until the worker ends or the time is up; then it kills the worker and keeps what was said so far.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Protocol

Send = Callable[[object], None]


class Job(Protocol):
    """Something that can be pickled and run elsewhere; what it sends must be picklable too."""

    def run(self, send: Send) -> None:
        """Do the work and send results as they come."""
        ...


class WorkerError(RuntimeError):
    """The worker ended by itself with an error: a defect, not a lack of time."""


def messages(job: Job, time_s: float) -> Iterator[Any]:
    """What the job sends, until it ends or `time_s` seconds are over. Raises WorkerError with its traceback."""
    deadline = time.monotonic() + time_s
    read_fd, write_fd = os.pipe()
    command = [sys.executable, "-m", __name__, str(write_fd)]
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    with tempfile.TemporaryFile() as errors, Connection(read_fd, writable=False) as pipe:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stderr=errors,
            pass_fds=(write_fd,),
            env={**os.environ, "PYTHONPATH": path},
        )
        os.close(write_fd)
        try:
            assert worker.stdin is not None
            with worker.stdin as stdin:
                stdin.write(pickle.dumps(job))
            yield from _received(pipe, deadline)
            if time.monotonic() < deadline and worker.wait():
                errors.seek(0)
                raise WorkerError(errors.read().decode(errors="replace")[-4000:])
        finally:
            worker.kill()
            worker.wait()


def _received(pipe: Connection, deadline: float) -> Iterator[Any]:
    while pipe.poll(max(0.0, deadline - time.monotonic())):
        try:
            yield pipe.recv()
        except EOFError:
            return


def _main() -> None:
    # Ctrl-C goes to the whole process group; the parent keeps the best answer and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job: Job = pickle.loads(sys.stdin.buffer.read())
    with Connection(int(sys.argv[1]), readable=False) as pipe:
        job.run(pipe.send)


if __name__ == "__main__":
    _main()
