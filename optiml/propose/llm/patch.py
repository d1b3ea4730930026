"""Unified diffs as models write them: tolerant of where a hunk says it belongs, strict about where it fits.

Line numbers may be wrong or missing, whitespace may have drifted, a context line may lack its leading space. A hunk
must fit at one place of the text, or at the one of several that its line number names; else the whole diff is refused.
What the diff leaves as it is keeps the text's own form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_HEADER = re.compile(r"^@@+(?:\s*-(\d+)(?:,\d+)?\s+\+\d+(?:,\d+)?\s*@@+)?")
# The two lines that name the files; alone, the first may be a line that goes.
_FILES = re.compile(r"^---(?:[ \t].*)?\n\+\+\+(?:[ \t].*)?\n?", re.MULTILINE)
_GIT = re.compile(r"^(?:diff --git |index [0-9a-f]+\.\.|\\ No newline)")
# Lines of context that may be left out at each end where the whole of a hunk does not fit, as patch(1) has it.
_MOST_FUZZ = 2


class MisfitError(ValueError):
    """A diff that does not fit; the message says which hunk and why."""


@dataclass(frozen=True)
class Line:
    """A line of a hunk: `mark` is a space, `-` or `+`."""

    mark: str
    text: str


@dataclass(frozen=True)
class Hunk:
    """start: the line that it claims to begin at, counted from 1; None where it does not say."""

    start: int | None
    lines: tuple[Line, ...]

    @property
    def old(self) -> tuple[str, ...]:
        """What must be there."""
        return tuple(line.text for line in self.lines if line.mark != "+")

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return any(line.mark != " " for line in self.lines)

    def trimmed(self, fuzz: int) -> Hunk:
        """Without up to `fuzz` lines of context at each end."""
        marks = [line.mark for line in self.lines]
        lead = next((i for i, m in enumerate(marks) if m != " "), 0)
        tail = next((i for i, m in enumerate(reversed(marks)) if m != " "), 0)
        first, last = min(fuzz, lead), min(fuzz, tail)
        start = None if self.start is None else self.start + first
        return Hunk(start, self.lines[first : len(self.lines) - last])


@dataclass(frozen=True)
class _Place:
    """Where a hunk goes: lines `first` to `last` of the text become `new`."""

    first: int
    last: int
    new: tuple[str, ...]


def patched(text: str, diff: str) -> str:
    """The text with the diff applied. Raises MisfitError."""
    hunks = [h for h in parsed(diff) if h.changes]
    if not hunks:
        raise MisfitError("the diff has no line that begins with `-` or `+`")
    lines = text.splitlines()
    places = [_placed(lines, hunk, number) for number, hunk in enumerate(hunks, 1)]
    places.sort(key=lambda p: (p.first, p.last))
    for one, other in pairwise(places):
        if other.first < one.last:
            raise MisfitError("two hunks change the same lines")
    for place in reversed(places):
        lines[place.first : place.last] = place.new
    return "".join(f"{line}\n" for line in lines)


def parsed(diff: str) -> Iterator[Hunk]:
    """The hunks of a diff; lines before the first `@@` that are marked make one of their own."""
    start: int | None = None
    lines: list[Line] = []
    for raw in _FILES.sub("", diff).splitlines():
        header = _HEADER.match(raw)
        if header is not None:
            yield from [Hunk(start, tuple(lines))] if lines else []
            start, lines = (int(header[1]) if header[1] else None), []
        elif not _GIT.match(raw):
            lines.append(Line(raw[0], raw[1:]) if raw[:1] in (" ", "-", "+") else Line(" ", raw))
    yield from [Hunk(start, tuple(lines))] if lines else []


# How alike two lines must be, strictest first.
_KEYS: tuple[Callable[[str], str], ...] = (
    lambda line: line,
    lambda line: line.rstrip(),
    lambda line: " ".join(line.split()),
    lambda line: "".join(line.split()),
)


def _placed(lines: Sequence[str], hunk: Hunk, number: int) -> _Place:
    for fuzz in range(_MOST_FUZZ + 1):
        smaller = hunk.trimmed(fuzz)
        for key in _KEYS:
            found = list(_fits(lines, smaller.old, key))
            if found:
                return _at(lines, smaller, _chosen(found, smaller, number))
    raise MisfitError(f"hunk {number} fits nowhere; it expects:\n" + "\n".join(hunk.old[:8]))


def _fits(lines: Sequence[str], old: Sequence[str], key: Callable[[str], str]) -> Iterator[int]:
    if not any(line.strip() for line in old):
        return
    wanted, have = [key(line) for line in old], [key(line) for line in lines]
    yield from (i for i in range(len(have) - len(wanted) + 1) if have[i : i + len(wanted)] == wanted)


def _chosen(found: Sequence[int], hunk: Hunk, number: int) -> int:
    """The only place, or the one of several that the hunk names."""
    named = [i for i in found if hunk.start is not None and i == hunk.start - 1]
    if len(found) > 1 and not named:
        places = ", ".join(str(i + 1) for i in found)
        raise MisfitError(f"hunk {number} fits equally well at lines {places}; give it more context")
    return named[0] if named else found[0]


def _at(lines: Sequence[str], hunk: Hunk, first: int) -> _Place:
    """Context as the text has it; new lines indented as the text is where the diff's own lines are not."""
    drift = _drift(lines, hunk, first)
    new, at = list[str](), first
    for line in hunk.lines:
        if line.mark == "+":
            new.append(drift + line.text if line.text.strip() else line.text)
            continue
        new += [lines[at]] if line.mark == " " else []
        at += 1
    return _Place(first, at, tuple(new))


def _drift(lines: Sequence[str], hunk: Hunk, first: int) -> str:
    """What the lines that go lack before their text. Context tells nothing: it may have lost its mark instead."""
    old = [line for line in hunk.lines if line.mark != "+"]
    gone = [(lines[first + i], line.text) for i, line in enumerate(old) if line.mark == "-" and line.text.strip()]
    lacking = {_indent(have)[: len(_indent(have)) - len(_indent(said))] for have, said in gone}
    return lacking.pop() if len(lacking) == 1 else ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
