"""A compiler that lives in this process, run in a child of it: if native code aborts or hangs, the child alone ends."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from backends.compilers.ptxas import CompileTimeoutError
from ir.diagnostics import Diagnostic, ExitCode, Location, UserError

_GRACE_S = 5.0


class CompilerCrashError(Exception):
    """The child ended without an answer; `how` says by which signal or status."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


def isolated(work: Callable[[], Any], timeout_s: float, place: Location | None = None) -> Any:
    """The result of `work`, computed in a forked child, which must be able to pickle it.

    Raises UserError as `work` does; CompileTimeoutError after `timeout_s`; CompilerCrashError if the child dies.
    """
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(work, sender), daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(timeout_s):
            raise CompileTimeoutError("the compiler", timeout_s, place)
        answer = receiver.recv_bytes()
    except EOFError as end:
        child.join(_GRACE_S)
        raise CompilerCrashError(_how(child.exitcode)) from end
    finally:
        receiver.close()
        child.kill()
        child.join()
    result, diagnostics, code = pickle.loads(answer)
    if diagnostics:
        raise UserError(*diagnostics, exit_code=code)
    return result


def _answer(work: Callable[[], Any], sender: Connection) -> None:
    """In the child: send (result, diagnostics, exit code) and leave without the parent's clean-up."""
    answer: tuple[Any, tuple[Diagnostic, ...], ExitCode | None]
    try:
        answer = (work(), (), None)
    except UserError as error:
        answer = (None, error.diagnostics, error.exit_code)
    sender.send_bytes(pickle.dumps(answer))
    sender.close()
    os._exit(0)


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status} and no answer"
