"""The user's headers that a CUDA source includes: what else its machine code depends on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\b[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|(\S+))', re.MULTILINE)


def included_files(text: str, file: str, folders: Sequence[str]) -> dict[str, str] | None:
    """Path -> text of every header in the user's folders that is included, directly or not, under any condition.

    Headers elsewhere (those of CUDA) are left out. None where a header is named by a macro, so that nobody can tell.

    >>> included_files("#include HEADER", "k.cu", []) is None
    True
    """
    found: dict[str, str] = {}
    waiting = [(text, Path(file).parent)]
    while waiting:
        current, beside = waiting.pop()
        for quoted, angled, macro in _INCLUDE.findall(current):
            if macro:
                return None
            places = [beside, *map(Path, folders)] if quoted else list(map(Path, folders))
            for path in (place / (quoted or angled) for place in places):
                if str(path) not in found and (read := _text(path)) is not None:
                    found[str(path)] = read
                    waiting.append((read, path.parent))
    return found


def _text(path: Path) -> str | None:
    """What a file holds; None where there is none, or it may not be read: the compiler will say so."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    except OSError:
        return None
