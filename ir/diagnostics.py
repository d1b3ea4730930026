"""Diagnostics: what is wrong, where, by which rule, and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the command line; 3 and 1 are answers, not faults."""

    SUCCESS = 0
    NEGATIVE = 1
    USAGE = 2
    TIME_LIMIT = 3
    MISSING = 4
    INTERNAL = 70
    INTERRUPTED = 130


@dataclass(frozen=True, order=True)
class Location:
    """A place in a source file; line and column count from 1, 0 means unknown.

    >>> str(Location("gemm.py", 12, 5))
    'gemm.py:12:5'
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        numbers = [n for n in (self.line, self.column) if n]
        return ":".join([self.file, *map(str, numbers)])


@dataclass(frozen=True)
class Diagnostic:
    """One finding: `rule` is a stable kebab-case name, `message` has the numbers, `remedy` what to do."""

    rule: str
    message: str
    location: Location | None = None
    remedy: str = ""

    def render(self, severity: str = "error") -> str:
        """Human form: place, message and rule, the source line with a caret where it is readable, the remedy."""
        place = f"{self.location}: " if self.location else ""
        lines = [f"{place}{severity}: {self.message} [{self.rule}]", *_excerpt(self.location)]
        if self.remedy:
            lines.append(f"  help: {self.remedy}")
        return "\n".join(lines)


class UserError(Exception):
    """Bad input or a missing part: carries diagnostics and the exit code, never needs a traceback."""

    def __init__(self, *diagnostics: Diagnostic, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__("\n".join(d.render() for d in diagnostics))
        self.diagnostics = diagnostics
        self.exit_code = exit_code


def fail(rule: str, message: str, location: Location | None = None, remedy: str = "") -> UserError:
    """A usage error of one diagnostic, to be raised by the caller."""
    return UserError(Diagnostic(rule, message, location, remedy))


def missing(what: str, install: str, works_without: str = "") -> UserError:
    """The error for an optional part that is not installed (exit code 4)."""
    without = f"; {works_without}" if works_without else ""
    return UserError(
        Diagnostic("missing-part", f"{what} is not installed{without}", remedy=f"install it: {install}"),
        exit_code=ExitCode.MISSING,
    )


def _excerpt(location: Location | None) -> list[str]:
    if location is None or not location.line:
        return []
    path = Path(location.file)
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if location.line > len(lines):
        return []
    text = lines[location.line - 1].expandtabs(1)
    caret = [] if not location.column else [f"    {' ' * (location.column - 1)}^"]
    return [f"    {text}", *caret]
