"""Fenced blocks: what is put into a prompt as data, and what an answer puts its parts into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPEN = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*$")


@dataclass(frozen=True)
class Block:
    """A fenced block of an answer; `info` is the word after the fence, in lower case."""

    info: str
    text: str
    is_closed: bool = True


def fenced(text: str, info: str = "") -> str:
    """The text between fences that nothing in it can close.

    >>> print(fenced("a ``` b", "cuda"))
    ````cuda
    a ``` b
    ````
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if text.endswith("\n") or not text else "\n"
    return f"{fence}{info}\n{text}{end}{fence}"


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of an answer in order; the last one may lack its end.

    >>> [b.text for b in blocks("see\\n```json\\n{}\\n```\\n")]
    ['{}\\n']
    """
    lines = iter(text.splitlines())
    for line in lines:
        opened = _OPEN.match(line)
        if opened is None:
            continue
        fence, inside, is_closed = opened[1], list[str](), False
        for inner in lines:
            stripped = inner.strip()
            is_closed = len(stripped) >= len(fence) and set(stripped) == {fence[0]}
            if is_closed:
                break
            inside.append(inner)
        yield Block(opened[2].lower(), "".join(f"{each}\n" for each in inside), is_closed)
