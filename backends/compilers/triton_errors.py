"""What goes wrong inside Triton's compiler, told as a diagnostic at the user's line."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from backends.compilers.isolated import CompilerCrashError, isolated
from backends.compilers.triton_library import is_library
from ir.diagnostics import Location, UserError, fail

# What Triton raises apart from its own errors: options that exclude each other, a pass that fails.
_OTHER_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, KeyError, NameError, AttributeError, IndexError)
_REMEDY = "check the argument types and constants that were given"
_CRASH_REMEDY = "a defect of the compiler, or a kernel written for another architecture: check the target"
T = TypeVar("T")


@contextlib.contextmanager
def told_to_the_user(function: Any, place: Location) -> Iterator[None]:
    """Compile within: what Triton raises becomes a UserError (`compile-error`); what it prints goes to stderr."""
    with captured_errors() as log, translated(function, place, log):
        yield
    _tell(log)


def compiled_apart(function: Any, place: Location, work: Callable[[], T], timeout_s: float) -> T:
    """`work` in a child process, its errors as `told_to_the_user` gives them.

    Raises UserError: compile-error, compiler-crash; CompileTimeoutError.
    """

    def attempt() -> T:
        with translated(function, place, log):
            return work()

    with captured_errors() as log:
        try:
            result: T = isolated(attempt, timeout_s, place)
        except CompilerCrashError as crash:
            raise fail("compiler-crash", _last_words(crash, log), place, _CRASH_REMEDY) from crash
    _tell(log)
    return result


@contextlib.contextmanager
def translated(function: Any, place: Location, log: IO[str]) -> Iterator[None]:
    """What Triton raises within becomes a UserError; `log` has what was written to stderr meanwhile."""
    from triton.errors import TritonError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except TritonError as error:
        raise _compilation_error(function, error, place) from error
    except _OTHER_ERRORS as error:
        sys.stderr.flush()
        raise fail("compile-error", _first_line(error, log), place, _REMEDY) from error


def _tell(log: IO[str]) -> None:
    if text := log.read():
        sys.stderr.write(text)


def _last_words(crash: CompilerCrashError, log: IO[str]) -> str:
    """How the compiler died, and the line in which it said why."""
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    said = next((line for line in lines if "error" in line.lower() or "assert" in line.lower()), "")
    return f"Triton's compiler {crash.how}" + (f": {said}" if said else "")


@contextlib.contextmanager
def captured_errors() -> Iterator[IO[str]]:
    """What this process and its native code write to file descriptor 2 goes to a file, which is read from its start."""
    log = tempfile.TemporaryFile(mode="w+", errors="replace")  # noqa: SIM115 - the caller reads it after the block
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(log.fileno(), 2)
    try:
        yield log
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        log.seek(0)


def _first_line(error: BaseException, log: IO[str]) -> str:
    log.seek(0)
    native = [line.split("error: ", 1)[1].strip() for line in log if "error: " in line]
    return "; ".join([_text(error), *native[:1]])


def _text(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0] if isinstance(error, RuntimeError) else f"{type(error).__name__}: {lines[0]}"


def _compilation_error(function: Any, error: BaseException, default: Location) -> UserError:
    place, known = default, [function]
    for level in _chain(error):
        found = _function_of(level, known)
        if found is None:
            continue
        known.append(found)
        inner = _place(found, level.node)
        place = place if is_library(inner.file) else inner
    *_, innermost = _chain(error)
    message = getattr(innermost, "error_message", None) or str(innermost).strip() or type(innermost).__name__
    return fail("compile-error", message, place, "Triton refuses this; see its language reference")


def _chain(error: BaseException) -> list[Any]:
    """The error and what caused it: from the kernel inwards through the functions that it calls."""
    levels: list[Any] = [error]
    while isinstance(levels[-1].__cause__, _triton_error()):
        levels.append(levels[-1].__cause__)
    return levels


def _triton_error() -> type[BaseException]:
    from triton.errors import TritonError

    kind: type[BaseException] = TritonError
    return kind


def _function_of(level: Any, known: list[Any]) -> Any | None:
    """The function that a level's source text belongs to: one that is known, or that one of those can see."""
    source = getattr(level, "src", None)
    visible = [value for function in known for value in _visible(function)]
    return next((f for f in (*known, *visible) if source and getattr(f, "src", None) == source), None)


def _visible(function: Any) -> list[Any]:
    scope = function.fn.__globals__.values()
    modules = [vars(value).values() for value in scope if type(value).__name__ == "module"]
    return [value for values in (scope, *modules) for value in values if hasattr(value, "starting_line_number")]


def _place(function: Any, node: Any) -> Location:
    """File and line of a node; Triton counts lines from `def`, and columns from it too."""
    lines = function.raw_src
    lines = lines if isinstance(lines, list) else str(lines).splitlines()
    skipped = next((i for i, line in enumerate(lines) if line.lstrip().startswith(("def ", "async def "))), 0)
    indent = len(lines[skipped]) - len(lines[skipped].lstrip())
    file = str(Path(function.fn.__code__.co_filename))
    line = function.starting_line_number + skipped + getattr(node, "lineno", 1) - 1
    return Location(file, line, getattr(node, "col_offset", 0) + indent + 1)
