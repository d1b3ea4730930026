"""What changed between two programs: a unified diff of their sources, and the keys of the task file that differ."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from optiml.candidate import Candidate

_KINDS = {"@": "hunk", "+": "added", "-": "removed"}


@dataclass(frozen=True)
class Line:
    """A line of a diff with its first character; kind: head, hunk, added, removed or same."""

    kind: str
    text: str


def difference(old: Candidate, new: Candidate) -> Iterator[Line]:
    """The diff of the sources, then the overrides.

    >>> old, new = Candidate("cuda", "int x;"), Candidate("cuda", "int x;", {"constants.BM": 8})
    >>> [line.text for line in difference(old, new)]
    ['-constants.BM as in the task file', '+constants.BM = 8']
    """
    names = (f"a/{old.key[:8]}", f"b/{new.key[:8]}")
    texts = difflib.unified_diff(old.source.splitlines(), new.source.splitlines(), *names, lineterm="")
    for number, text in enumerate(texts):
        yield Line("head" if number < 2 else _KINDS.get(text[:1], "same"), text)
    for key in sorted(old.overrides.keys() | new.overrides.keys()):
        before, after = old.overrides.get(key), new.overrides.get(key)
        if before != after:
            yield Line("removed", f"-{_setting(key, before)}")
            yield Line("added", f"+{_setting(key, after)}")


def _setting(key: str, value: Any) -> str:
    return f"{key} as in the task file" if value is None else f"{key} = {json.dumps(value)}"
