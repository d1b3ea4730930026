"""Run an unmodified Triton script: its launches go to a device, all else happens on the CPU."""

from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.compilers.python_source import search_path, user_code
from backends.device import Device
from backends.run.interception import LaunchError, LaunchRecord, launches_on
from ir.diagnostics import Diagnostic, Location, UserError, fail


@dataclass(frozen=True)
class ScriptRun:
    """The launches of a script, and what it raised after the first of them, other than for a launch that failed."""

    launches: tuple[LaunchRecord, ...]
    error: Diagnostic | None = None


def run_script(
    script: Path,
    argv: Sequence[str],
    device: Device,
    architecture: str = "sm_90",
    every_config: bool = False,
    seen: Callable[[LaunchRecord], None] = lambda _record: None,
) -> ScriptRun:
    """Run as `python script argv...`; what it prints goes to stderr.

    A failed launch ends the script unless it handles the error. Raises UserError: missing-file, no-launch,
    user-code-error for what the script raises before its first launch.
    """
    path = script.resolve()
    if not path.is_file():
        raise fail("missing-file", f"there is no file {script}")
    error = None
    with launches_on(device, architecture, every_config, seen) as records:
        try:
            execute(path, argv)
        except LaunchError:
            pass
        except UserError as raised:
            if not records:
                raise
            error = raised.diagnostics[0]
    if not records:
        remedy = "give it the arguments with which it launches a kernel, after `--`"
        raise fail("no-launch", "the script launches no Triton kernel", Location(str(script)), remedy)
    return ScriptRun(tuple(records), error)


def execute(path: Path, argv: Sequence[str]) -> None:
    """Run a script as the main program. Raises UserError `user-code-error` for what it raises."""
    with _arguments([str(path), *argv]), search_path(path.parent), user_code(path):
        runpy.run_path(str(path), run_name="__main__")


@contextlib.contextmanager
def _arguments(argv: list[str]) -> Iterator[None]:
    saved, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = saved
