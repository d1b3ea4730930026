"""A mean and the squared distances from it in two passes over the same elements, as rules look for it.

for (...) sum += value;                          perhaps merged by shuffles
float mean = sum / count;
float squares = 0.0f;
for (...) squares += (value - mean) * (value - mean);      merged likewise, or not
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import Source, walk
from optiml.propose.rules.cuda.kernel import CudaKernel
from optiml.propose.rules.cuda.loops import Loop, assignment, declared, loop_of, statements

_SHUFFLE = "__shfl_xor_sync"
# A sum over a warp, without spaces.
_WARP_SUM = re.compile(r"for\(int(\w+)=16;\1>0;\1(?:/=2|>>=1)\)\{?(\w+)(?:\+=|=\2\+)__shfl_xor_sync\(\w+,\2,\1\);\}?")


@dataclass(frozen=True)
class Moments:
    """The two loops, what they add up, and the statements around them; `count` is the text of the mean's divisor."""

    total: str
    value: str
    mean: str
    count: str
    squares: str
    first: Loop
    second: Loop
    first_merge: Node | None = field(repr=False)
    second_merge: Node | None = field(repr=False)
    declarations: tuple[Node, Node] = field(repr=False)

    @property
    def end_byte(self) -> int:
        """Where the second loop and what merges it end."""
        return (self.second_merge or self.second.node).end_byte


def moments(kernel: CudaKernel) -> Iterator[tuple[int, Moments]]:
    """Each such place, with the number of its first statement in its block."""
    for block in walk(kernel.body, "compound_statement"):
        nodes = statements(block)
        for start in range(len(nodes)):
            found = _at(kernel.source, nodes[start:])
            if found is not None:
                yield start, found


def is_warp_sum(source: Source, node: Node, name: str) -> bool:
    """Whether a statement gives each lane the sum of a variable over all lanes of a warp.

    >>> source = Source.parse("for (int d = 16; d > 0; d /= 2) s += __shfl_xor_sync(FULL, s, d);")
    >>> is_warp_sum(source, source.root, "s")
    True
    """
    match = _WARP_SUM.fullmatch(re.sub(r"\s", "", source.of(node)))
    return match is not None and match[2] == name


def _at(source: Source, nodes: list[Node]) -> Moments | None:
    first = loop_of(source, nodes[0])
    update = _update(source, first) if first is not None else None
    if first is None or update is None:
        return None
    first_merge = _merge(source, nodes, 1)
    at = 1 + (first_merge is not None)
    mean = declared(source, nodes[at]) if len(nodes) > at + 2 else None
    squares = declared(source, nodes[at + 1]) if mean is not None else None
    second = loop_of(source, nodes[at + 2]) if squares is not None else None
    if mean is None or squares is None or second is None or _header(first) != _header(second):
        return None
    total, value = (source.of(n) for n in update)
    divided = re.fullmatch(rf"{total}\s*/\s*([\w.]+)", mean[1])
    if divided is None or not _is_square(source, second, squares[0], value, mean[0]):
        return None
    return Moments(
        total, value, mean[0], divided[1], squares[0], first, second, first_merge, _merge(source, nodes, at + 3),
        (nodes[at], nodes[at + 1]),
    )  # fmt: skip


def _header(loop: Loop) -> tuple[str, str, str, str]:
    return loop.var, loop.start, loop.stop, loop.step


def _merge(source: Source, nodes: list[Node], at: int) -> Node | None:
    return nodes[at] if len(nodes) > at and _SHUFFLE in source.names(nodes[at]) else None


def _update(source: Source, loop: Loop) -> tuple[Node, Node] | None:
    """Both sides of `sum += value` as the whole body."""
    body = statements(loop.body)
    update = assignment(source, body[0]) if len(body) == 1 else None
    return (update[0], update[2]) if update and update[1] == "+=" and update[0].type == "identifier" else None


def _is_square(source: Source, loop: Loop, squares: str, value: str, mean: str) -> bool:
    update = _update(source, loop)
    if update is None or source.of(update[0]) != squares:
        return False
    text, distance = (re.sub(r"\s", "", t) for t in (source.of(update[1]), f"({value}-{mean})"))
    return text == f"{distance}*{distance}"
