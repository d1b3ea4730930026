"""The lines of the source that the ops come from, each with its ops; without the file, the places alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from ir.schedule import Schedule

CONTEXT_LINES = 2
MAX_LINES = 240


@dataclass(frozen=True)
class SourceLine:
    """One line of a file; `text` is None where the file cannot be read; `skipped`: lines before it are left out."""

    number: int
    text: str | None
    ops: tuple[str, ...]
    skipped: bool = False


@dataclass(frozen=True)
class Excerpt:
    """Lines of one file in order."""

    file: str
    lines: tuple[SourceLine, ...]


def excerpts(schedule: Schedule) -> tuple[Excerpt, ...]:
    """An excerpt of each file that ops come from, with a little context around their lines."""
    by_file: dict[str, dict[int, list[str]]] = {}
    for op in schedule.graph.ops:
        if op.location is not None and op.location.line:
            by_file.setdefault(op.location.file, {}).setdefault(op.location.line, []).append(op.name)
    return tuple(Excerpt(PurePath(file).name, tuple(_lines(file, marks))) for file, marks in sorted(by_file.items()))


def _lines(file: str, marks: dict[int, list[str]]) -> Iterator[SourceLine]:
    content = _read(file)
    wanted = sorted({n for line in marks for n in range(line - CONTEXT_LINES, line + CONTEXT_LINES + 1)})
    numbers = [n for n in wanted if 1 <= n <= len(content)] if content else sorted(marks)
    last = 0
    for number in numbers[:MAX_LINES]:
        text = content[number - 1] if content and number <= len(content) else None
        yield SourceLine(number, text, tuple(marks.get(number, ())), bool(last) and number > last + 1)
        last = number


def _read(file: str) -> list[str]:
    path = Path(file)
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
